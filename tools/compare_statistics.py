"""Table: what attention statistics bring and cost: PSNR, difference from the untiled result, seconds, peak memory.

    python tools/compare_statistics.py PHOTOS [--names FILE] [--weights denoise] [--sigma 15,25,50]

PHOTOS are clean and of one size; Gaussian noise is added as the benchmarks do. Every row runs in a process of its own,
since peak memory never falls; it is taken on the mosaic of all photos, above what the process held before.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from diffir.allocator import keep_freed_memory
from diffir.degradations.benchmark_noise import add_benchmark_noise
from diffir.image_io import read_image
from diffir.inference.attention import RecordedStatistics
from diffir.inference.restorer import Restorer, load
from diffir.inference.runner import Runner
from diffir.inference.source import Source
from diffir.inference.streaming import StreamedNetwork
from diffir.metrics.fidelity import psnr

# name -> statistics, tile (-1: whole), name of the untiled result it is compared with
ROWS = {
    "global, whole (exact, streamed)": ("global", -1, None),
    "local, whole": ("local", -1, None),
    "tile 128": ("tile", 128, "global, whole (exact, streamed)"),
    "tile 256": ("tile", 256, "global, whole (exact, streamed)"),
    "global, two passes over tiles of 128": ("global", 128, "global, whole (exact, streamed)"),
    "global, two passes over tiles of 256": ("global", 256, "global, whole (exact, streamed)"),
    "global, from half the size, tiles of 128": ("downscaled", 128, "global, whole (exact, streamed)"),
    "local, tiles of 128": ("local", 128, "local, whole"),
    "local, tiles of 256": ("local", 256, "local, whole"),
}


class DownscaledRunner(Runner):
    """Statistics of the photo at half its size, used in every tile: only here, for comparison."""

    def _recorded(self, source, prior, plan, progress):
        lq = F.interpolate(source.rows(0, source.height), scale_factor=0.5, mode="area")
        half = Source.whole(lq.permute(0, 2, 3, 1).numpy(), None, self.settings)
        statistics = RecordedStatistics()
        StreamedNetwork(self._network, self.device, plan.strip_pixels).restore(
            half, prior, lambda top, rows: None, statistics
        )
        statistics.is_replaying = True
        return statistics


def restorer_for(weights: str, stats: str, tile: int) -> Restorer:
    restorer = load(weights, device="cpu", stats="global" if stats == "downscaled" else stats, tile=tile)
    if stats == "downscaled":
        restorer._runner.__class__ = DownscaledRunner
    return restorer


def read_photos(folder: Path, names: Path | None) -> list[np.ndarray]:
    lines = names.read_text("utf-8").splitlines() if names else sorted(path.name for path in folder.iterdir())
    wanted = [name for line in lines if (name := line.split("#")[0].strip())]
    return [read_image(folder / name).pixels for name in wanted]


def measure(args: argparse.Namespace) -> None:
    """One row: a JSON line, and the results as arrays for the rows that are compared with them."""
    stats, tile, reference = ROWS[args.row]
    photos, restorer = read_photos(args.photos, args.names), restorer_for(args.weights, stats, tile)
    found: dict[str, float] = {}
    for sigma in args.sigma:
        scores, differences, results, seconds = [], [], [], 0.0
        untiled = np.load(args.folder / f"{reference}-{sigma:g}.npy") if reference else None
        for number, photo in enumerate(photos):
            noisy = add_benchmark_noise(photo, sigma)
            start = time.perf_counter()
            restored = restorer.restore(noisy)
            seconds += time.perf_counter() - start
            scores.append(psnr(np.rint(restored * 255.0), photo))
            results.append(restored)
            if untiled is not None:
                differences.append(np.abs(restored - untiled[number]) * 255)
        found |= {f"psnr {sigma:g}": float(np.mean(scores)), "seconds": seconds}
        if untiled is None:
            np.save(args.folder / f"{args.row}-{sigma:g}.npy", np.stack(results))
        else:
            found |= {"mean": float(np.mean(differences)), "max": float(np.max(differences))}
    found["s/MP"] = found["seconds"] / (sum(photo.shape[0] * photo.shape[1] for photo in photos) / 1e6)
    del results, differences, untiled
    mosaic = np.concatenate(
        [np.concatenate(photos[row : row + 4], axis=1) for row in range(0, len(photos) // 4 * 4, 4)]
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    restorer = restorer_for(args.weights, stats, tile)
    restorer.restore(mosaic)
    found["MB"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    found["MP"] = mosaic.shape[0] * mosaic.shape[1] / 1e6
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--names", type=Path, help="text file of the photos to use")
    parser.add_argument("--weights", default="denoise")
    parser.add_argument("--sigma", type=lambda text: [float(part) for part in text.split(",")], default=[15, 25, 50])
    parser.add_argument("--folder", type=Path, default=Path("experiments/statistics"), help="for results in between")
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    keep_freed_memory()
    torch.manual_seed(0)
    if args.row is not None:
        return measure(args)
    args.folder.mkdir(parents=True, exist_ok=True)
    sigmas = " / ".join(f"{sigma:g}" for sigma in args.sigma)
    print(f"| statistics | PSNR at sigma {sigmas} | difference from untiled, mean (max) of 255 | s/MP | peak memory |")
    print("|---|---|---|---|---|")
    for row in ROWS:
        command = [sys.executable, __file__, *sys.argv[1:], "--row", row]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        scores = " / ".join(f"{found[f'psnr {sigma:g}']:.2f}" for sigma in args.sigma)
        seam = f"{found['mean']:.2f} ({math.ceil(found['max'])})" if "mean" in found else "0, by definition"
        print(f"| {row} | {scores} | {seam} | {found['s/MP']:.1f} | {found['MB']:.0f} MB |", flush=True)
    return None


if __name__ == "__main__":
    main()
