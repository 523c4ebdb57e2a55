"""Measure what docs/benchmarks.md shows: every shipped network on every set at hand, then write the page.

python tools/measure_benchmarks.py [NAME ...]   (DIFFIR_DATA says where the sets lie; all runs when none is named)
Scores are kept, so a stopped call goes on. An hour on one CPU core.
"""

import sys
from pathlib import Path

import benchmarks_page

from diffir.cli.main import main as diffir
from diffir.weights.catalogue import catalogue

FOLDER = Path(__file__).resolve().parents[1] / "docs/benchmarks"
NETWORKS = ",".join(entry.name for entry in catalogue().values() if entry.path is not None)
CLEAN = "set5,set14,cbsd68,kodak24,live1,classic5"
# file -> flags; the first methods are the baselines of that task
RUNS = {
    "denoising": f"-n input,nlm,dct,{NETWORKS} -d cbsd68,kodak24,set14 --sigma 15,25,50",
    "damage": f"-n input,nlm,{NETWORKS} -d {CLEAN} --recipe photo --metrics psnr,ssim,lpips",
    "jpeg": f"-n input,{NETWORKS} -d live1,classic5 --quality 10,20,30,40",
    "jpeg_grey": f"-n input,{NETWORKS} -d live1,classic5 --quality 10,20,30,40 --grey --metrics psnr,ssim,psnr_b",
    "pairs": f"-n input,{NETWORKS} -d rain100l,rain100h,gopro,sots_indoor,lol,polyu,realsr_ntire19 "
    "--metrics psnr,ssim,lpips",
    "real_photos": f"-n input,{NETWORKS} -d real_photos --metrics niqe",
    "inpainting": "-n input,telea,navier_stokes -d kodak24 --mask thin,medium,wide",
    "bicubic_x2": "-n bicubic_x2 -d set5,set14",
    "bicubic_x4": "-n bicubic_x4 -d set5,set14",
}


def main() -> int:
    """Each run writes one file; then the page."""
    for name in sys.argv[1:] or RUNS:
        failed = diffir(["eval", *RUNS[name].split(), "--json", str(FOLDER / f"{name}.json")])
        if failed:
            return failed
    return benchmarks_page.main([])


if __name__ == "__main__":
    sys.exit(main())
