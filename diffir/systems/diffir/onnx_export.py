"""Write a DiffIR network as two ONNX graphs, with a script that runs them.

In: a stage-2 network. Out: ``prior.onnx`` (lq and noise to prior), ``restorer.onnx`` (lq and prior to image) and
``restore.py``. Sides of lq are dynamic. Both graphs hold the settings, the schedule and the noise of seed 0 as JSON in
their metadata. Attention looks at the whole input (``global`` statistics).
"""

import importlib.util
import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.errors import DiffIRError, MissingDependency
from diffir.files import write_atomically
from diffir.systems.diffir.network import DiffIR

OPSET = 18
SCRIPT = Path(__file__).with_name("onnx_script.py")
TOLERANCE = 1e-5  # largest difference from torch that passes; float32 sums in another order differ by some 1e-6
_LARGEST_SIDE = 16384  # pixels of lq; the exporter wants a limit
_EXAMPLE = (5, 7)  # sides of the input that is traced, in multiples; different, so that no side is taken for the other
_TRIED = (3, 4)  # sides of the input on which graphs and network are compared


class _PriorGraph(nn.Module):
    """Estimates the prior (1, P) from noise (1, P) and lq (1, C, H, W), with filled holes, or the thumbnail of lq."""

    def __init__(self, network: DiffIR) -> None:
        super().__init__()
        self.network = network

    def forward(self, lq: Tensor, noise: Tensor) -> Tensor:
        condition = self.network.cpen(F.pixel_unshuffle(lq, self.network.settings.prior_unshuffle))
        return self.network.denoise_prior(noise, condition)[-1]


class _RestorerGraph(nn.Module):
    """Restores lq (1, C, H, W), whose holes are filled, under a prior (1, P)."""

    def __init__(self, network: DiffIR) -> None:
        super().__init__()
        self.network = network

    def forward(self, lq: Tensor, prior: Tensor) -> Tensor:
        return self.network.dirformer(lq, prior)


def export(network: DiffIR, facts: Mapping[str, Any], folder: Path) -> float:
    """Write the graphs and the script into a folder, and compare them with the network in onnxruntime.

    Args:
        facts: what the metadata say of the weights besides settings and schedule: name, task and licence.
    Returns:
        The largest difference between the graphs and the network, in the range [0, 1] of the image.
    Raises:
        MissingDependency: onnx, onnxscript or onnxruntime is not installed.
        DiffIRError: the graphs compute something else than the network.
    """
    settings = network.settings
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependency(package, "exporting to ONNX", "onnx")
    network = network.eval().requires_grad_(False)
    noise = torch.randn(1, settings.prior_width, generator=torch.Generator().manual_seed(0))
    text = json.dumps(
        {
            **facts,
            "scale": settings.scale,
            "multiple_of": settings.multiple_of,
            "has_mask": settings.has_mask,
            "hole_fill": settings.hole_fill,
            "thumbnail": settings.thumbnail,
            "settings": settings.to_dict(),
            "schedule": asdict(network.schedule),
            "noise": noise[0].tolist(),
        }
    )

    # Write both graphs and the script.
    lq = torch.rand(_shape(network, _EXAMPLE), generator=torch.Generator().manual_seed(0))
    folder.mkdir(parents=True, exist_ok=True)
    prior, restorer = folder / "prior.onnx", folder / "restorer.onnx"
    _write(_PriorGraph(network), {"lq": lq, "noise": noise}, "prior", settings.multiple_of, text, prior)
    _write(_RestorerGraph(network), {"lq": lq, "prior": noise}, "restored", settings.multiple_of, text, restorer)
    with write_atomically(folder / "restore.py") as file:
        file.write(SCRIPT.read_bytes())

    # Compare them with the network on an input of another size.
    difference = _difference(network, folder, noise)
    if not difference <= TOLERANCE:
        raise DiffIRError(f"the graphs in {folder} differ from the network by {difference:.2g}: do not use them")
    return difference


def _write(graph: nn.Module, inputs: Mapping[str, Tensor], output: str, multiple: int, text: str, path: Path) -> None:
    sides = [multiple * torch.export.Dim(name, min=1, max=_LARGEST_SIDE // multiple) for name in ("rows", "columns")]
    for package in ("onnx_ir", "onnxscript"):  # they log every tensor that they merge
        logging.getLogger(package).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about its own code
        program = torch.onnx.export(
            graph,
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=({2: sides[0], 3: sides[1]}, {}),
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props["diffir"] = text
    with write_atomically(path) as file:
        file.write(program.model_proto.SerializeToString())


def _difference(network: DiffIR, folder: Path, noise: Tensor) -> float:
    import onnxruntime

    lq = torch.rand(_shape(network, _TRIED), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        prior = _PriorGraph(network)(lq, noise)
        restored = _RestorerGraph(network)(lq, prior)
    estimate, restore = (onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("prior", "restorer"))
    (vector,) = estimate.run(None, {"lq": lq.numpy(), "noise": noise.numpy()})
    (result,) = restore.run(None, {"lq": lq.numpy(), "prior": vector})
    return float((torch.from_numpy(result) - restored).abs().max())


def _shape(network: DiffIR, sides: tuple[int, int]) -> tuple[int, int, int, int]:
    multiple = network.settings.multiple_of
    return 1, network.settings.in_channels, sides[0] * multiple, sides[1] * multiple
