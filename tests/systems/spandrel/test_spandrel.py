"""Networks of other projects: what spandrel recognises restores like every network, the rest is one clear line."""

import importlib.util
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from diffir.api import load, restorer_of
from diffir.cli.main import main
from diffir.errors import MissingDependency, UsageError, WeightsError
from diffir.image_io import Photo, read_image, write_image
from diffir.photo_restorer import Restorer
from tests.foreign_networks import compact, dncnn, drunet, esrgan, needs_spandrel

pytestmark = needs_spandrel


def image(height: int = 17, width: int = 23, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    top = 65535 if dtype is np.uint16 else 255
    return np.random.default_rng(0).integers(0, top + 1, (height, width, channels)).astype(dtype)


@pytest.fixture
def cleaner(tmp_path: Path) -> Restorer:
    save_file(dncnn(), tmp_path / "mine.safetensors")
    return load(tmp_path / "mine.safetensors", device="cpu")


def bare_result(state: dict[str, Tensor], given: np.ndarray) -> np.ndarray:
    """What spandrel alone makes of an image."""
    import spandrel

    lq = torch.from_numpy(given).permute(2, 0, 1)[None] / 255
    return spandrel.ModelLoader().load_from_state_dict(dict(state))(lq)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("make", [dncnn, drunet, esrgan])
def test_results_are_those_of_spandrel_alone(tmp_path: Path, make) -> None:
    state = make()
    save_file(state, tmp_path / "mine.safetensors")
    given = image(24, 32)

    restored = load(tmp_path / "mine.safetensors", device="cpu").restore(given / np.float32(255))

    assert restored == pytest.approx(bare_result(state, given), abs=1e-6)


def test_a_photo_keeps_its_depth_alpha_and_metadata_on_the_command_line(tmp_path: Path) -> None:
    save_file(esrgan(scale=2), tmp_path / "twice.safetensors")
    photo = Photo(image(dtype=np.uint16), alpha=image(dtype=np.uint16)[..., 0])
    write_image(tmp_path / "photo.tif", photo)

    how = ["--model_path", str(tmp_path / "twice.safetensors"), "-o", str(tmp_path / "out.tif")]
    assert main(["restore", str(tmp_path / "photo.tif"), *how]) == 0

    restored = read_image(tmp_path / "out.tif")
    assert (restored.pixels.dtype, restored.pixels.shape) == (np.uint16, (34, 46, 3))
    assert restored.alpha is not None and restored.alpha.shape == (34, 46)


def test_pth_and_safetensors_of_one_network_are_one_network(tmp_path: Path, cleaner: Restorer) -> None:
    torch.save({"params_ema": dncnn()}, tmp_path / "mine.pth")

    assert np.array_equal(load(tmp_path / "mine.pth", device="cpu").restore(image()), cleaner.restore(image()))


@pytest.mark.parametrize("channels", [1, 2])
def test_a_network_for_grey_restores_each_colour_by_itself(tmp_path: Path, channels: int) -> None:
    save_file(dncnn(1) if channels == 1 else compact(channels=2), tmp_path / "grey.safetensors")
    restorer, given = load(tmp_path / "grey.safetensors", device="cpu"), image()

    colours = restorer.restore(given)

    for number in range(3):
        assert np.array_equal(colours[..., number], restorer.restore(given[..., number]))


def test_a_network_for_colours_and_alpha_sees_an_opaque_photo(tmp_path: Path) -> None:
    state = compact(scale=1, channels=4)
    save_file(state, tmp_path / "alpha.safetensors")
    opaque = np.dstack([image(), np.full((17, 23), 255, np.uint8)])

    restored = load(tmp_path / "alpha.safetensors", device="cpu").restore(image() / np.float32(255))

    assert restored == pytest.approx(bare_result(state, opaque)[..., :3], abs=1e-6)


def test_photos_smaller_than_the_network_allows_are_continued(tmp_path: Path) -> None:
    save_file(drunet(), tmp_path / "mine.safetensors")
    restorer = load(tmp_path / "mine.safetensors", device="cpu")

    assert restorer.restore(image(1, 3)).shape == (1, 3, 3)
    assert restorer.facts.multiple_of == 8


def test_tiles_of_a_chain_of_convolutions_give_the_result_of_the_whole_photo(cleaner: Restorer, tmp_path: Path) -> None:
    given = image(90, 200).astype(np.float32) / 255
    tiled = load(tmp_path / "mine.safetensors", device="cpu", tile=64, tile_overlap=0)

    assert tiled.restore(given) == pytest.approx(cleaner.restore(given), abs=1e-6)
    assert tiled.last_tile == 64


def test_how_far_a_chain_of_convolutions_looks_is_known_exactly(cleaner: Restorer) -> None:
    lq = torch.rand(1, 3, 41, 41, requires_grad=True)

    cleaner.engine.network.model(lq)[0, 0, 20, 20].backward()

    rows = lq.grad[0].abs().sum(0).nonzero()[:, 0]
    assert (20 - rows.min(), rows.max() - 20) == (cleaner.engine.reach, cleaner.engine.reach)


def test_where_it_is_unknown_how_far_a_network_looks_tiles_overlap(tmp_path: Path) -> None:
    save_file(esrgan(), tmp_path / "mine.safetensors")
    restorer = load(tmp_path / "mine.safetensors", device="cpu", tile=64, tile_overlap=0)

    restorer.restore(image(80, 150))

    assert restorer.engine.least_overlap >= 32


def test_precisions_are_those_that_spandrel_states(tmp_path: Path, cleaner: Restorer) -> None:
    assert cleaner.in_use()["precision"] == "fp32"
    assert load(tmp_path / "mine.safetensors", device="cpu", precision="bf16").in_use()["precision"] == "bf16"
    with pytest.raises(UsageError, match="spandrel states for DnCNN the precisions fp32, bf16, not fp16"):
        load(tmp_path / "mine.safetensors", device="cpu", precision="fp16")


def test_a_restorer_can_be_sent_to_another_process(cleaner: Restorer) -> None:
    copy = pickle.loads(pickle.dumps(cleaner))

    assert np.array_equal(copy.restore(image()), cleaner.restore(image()))


def test_a_network_is_measured_and_named_in_a_report(cleaner: Restorer, tmp_path: Path) -> None:
    write_image(tmp_path / "photos/a.png", image(32, 32))
    scores, page = tmp_path / "scores.json", tmp_path / "page.html"
    what = ["-n", f"input,{tmp_path / 'mine.safetensors'}", "-d", str(tmp_path / "photos"), "--sigma", "20"]

    assert main(["eval", *what, "--metrics", "psnr", "--json", str(scores), "--html", str(page), "--no_cache"]) == 0

    result = json.loads(scores.read_text("utf-8"))["results"][1]
    assert result["method"] == "mine"
    assert "DnCNN, loaded by spandrel" in page.read_text("utf-8")


class Whitener(nn.Module):
    """Fills holes with white; needs sides of multiples of 8 and would show what it is told of known pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, lq: Tensor, mask: Tensor) -> Tensor:
        assert lq.shape[2] % 8 == lq.shape[3] % 8 == 0
        return self.gain.expand_as(lq) - 0.5 * (lq * mask)


def test_holes_are_filled_and_known_pixels_kept() -> None:
    import spandrel

    from diffir.systems.spandrel.network import SpandrelNetwork

    state = Whitener().state_dict()
    described = spandrel.MaskedImageModelDescriptor(
        Whitener(), state, None, "Inpainting", [], False, False, 3, 3, spandrel.SizeRequirements(8, 8)
    )
    described._architecture = spandrel.MAIN_REGISTRY["LaMa"].architecture
    filler = restorer_of(SpandrelNetwork(described), system="spandrel", name="filler", device="cpu")
    mask = np.zeros((17, 23), np.uint8)
    mask[3:9, 4:20] = 7

    filled = filler.restore(image(), mask)

    assert np.array_equal(filled[mask == 0], image()[mask == 0])
    assert (filled[mask > 0] == 255).all()  # not darker: what lies in the holes is not shown to the network
    with pytest.raises(UsageError, match="filler fills holes: it needs a mask"):
        filler.restore(image())


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": torch.zeros(3)}, "x.pth holds a network of another kind than diffir, latent, realesrgan, spandrel"),
        (compact() | {"body.0.bias": torch.zeros(9)}, "x.pth resembles a network that spandrel knows, but is none"),
        (compact() | {"body.0.weight": torch.zeros(8, 5, 3, 3)}, "takes 5 channels and gives"),
    ],
)
def test_what_spandrel_does_not_know_is_one_line(tmp_path: Path, state: dict[str, Tensor], message: str) -> None:
    torch.save(state, tmp_path / "x.pth")

    with pytest.raises(WeightsError, match=message) as refused:
        load(tmp_path / "x.pth")

    assert "\n" not in str(refused.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript, which files still hold
def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "run",)

    torch.save({"params": {**dncnn(), "evil": Evil()}}, tmp_path / "x.pth", pickle_module=pickle)
    program = torch.jit.trace(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2))
    program.save(str(tmp_path / "program.pt"))

    load(tmp_path / "x.pth")  # the tensors are read, the rest is ignored
    with pytest.raises(WeightsError, match=r"program\.pt is damaged or no plain checkpoint"):
        load(tmp_path / "program.pt")
    assert not (tmp_path / "run").exists()


def test_such_a_network_is_neither_converted_nor_trained(tmp_path: Path, cleaner: Restorer, capsys) -> None:
    mine = tmp_path / "mine.safetensors"

    assert main(["convert", str(mine), str(tmp_path / "other.safetensors")]) == 2
    assert "networks that spandrel loads are built from their own file" in capsys.readouterr().err
    recipe = ["--recipe", "photo", "--model_path", str(mine), "-o", str(tmp_path / "run")]
    assert main(["finetune", str(tmp_path), *recipe]) == 2
    assert "networks of the system spandrel cannot be fine-tuned" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["spandrel", "torchvision"])
def test_a_missing_package_is_named_with_the_pip_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    torch.save(dncnn(), tmp_path / "x.pth")
    for name in ("spandrel", "torchvision"):
        present = None if name == package else type(sys)(name)
        if present is not None:
            present.__spec__ = importlib.util.spec_from_loader(name, None)
        monkeypatch.setitem(sys.modules, name, present)

    with pytest.raises(MissingDependency, match=rf"the package '{package}': .*pip install .* '\.\[spandrel\]'"):
        load(tmp_path / "x.pth")
