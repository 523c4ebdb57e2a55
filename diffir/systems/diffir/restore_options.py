"""The options for restoring that only DiffIR has; the command line turns the fields into flags."""

from dataclasses import dataclass, field
from typing import Literal

EngineName = Literal["auto", "native", "torch", "onnx", "triton"]
Stats = Literal["auto", "tile", "global", "local"]


@dataclass(frozen=True)
class DiffIROptions:
    """Options for restoring with a DiffIR network, in addition to ``RestoreOptions``."""

    engine: EngineName = field(
        default="auto",
        metadata={
            "help": "what runs the network: compiled kernels (CPU), torch, onnxruntime (CPU), or torch with Triton "
            "kernels (NVIDIA card); auto: the compiled kernels where they were built, else torch"
        },
    )
    """``native`` runs the blocks with compiled kernels (CPU only, fp32 and bf16), ``torch`` with torch. ``auto`` takes
    the compiled kernels where they are available. ``onnx`` runs the network with onnxruntime (CPU, fp32). ``triton``
    runs norm and gate with Triton kernels (NVIDIA cards); its speed was not measured yet."""
    graphs: str | None = field(
        default=None,
        metadata={
            "help": "for engine onnx: a folder of diffir export with the graphs of these weights, instead of the cache"
        },
    )
    """Folder that ``diffir export`` wrote of these weights, for the engine ``onnx``; without one, graphs are written to
    diffir's cache on the first use."""
    stats: Stats = field(
        default="auto",
        metadata={
            "help": "attention looks at each tile, the whole photo, or windows as in training; auto: what suits the "
            "weights"
        },
    )
    """The pixels that the statistics of channel attention are gathered from: the whole photo (``global``), windows as
    large as the training patches (``local``) or each tile (``tile``). ``auto`` is ``local`` if ``patch`` is given, else
    ``global``."""
    patch: int | None = field(default=None, metadata={"flag": False})
    """Side of the training patches in pixels of the input, which ``local`` requires. ``diffir.load`` reads it from the
    card of the weights."""
