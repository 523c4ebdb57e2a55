"""Write a DiffIR network as two ONNX graphs, with a script that runs them.

In: a stage-2 network. Out: ``prior.onnx`` (image of any size, and mask, to prior and lq), ``restorer.onnx`` (lq and
prior to image) and ``restore.py``. The graphs hold the schedule and the noise of seed 0 (``onnx_graphs``), and in their
metadata name, licence, settings, schedule and the hash of the weights as JSON.

torch's exporter of TorchScript writes them, since its successor (``dynamo=True``) takes minutes for graphs with dynamic
sizes, and this one seconds. It makes a constant of a size that torch cannot follow, so the graphs are compared with
the network on photos of several sizes.
"""

import hashlib
import importlib.util
import io
import json
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
from diffir.systems.diffir.onnx_graphs import PriorGraph, RestorerGraph

OPSET = 18
FORM = 1  # of the graphs; a change of their inputs or outputs raises it
PRIOR, RESTORER = "prior.onnx", "restorer.onnx"
METADATA_KEY = "diffir"
SCRIPT = Path(__file__).with_name("onnx_script.py")
TOLERANCE = 1e-5  # largest difference from torch that passes; float32 sums in another order differ by some 1e-6
_EXAMPLE = (41, 70)  # sides of the photo that is traced; different, so that no side is taken for the other
_OPTIONAL = ("sums", "known")
_TRIED = ((1, 1), (25, 38), (90, 57))  # sides of the photos on which graphs and network are compared
_AXES = {
    "image": {0: "height", 1: "width"},
    "mask": {0: "height", 1: "width"},
    "lq": {2: "rows", 3: "columns"},
    "restored": {2: "restored_rows", 3: "restored_columns"},
}  # the dynamic ones of inputs and outputs


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
        MissingDependency: onnx or onnxruntime is not installed.
        DiffIRError: the graphs compute something else than the network.
    """
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependency(package, "exporting to ONNX", "onnx")
    settings = network.settings
    network = network.eval().requires_grad_(False)
    about = {"scale": settings.scale, "has_mask": settings.has_mask, "settings": settings.to_dict()}
    about |= {"margin": settings.facts.margin, "multiple_of": settings.multiple_of}
    about["schedule"] = asdict(network.schedule)
    text = json.dumps({**facts, **about, **identity(network, windows)})
    folder.mkdir(parents=True, exist_ok=True)

    # The graph of the prior: photos of any size.
    noise = torch.randn(1, settings.prior_width, generator=torch.Generator().manual_seed(0))
    estimate, example = PriorGraph(network, noise).eval(), _photo(settings.has_mask, _EXAMPLE)
    inputs = dict(zip(("image", "mask"), example, strict=False))
    _write(estimate, inputs, ["prior", "lq"], text, folder / PRIOR)

    # The graph that restores: sides that are multiples.
    restorer = RestorerGraph(network, windows).eval()
    prior, lq = estimate(*example)
    inputs = {"lq": lq, "prior": prior}
    if windows is None:
        inputs |= {"sums": torch.zeros(restorer.sums_width), "known": torch.zeros(1)}
    _write(restorer, inputs, ["restored", "own_sums"][: len(inputs) // 2], text, folder / RESTORER)
    with write_atomically(folder / "restore.py") as file:
        file.write(SCRIPT.read_bytes())

    # Compare them with the network on photos of other sizes.
    difference = _difference(estimate, restorer, folder)
    if not difference <= TOLERANCE:
        raise DiffIRError(f"the graphs in {folder} differ from the network by {difference:.2g}: do not use them")
    return difference


def _photo(has_mask: bool, sides: tuple[int, int]) -> list[Tensor]:
    """A photo (H, W, 3) of noise, and a mask (H, W) with a hole if there shall be one."""
    mask = torch.zeros(sides)
    mask[3:7, 5:20] = 1
    return [torch.rand((*sides, 3), generator=torch.Generator().manual_seed(sides[0]))] + [mask] * has_mask


def _write(graph: nn.Module, inputs: Mapping[str, Tensor], outputs: list[str], text: str, path: Path) -> None:
    """Trace a module and write it.

    Args:
        inputs: an example of each input, by name. Those in ``_OPTIONAL`` need not be given to the graph; their example
            is the default.
        text: for the metadata.
    """
    import onnx

    written = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter about its age and about sizes that it takes for constants
        torch.onnx.export(
            graph,
            tuple(inputs.values()),
            written,  # type: ignore[arg-type]  # the annotation leaves out what the exporter of TorchScript takes
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes={name: _AXES[name] for name in (*inputs, *outputs) if name in _AXES},
        )
    model = onnx.load_model_from_string(written.getvalue())
    onnx.helper.set_model_props(model, {METADATA_KEY: text})
    defaults = [onnx.numpy_helper.from_array(inputs[name].numpy(), name) for name in _OPTIONAL if name in inputs]
    model.graph.initializer.extend(defaults)
    with write_atomically(path) as file:
        file.write(model.SerializeToString())


def _difference(estimate: PriorGraph, restorer: RestorerGraph, folder: Path) -> float:
    """The largest difference between the graphs and the network on photos of other sizes than the traced one."""
    from onnxruntime import InferenceSession, SessionOptions

    (options := SessionOptions()).log_severity_level = 3  # it warns of inputs with defaults
    prior_graph, restorer_graph = (InferenceSession(folder / name, options) for name in (PRIOR, RESTORER))
    differences = []
    for sides in _TRIED:
        given = _photo(estimate.network.settings.has_mask, sides)
        with torch.no_grad():
            prior, lq = estimate(*given)
            expected = restorer(lq, prior) if restorer.windows else estimate.network.dirformer(lq, prior)
        images = {name: tensor.numpy() for name, tensor in zip(("image", "mask"), given, strict=False)}
        vector, prepared = prior_graph.run(["prior", "lq"], images)
        (result,) = restorer_graph.run(["restored"], {"lq": prepared, "prior": vector})
        differences.append(float((torch.from_numpy(result) - expected).abs().max()))
    return max(differences)
