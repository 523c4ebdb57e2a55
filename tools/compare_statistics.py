"""Compare the statistics of attention: PSNR, difference from the untiled result, seconds and peak memory, as a table.

    python tools/compare_statistics.py PHOTOS [--names FILE] [--weights denoise] [--sigma 15,25,50]

PHOTOS is a folder of clean photos of one size. The noise is that of the benchmarks. Every row runs in separate
processes, because the peak memory of a process never falls. Peak memory is measured on a mosaic of all photos, above
the memory of the process before it.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch.nn.functional as F

from diffir.allocator import keep_freed_memory
from diffir.api import load
from diffir.degradations.benchmark_noise import add_benchmark_noise
from diffir.image_io import read_image
from diffir.inference.restorer import Restorer
from diffir.inference.source import Source
from diffir.metrics.fidelity import psnr
from diffir.systems.diffir.engine.engine import DiffIREngine

UNTILED = Path("experiments/statistics")  # untiled results, with which other rows are compared
GLOBAL, LOCAL = "global, whole (exact, streamed)", "local, whole"
# name -> statistics, tile in pixels (-1: whole photo), name of the row of its untiled result
ROWS = {
    GLOBAL: ("global", -1, None),
    LOCAL: ("local", -1, None),
    "tile 128": ("tile", 128, GLOBAL),
    "tile 256": ("tile", 256, GLOBAL),
    "global, two passes over tiles of 128": ("global", 128, GLOBAL),
    "global, two passes over tiles of 256": ("global", 256, GLOBAL),
    "global, from half the size, tiles of 128": ("downscaled", 128, GLOBAL),
    "local, tiles of 128": ("local", 128, LOCAL),
    "local, tiles of 256": ("local", 256, LOCAL),
}


class DownscaledEngine(DiffIREngine):
    """Uses the statistics of the photo at half its size in every tile; it exists only for this comparison."""

    def open(self, photos, *, seed, prior, tile, precision):
        session = super().open(photos, seed=seed, prior=prior, tile=tile, precision=precision)
        lq = F.interpolate(photos.rows(0, photos.height), scale_factor=0.5, mode="area")
        half = Source.whole(lq.permute(0, 2, 3, 1).numpy(), None, self.facts)
        session.restore(half, lambda top, rows: None, "fp32", lambda share: None)
        session.end_first_pass()
        session.passes = 1
        return session


def restorer_for(weights: str, stats: str, tile: int) -> Restorer:
    restorer = load(weights, device="cpu", stats="global" if stats == "downscaled" else stats, tile=tile)
    restorer.engine.__class__ = DownscaledEngine if stats == "downscaled" else DiffIREngine
    return restorer


def measure(row: str, restorer: Restorer, photos: list[np.ndarray], sigma: float) -> dict[str, float]:
    """Return the scores of one row at one noise level; untiled results are saved for the rows compared with them."""
    noisy, reference = [add_benchmark_noise(photo, sigma) for photo in photos], ROWS[row][2]
    start = time.perf_counter()
    restored = np.stack([restorer.restore(photo) for photo in noisy])
    found = {"s/MP": (time.perf_counter() - start) / (restored[..., 0].size / 1e6)}
    found[f"psnr {sigma:g}"] = float(np.mean(list(map(psnr, np.rint(restored * 255.0), photos))))
    if reference is None:
        np.save(UNTILED / f"{row}-{sigma:g}.npy", restored)
        return found
    difference = np.abs(restored - np.load(UNTILED / f"{reference}-{sigma:g}.npy")) * 255
    return {**found, "mean": float(difference.mean()), "max": float(difference.max())}


def peak_memory(restorer: Restorer, photos: list[np.ndarray]) -> dict[str, float]:
    """Measure the peak on a mosaic of all photos, four in a row, above the memory of the process before it."""
    rows = [np.concatenate(photos[start : start + 4], axis=1) for start in range(0, len(photos) // 4 * 4, 4)]
    mosaic = np.concatenate(rows)
    restorer.restore(mosaic[:64, :64])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    restorer.restore(mosaic)
    return {"MB": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def main() -> None:
    """Print the table; with the hidden flag --row, measure one row in this process and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--names", type=Path, help="text file with the names of the photos, one a line")
    parser.add_argument("--weights", default="denoise")
    parser.add_argument("--sigma", type=lambda text: [float(part) for part in text.split(",")], default=[15, 25, 50])
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()

    # In a child process: measure one row.
    if args.row is not None:
        keep_freed_memory()
        lines = (
            args.names.read_text("utf-8").splitlines() if args.names else sorted(p.name for p in args.photos.iterdir())
        )
        photos = [read_image(args.photos / n).pixels for line in lines if (n := line.split("#")[0].strip())]
        restorer, found = restorer_for(args.weights, *ROWS[args.row][:2]), {}
        for sigma in args.sigma if not args.memory else []:
            found |= measure(args.row, restorer, photos, sigma)
        return print(json.dumps(found if not args.memory else peak_memory(restorer, photos)))

    # In the main process: start two children for each row.
    UNTILED.mkdir(parents=True, exist_ok=True)
    print("| statistics | PSNR at sigma", " / ".join(f"{sigma:g}" for sigma in args.sigma), end=" ")
    print("| difference from untiled, mean (max) of 255 | s/MP | peak memory |\n|---|---|---|---|---|")
    for row in ROWS:
        found = {}
        for part in ([], ["--memory"]):
            command = [sys.executable, __file__, *sys.argv[1:], "--row", row, *part]
            found |= json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        scores = " / ".join(f"{found[f'psnr {sigma:g}']:.2f}" for sigma in args.sigma)
        seam = f"{found['mean']:.2f} ({found['max']:.0f})" if "mean" in found else "0, by definition"
        print(f"| {row} | {scores} | {seam} | {found['s/MP']:.1f} | {found['MB']:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
