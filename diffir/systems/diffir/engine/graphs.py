"""Run DIRformer with onnxruntime: the engine ``onnx``, for machines on which the kernels cannot be compiled.

In: a network, and the graphs that ``diffir export`` wrote of it; without them they are written into the cache on the
first use. Out: rows of the output, fp32. The prior is estimated by torch as with the other engines, so that seeds,
given priors and thumbnails work alike.
"""

import hashlib
import importlib.util
import json
import logging
import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from diffir._version import __version__
from diffir.errors import DiffIRError, MissingDependency, UsageError
from diffir.public_files import cache_folder
from diffir.system import OnProgress, Precision, Region, Write
from diffir.systems.diffir.engine.attention import Windows
from diffir.systems.diffir.network import DiffIR

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

logger = logging.getLogger(__name__)


class RestorerGraph:
    """A graph ``restorer.onnx``, ready to run on the CPU."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the session of onnxruntime, which another process makes again."""
        return {"path": self.path}

    @cached_property
    def session(self) -> "InferenceSession":
        """The session; torch's number of threads is its own."""
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # it warns of inputs with defaults
        options.enable_cpu_mem_arena = False  # it would keep the memory of the largest photo
        return InferenceSession(self.path, options, providers=["CPUExecutionProvider"])

    def __call__(self, lq: Tensor, prior: Tensor, sums: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Restore lq (1, C, h, w) under a prior (1, P); return the image, and the sums (N,) over lq, if there are any.

        Args:
            sums: used for attention instead of those over lq; graphs with windows have none.
        """
        given = {"lq": lq.numpy(), "prior": prior.numpy()}
        if sums is not None:
            given |= {"sums": sums.numpy(), "known": torch.ones(1).numpy()}
        restored, *own = map(torch.from_numpy, self.session.run(None, given))
        return restored, own[0] if own else None


def restorer_graph(network: DiffIR, windows: Windows | None, folder: str | None) -> RestorerGraph:
    """The graph of a network: in a folder of ``diffir export``, or in the cache, where it is written if it is missing.

    Raises:
        MissingDependency: onnxruntime is not installed, or a package that writes graphs.
        UsageError: the folder has no graph of these weights.
    """
    from diffir.systems.diffir.onnx_export import RESTORER, export, identity

    if importlib.util.find_spec("onnxruntime") is None:
        raise MissingDependency("onnxruntime", "engine onnx", "onnx")
    expected = identity(network, windows)
    if folder is not None:
        graph = RestorerGraph(Path(folder) / RESTORER)
        if not graph.path.is_file():
            raise UsageError(f"{graph.path} is missing: write it with diffir export NAME --onnx {folder}")
        if {key: _facts(graph).get(key) for key in expected} != expected:
            raise UsageError(
                f"{graph.path} is of other weights, statistics or versions: write it again with diffir export"
            )
        return graph
    versions = {"diffir": __version__, "torch": str(torch.__version__)}
    key = hashlib.sha256(json.dumps(expected | versions, sort_keys=True).encode()).hexdigest()[:32]
    kept = cache_folder() / "onnx" / key
    if not (kept / RESTORER).is_file():
        logger.info("writing the network as ONNX graphs to %s: once, some minutes", kept)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as unfinished:
            export(network, {}, Path(unfinished) / key, windows)
            with suppress(OSError):  # another process was faster
                (Path(unfinished) / key).replace(kept)
    return RestorerGraph(kept / RESTORER)


def _facts(graph: RestorerGraph) -> dict[str, Any]:
    """What the metadata of a graph say; raises UsageError if onnxruntime cannot read the file."""
    from diffir.systems.diffir.onnx_export import METADATA_KEY

    try:
        facts = json.loads(graph.session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "{}"))
    except Exception as error:  # onnxruntime has no common class of errors
        raise UsageError(f"{graph.path} cannot be read by onnxruntime ({str(error).splitlines()[0]})") from error
    return facts if isinstance(facts, dict) else {}


class GraphSession:
    """One batch of photos while it is restored; the methods are described in ``diffir.system.Session``."""

    def __init__(self, graph: RestorerGraph, prior: Tensor, *, shares_sums: bool) -> None:
        """
        Args:
            prior: (B, P).
            shares_sums: a first pass over all tiles adds up the sums, and a second one uses the totals for every tile.
        """
        self._graph = graph
        self._prior = prior.float().cpu().contiguous()
        self._totals: list[Tensor | None] = [None] * len(prior)
        self._is_second_pass = False
        self.passes = 2 if shares_sums else 1

    def end_first_pass(self) -> None:
        """Let all following tiles use the sums of the first pass."""
        self._is_second_pass = True

    def restore(self, region: Region, write: Write, precision: Precision, on_progress: OnProgress) -> None:
        """Restore a region, photo by photo."""
        if precision != "fp32":
            raise DiffIRError(f"the engine onnx computes in fp32, not in {precision}")
        lq, images, found = region.rows(0, region.height), [], []
        for number, prior in enumerate(self._prior):
            known = self._totals[number] if self._is_second_pass else None
            image, sums = self._graph(lq[number : number + 1].contiguous(), prior[None], known)
            images.append(image)
            found.append(sums)
            on_progress((number + 1) / len(lq))
        write(0, torch.cat(images))
        # After success only: the caller repeats a region that failed.
        if self.passes == 2 and not self._is_second_pass:
            pairs = zip(self._totals, found, strict=True)
            self._totals = [new if old is None or new is None else old + new for old, new in pairs]
