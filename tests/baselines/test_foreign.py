"""Networks of other projects: what spandrel recognises restores like every other method, the rest is one clear line."""

import importlib.util
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from diffir.baselines.foreign import ForeignMethod, load_foreign
from diffir.errors import ImageError, MissingDependency, UsageError, WeightsError

needs_spandrel = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("spandrel", "torchvision"))), reason="spandrel is not installed"
)


def compact(scale: int = 2, channels: int = 3) -> dict[str, Tensor]:
    """Tensors of a tiny SRVGGNetCompact, the small network of Real-ESRGAN: two inner layers of 8 channels."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for layer, (wide, out) in {0: (channels, 8), 2: (8, 8), 4: (8, 8), 6: (8, channels * scale**2)}.items():
        state[f"body.{layer}.weight"] = torch.randn(out, wide, 3, 3, generator=generator) / 30
        state[f"body.{layer}.bias"] = torch.zeros(out)
        if layer < 6:
            state[f"body.{layer + 1}.weight"] = torch.full((8,), 0.25)
    return state


def image(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (17, 23, channels)).astype(np.uint8)


@pytest.fixture
def enlarger(tmp_path: Path) -> ForeignMethod:
    save_file(compact(), tmp_path / "mine.safetensors")
    return load_foreign(tmp_path / "mine.safetensors")


@needs_spandrel
def test_a_network_comes_with_its_facts(enlarger: ForeignMethod) -> None:
    assert (enlarger.name, enlarger.scale, enlarger.has_mask) == ("mine", 2, False)
    assert enlarger.architecture == "RealESRGAN Compact"
    assert enlarger.parameters == sum(tensor.numel() for tensor in compact().values())
    assert isinstance(enlarger.module, nn.Module)
    assert len(enlarger.fingerprint) == 64


@needs_spandrel
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_kind_of_the_image_comes_back_enlarged(enlarger: ForeignMethod, channels: int, dtype: type) -> None:
    white = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    given = (image(channels) / 255 * white).astype(dtype)

    restored = enlarger.restore(given)

    assert restored.dtype == dtype
    assert restored.shape == (34, 46, channels)
    assert restored / white == pytest.approx(enlarger.restore(image(channels)) / 255, abs=1 / 255)


@needs_spandrel
def test_pixels_are_those_of_the_bare_network(enlarger: ForeignMethod) -> None:
    lq = torch.from_numpy(image()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = enlarger.module(lq).clamp(0, 1)[0].permute(1, 2, 0).numpy()

    assert enlarger.restore(image().astype(np.float32) / 255) == pytest.approx(expected, abs=1e-6)


@needs_spandrel
def test_pth_and_safetensors_of_one_network_are_one_network(tmp_path: Path, enlarger: ForeignMethod) -> None:
    torch.save({"params_ema": compact()}, tmp_path / "mine.pth")

    other = load_foreign(tmp_path / "mine.pth")

    assert np.array_equal(other.restore(image()), enlarger.restore(image()))
    assert other.fingerprint != enlarger.fingerprint


@needs_spandrel
def test_a_network_for_grey_refuses_colours(tmp_path: Path) -> None:
    save_file(compact(scale=1, channels=1), tmp_path / "grey.safetensors")
    method = load_foreign(tmp_path / "grey.safetensors")

    assert method.restore(image(1)).shape == (17, 23, 1)
    with pytest.raises(ImageError, match="grey is a network for grey images, this one has 3 channels"):
        method.restore(image(3))


class Whitener(nn.Module):
    """Fills holes with white; needs sides of multiples of 8 and would show what it is told of known pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, lq: Tensor, mask: Tensor) -> Tensor:
        assert lq.shape[2] % 8 == lq.shape[3] % 8 == 0
        return self.gain.expand_as(lq) - 0.5 * (lq * mask)


@pytest.fixture
def filler() -> ForeignMethod:
    spandrel = pytest.importorskip("spandrel")
    network = Whitener()
    described = spandrel.MaskedImageModelDescriptor(
        network, network.state_dict(), None, "Inpainting", [], False, False, 3, 3, spandrel.SizeRequirements(8, 8)
    )
    return ForeignMethod("filler", "test", "", has_mask=True, described=described)


@needs_spandrel
def test_holes_are_filled_and_known_pixels_kept(filler: ForeignMethod) -> None:
    mask = np.zeros((17, 23), np.uint8)
    mask[3:9, 4:20] = 7

    filled = filler.restore(image(), mask)

    assert np.array_equal(filled[mask == 0], image()[mask == 0])
    assert (filled[mask > 0] == 255).all()  # not darker: what lies in the holes is not shown to the network


@needs_spandrel
def test_masks_are_for_inpainting_alone(filler: ForeignMethod, enlarger: ForeignMethod) -> None:
    with pytest.raises(UsageError, match="filler fills holes: it needs a mask"):
        filler.restore(image())
    with pytest.raises(UsageError, match="mine takes no mask"):
        enlarger.restore(image(), np.ones((17, 23)))
    with pytest.raises(ImageError, match=r"the mask is \(3, 3\) but the image is \(17, 23\)"):
        filler.restore(image(), np.ones((3, 3)))


@needs_spandrel
@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": torch.zeros(3)}, r"x.pth holds no network that spandrel \S+ knows; https://"),
        (compact() | {"body.0.bias": torch.zeros(9)}, "x.pth resembles a network that spandrel knows, but is none"),
        (compact() | {"body.0.weight": torch.zeros(8, 5, 3, 3)}, "takes 5 channels and gives"),
    ],
)
def test_what_spandrel_does_not_know_is_one_line(tmp_path: Path, state: dict[str, Tensor], message: str) -> None:
    torch.save(state, tmp_path / "x.pth")

    with pytest.raises(UsageError, match=message) as refused:
        load_foreign(tmp_path / "x.pth")

    assert "\n" not in str(refused.value)


@needs_spandrel
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript, which files still hold
def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "run",)

    torch.save({"params": {**compact(), "evil": Evil()}}, tmp_path / "x.pth", pickle_module=pickle)
    program = torch.jit.trace(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2))
    program.save(str(tmp_path / "program.pt"))

    load_foreign(tmp_path / "x.pth")  # the tensors are read, the rest is ignored
    with pytest.raises(WeightsError, match=r"program\.pt is damaged or no plain checkpoint"):
        load_foreign(tmp_path / "program.pt")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("package", ["spandrel", "torchvision"])
def test_a_missing_package_is_named_with_the_pip_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    for name in ("spandrel", "torchvision"):
        present = None if name == package else type(sys)(name)
        if present is not None:
            present.__spec__ = importlib.util.spec_from_loader(name, None)
        monkeypatch.setitem(sys.modules, name, present)

    with pytest.raises(MissingDependency, match=rf"the package '{package}': .*pip install .* '\.\[spandrel\]'"):
        load_foreign(tmp_path / "x.pth")
