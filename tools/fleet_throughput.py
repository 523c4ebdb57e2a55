"""Compare ``diffir fleet`` with ``diffir restore`` on one core of this machine: photos a second once both are warm.

    python -m tools.fleet_throughput [--photos 48] [--rounds 2]

Both restore the same small photos in turns, the fleet with one worker. What counts is the time from the first result
to the last, so starting Ray and loading the network is left out. It is given by the clock, in CPU seconds of all
processes of a command, and in those of the process that restores. On a busy machine the clock compares little, and the
processes of Ray, which work a little all the time, take more than on an idle one. Runs on Linux.
"""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from diffir.image_io import read_image, write_image

ROOT = Path(__file__).resolve().parents[1]
SIDES = (384, 256)  # width and height in pixels
MARK = "DIFFIR_THROUGHPUT"  # variable of the environment that only the processes of one run have
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Rate:
    """Photos a second between the first result and the last."""

    clock: float
    cpu: float
    """A CPU second of all processes."""
    restoring: float
    """A CPU second of the process that restores."""


def main() -> None:
    """Measure in turns, and print each turn and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    ratios: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        write_photos(photos, args.photos)
        for number in range(args.rounds):
            commands = {"restore": ["restore"], "fleet": ["fleet", "--workers", "1", "--cpus", "1"]}
            rates = {name: rate(words, photos, Path(folder, f"{name}{number}")) for name, words in commands.items()}
            for name, one in rates.items():
                print(name, ", ".join(f"{unit} {value:.2f}" for unit, value in vars(one).items()), flush=True)
            for unit, value in vars(rates["fleet"]).items():
                ratios.setdefault(unit, []).append(value / getattr(rates["restore"], unit))
    shown = ", ".join(f"{unit} {median(values):.2f}" for unit, values in ratios.items())
    print(f"fleet / restore, medians of {args.rounds} turns: {shown}")


def write_photos(folder: Path, count: int) -> None:
    """Cut different photos out of the noisy samples."""
    folder.mkdir()
    samples = [read_image(path).pixels for path in sorted((ROOT / "datasets/samples/noisy").glob("*.png"))]
    for number in range(count):
        sample, (width, height) = samples[number % len(samples)], SIDES
        top, left = 7 * number % (sample.shape[0] - height + 1), 11 * number % (sample.shape[1] - width + 1)
        write_image(folder / f"{number:04}.png", sample[top : top + height, left : left + width])


def rate(words: list[str], photos: Path, results: Path) -> Rate:
    """Run a command and watch its results and its processes."""
    mark, wanted = secrets.token_hex(8), len(list(photos.iterdir()))
    command = [sys.executable, "-m", "diffir", words[0], str(photos), "-o", str(results), *words[1:]]
    environment = {**os.environ, MARK: mark, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    with tempfile.TemporaryFile() as said, subprocess.Popen(
        [*command, *([] if words[0] == "fleet" else ["--device", "cpu"])],
        cwd=ROOT, env=environment, stdout=said, stderr=said,
    ) as process:  # fmt: skip
        spent: dict[int, float] = {}  # CPU seconds by process
        first: tuple[int, float, dict[int, float]] | None = None
        while process.poll() is None:
            done, now = len(list(results.glob("*.png"))), time.monotonic()
            spent |= cpu_seconds(mark)
            if first is None and done:
                first = done, now, dict(spent)
            if done == wanted and first is not None:
                process.wait()
                since = [seconds - first[2].get(number, 0) for number, seconds in spent.items()]
                return Rate(*((done - first[0]) / taken for taken in (now - first[1], sum(since), max(since))))
            time.sleep(0.1)
        said.seek(0)
        raise SystemExit(f"{' '.join(command)} ended before it was done:\n{said.read().decode()}")


def cpu_seconds(mark: str) -> dict[int, float]:
    """User and system time of the processes whose environment holds the mark."""
    found = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError):  # of another user, or gone meanwhile
            if folder.name.isdecimal() and mark.encode() in (folder / "environ").read_bytes():
                fields = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()
                found[int(folder.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    return found


if __name__ == "__main__":
    main()
