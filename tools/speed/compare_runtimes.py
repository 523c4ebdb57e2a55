"""Compare general runtimes with eager torch in fp32 on a CPU, for one network with the same weights.

    python -m tools.speed.compare_runtimes [--task deblur] [--sizes 256x256,184x320] [--threads 2] [--json FILE]

The network is ``PlainDIRformer`` with random weights, from lq and prior to the image, without CPEN. "times eager" is
the median, least and greatest ratio of pairs that run in turns. The row of eager torch shows the noise. The error is
the largest difference from fp64, relative to the largest value.
"""

import argparse
import copy
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch._inductor.utils import fresh_cache

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from diffir.allocator import keep_freed_memory
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import TASKS
from tests.systems.diffir.plain_network import PlainBlock, PlainDIRformer

LIMIT = 480  # seconds for a row, after which the next one begins
ROUNDS = 5  # pairs at each size


def by_torch_compile(network: PlainDIRformer, parts: type, dynamic: bool | None) -> Callable[..., torch.Tensor]:
    """Compile every module of the type ``parts`` in place."""
    torch._dynamo.reset()
    torch._dynamo.config.recompile_limit = 64  # blocks share their code, which has a version for each width and size
    for module in [module for module in network.modules() if isinstance(module, parts)]:
        module.compile(dynamic=dynamic)
    return network


def by_onnxruntime(file: Path) -> Callable[..., torch.Tensor]:
    """Run an ONNX file in ONNX Runtime."""
    from onnxruntime import InferenceSession, SessionOptions

    (options := SessionOptions()).intra_op_num_threads = torch.get_num_threads()
    session = InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda lq, prior: torch.from_numpy(session.run(None, {"lq": lq.numpy(), "prior": prior.numpy()})[0])


def by_openvino(file: Path, **hints: str) -> Callable[..., torch.Tensor]:
    """Run an ONNX file in OpenVINO."""
    import openvino

    hints |= {"INFERENCE_NUM_THREADS": str(torch.get_num_threads()), "PERFORMANCE_HINT": "LATENCY"}
    model = openvino.Core().compile_model(file, "CPU", hints)
    print("OpenVINO computes in", model.get_property("INFERENCE_PRECISION_HINT").to_string(), file=sys.stderr)
    return lambda lq, prior: torch.from_numpy(model([lq.numpy(), prior.numpy()])[0].copy())


ONNX = ("onnx", "onnxscript", "onnx_ir", "ml_dtypes")  # the packages that torch exports with
# name -> packages needed beside torch, function that makes the runtime, its arguments. Rows with packages get the ONNX
# file, the others the network.
ROWS: dict[str, tuple[tuple[str, ...], Callable[..., Any], dict[str, Any]]] = {
    "torch eager": ((), lambda network: network, {}),
    "ONNX Runtime": ((*ONNX, "onnxruntime", "flatbuffers"), by_onnxruntime, {}),
    "OpenVINO, f32": ((*ONNX, "openvino"), by_openvino, {"INFERENCE_PRECISION_HINT": "f32"}),
    "OpenVINO, default": ((*ONNX, "openvino"), by_openvino, {}),
    "torch.compile, per block": ((), by_torch_compile, {"parts": PlainBlock, "dynamic": None}),
    "torch.compile, per block, dynamic=False": ((), by_torch_compile, {"parts": PlainBlock, "dynamic": False}),
    "torch.compile, whole, dynamic=False": ((), by_torch_compile, {"parts": PlainDIRformer, "dynamic": False}),
}


def timed(call: Callable[..., Any], *inputs: Any, **named: Any) -> tuple[Any, float]:
    """Return the result of a call and its seconds."""
    start = time.perf_counter()
    return call(*inputs, **named), time.perf_counter() - start


class _Stopped(BaseException):
    """Raised at the time limit. It is no Exception, since compilers and exporters catch those and continue."""


def _stop(*_: object) -> None:
    raise _Stopped


@torch.no_grad()
def main() -> None:
    """Measure every row and print its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, default="deblur")
    parser.add_argument("--sizes", default="256x256,184x320", help="sizes of lq, HxW in pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", default="/dev/null")
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    signal.signal(signal.SIGALRM, _stop)

    # Build the network, and the inputs and exact results of each size.
    whole, cases, found = DiffIR(TASKS[args.task].arch).eval(), {}, {}
    network, file = PlainDIRformer(whole).eval(), Path(tempfile.mkdtemp(), "network.onnx")
    hw = {axis: whole.settings.multiple_of * torch.export.Dim(f"side{axis}", min=2) for axis in (2, 3)}, None
    for size in args.sizes.split(","):
        lq = torch.rand(1, whole.settings.in_channels, *map(int, size.split("x")))
        prior = whole.estimate_prior(lq, noise=torch.randn(1, whole.settings.prior_width))
        cases[size] = (lq, prior), copy.deepcopy(network).double()(lq.double(), prior.double())

    # Measure each runtime. Exporting, compiling and a first call count apart from the pairs.
    print("| runtime | MB | made, s | size | first call, s | then, s | times eager | error |\n" + "|---" * 8 + "|")
    for name, (packages, make, arguments) in ROWS.items():
        row = found[name] = {}
        signal.alarm(LIMIT)
        try:
            with fresh_cache():
                if packages and not file.exists():
                    _, found["onnx"] = timed(
                        torch.onnx.export, network, (lq, prior), file, dynamo=True, dynamic_shapes=hw
                    )
                run, row["made"] = timed(make, file if packages else copy.deepcopy(network), **arguments)
                folders = [Path(str(__import__(package).__file__)).parent for package in packages]
                row["MB"] = sum(path.stat().st_size for folder in folders for path in folder.rglob("*")) / 1e6
                for size, (inputs, exact) in cases.items():
                    image, first = timed(run, *inputs)
                    pairs = [(timed(network, *inputs)[1], timed(run, *inputs)[1]) for _ in range(ROUNDS)]
                    ratios, own = [eager / own for eager, own in pairs], median(own for _, own in pairs)
                    error = ((image - exact).abs().max() / exact.abs().max()).item()
                    row[size] = {"first": first, "pairs": pairs, "error": error}
                    print(
                        f"| {name} | {row['MB']:.0f} | {row['made']:.1f} | {size} | {first:.1f} | {own:.2f}", end=" | "
                    )
                    print(f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) | {error:.1e} |", flush=True)
        except _Stopped:
            print(f"| {name} | stopped after {LIMIT} s |")
        except ImportError as error:
            print(f"| {name} | {error}: pip install", *packages, "|")
        finally:
            signal.alarm(0)
    Path(args.json).write_text(json.dumps(vars(args) | found, indent=1), "utf-8")


if __name__ == "__main__":
    main()
