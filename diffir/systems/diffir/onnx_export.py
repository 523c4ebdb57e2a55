"""Write a DiffIR network as two ONNX graphs, with a script that runs them.

In: a stage-2 network. Out: ``prior.onnx`` (image of any size, and mask, to prior and lq), ``restorer.onnx`` (lq and
prior to image) and ``restore.py``. The graphs hold the schedule and the noise of seed 0 (``onnx_graphs``), and in their
metadata name, licence, settings, schedule and the hash of the weights as JSON.
"""

import hashlib
import importlib.util
import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffir.errors import DiffIRError, MissingDependency
from diffir.files import write_atomically
from diffir.systems.diffir.engine.attention import Windows
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.onnx_graphs import LARGEST_SIDE, PriorGraph, RestorerGraph

OPSET = 18
FORM = 1  # of the graphs; a change of their inputs or outputs raises it
PRIOR, RESTORER = "prior.onnx", "restorer.onnx"
METADATA_KEY = "diffir"
SCRIPT = Path(__file__).with_name("onnx_script.py")
TOLERANCE = 1e-5  # largest difference from torch that passes; float32 sums in another order differ by some 1e-6
_EXAMPLE = (41, 70)  # sides of the photo that is traced; different, so that no side is taken for the other
_OPTIONAL = ("sums", "known")
_TRIED = (25, 38)  # sides of the photo on which graphs and network are compared
_Sides = dict[int, Any]


def weights_hash(network: DiffIR) -> str:
    """64 digits that depend on the weights and settings of a network."""
    digest = hashlib.sha256(json.dumps(network.settings.to_dict(), sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def identity(network: DiffIR, windows: Windows | None) -> dict[str, Any]:
    """What the metadata say of graphs, that decides which network they can stand for."""
    return {"form": FORM, "weights": weights_hash(network), "windows": windows and asdict(windows)}


def export(network: DiffIR, facts: Mapping[str, Any], folder: Path, windows: Windows | None = None) -> float:
    """Write the graphs and the script into a folder, and compare them with the network in onnxruntime.

    Args:
        facts: what the metadata say of the weights besides their settings: name, task and licence.
        windows: of the local statistics of attention; None for those of the whole photo.
    Returns:
        The largest difference between the graphs and the network, in the range [0, 1] of the image.
    Raises:
        MissingDependency: onnx, onnxscript or onnxruntime is not installed.
        DiffIRError: the graphs compute something else than the network.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependency(package, "exporting to ONNX", "onnx")
    settings = network.settings
    network = network.eval().requires_grad_(False)
    about = {"scale": settings.scale, "has_mask": settings.has_mask, "settings": settings.to_dict()}
    about["schedule"] = asdict(network.schedule)
    text = json.dumps({**facts, **about, **identity(network, windows)})
    folder.mkdir(parents=True, exist_ok=True)

    # The graph of the prior: photos of any size.
    noise = torch.randn(1, settings.prior_width, generator=torch.Generator().manual_seed(0))
    estimate, example = PriorGraph(network, noise).eval(), _photo(settings.has_mask, _EXAMPLE)
    sides = {0: _side("height"), 1: _side("width")}
    inputs = dict(zip(("image", "mask"), [(array, sides) for array in example], strict=False))
    _write(estimate, inputs, ["prior", "lq"], text, folder / PRIOR, optimize=False)

    # The graph that restores: sides that are multiples.
    restorer = RestorerGraph(network, windows).eval()
    sides = {axis: _side(name, settings.multiple_of) for axis, name in ((2, "rows"), (3, "columns"))}
    inputs = {"lq": (estimate(*example)[1], sides), "prior": (noise, {})}
    if windows is None:
        inputs |= {"sums": (torch.zeros(restorer.sums_width), {}), "known": (torch.zeros(1), {})}
    _write(restorer, inputs, ["restored", "own_sums"][: len(inputs) // 2], text, folder / RESTORER)
    with write_atomically(folder / "restore.py") as file:
        file.write(SCRIPT.read_bytes())

    # Compare them with the network on a photo of another size.
    difference = _difference(estimate, restorer, folder)
    if not difference <= TOLERANCE:
        raise DiffIRError(f"the graphs in {folder} differ from the network by {difference:.2g}: do not use them")
    return difference


def _side(name: str, multiple: int = 1) -> Any:
    return multiple * torch.export.Dim(name, min=1, max=LARGEST_SIDE // multiple)


def _photo(has_mask: bool, sides: tuple[int, int]) -> list[Tensor]:
    """A photo (H, W, 3) of noise, and a mask (H, W) with a hole if there shall be one."""
    mask = torch.zeros(sides)
    mask[3:7, 5:20] = 1
    return [torch.rand((*sides, 3), generator=torch.Generator().manual_seed(sides[0]))] + [mask] * has_mask


def _write(
    graph: nn.Module,
    inputs: Mapping[str, tuple[Tensor, _Sides]],
    outputs: list[str],
    text: str,
    path: Path,
    *,
    optimize: bool = True,
) -> None:
    """Trace a module and write it.

    Args:
        inputs: example and dynamic sides of each input, by name. Those in ``_OPTIONAL`` need not be given to the graph;
            their example is the default.
        optimize: let the exporter simplify the graph, which pays for graphs that take long to run.
    """
    import onnx

    for package in ("onnx_ir", "onnxscript"):  # they log every tensor that they merge
        logging.getLogger(package).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about its own code
        program = torch.onnx.export(
            graph,
            tuple(example for example, _ in inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=tuple(sides for _, sides in inputs.values()),
            verbose=False,
            optimize=optimize,
        )
    assert program is not None
    program.model.metadata_props[METADATA_KEY] = text
    proto = program.model_proto
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(inputs[name][0].numpy(), name) for name in _OPTIONAL if name in inputs
    )
    with write_atomically(path) as file:
        file.write(proto.SerializeToString())


def _difference(estimate: PriorGraph, restorer: RestorerGraph, folder: Path) -> float:
    """The largest difference between the graphs and the network on a photo of another size than the traced one."""
    from onnxruntime import InferenceSession, SessionOptions

    given = _photo(estimate.network.settings.has_mask, _TRIED)
    with torch.no_grad():
        prior, lq = estimate(*given)
        expected = restorer(lq, prior) if restorer.windows else estimate.network.dirformer(lq, prior)
    (options := SessionOptions()).log_severity_level = 3  # it warns of inputs with defaults
    graphs = [InferenceSession(folder / name, options) for name in (PRIOR, RESTORER)]
    images = {name: tensor.numpy() for name, tensor in zip(("image", "mask"), given, strict=False)}
    vector, prepared = graphs[0].run(["prior", "lq"], images)
    (result,) = graphs[1].run(["restored"], {"lq": prepared, "prior": vector})
    return float((torch.from_numpy(result) - expected).abs().max())
