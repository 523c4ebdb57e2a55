"""Measure how latent diffusion behaves on photos: steps against quality, diversity over seeds, and beside DiffIR.

python tools/latent_study.py steps PHOTOS -n ldm_sr_x4 -o RESULTS.json [--ddim 1,2,5,10,20,50,100,200] [--dpm 2,4,10,20]
python tools/latent_study.py diversity PHOTOS -n ldm_sr_x4 -o RESULTS.json [--samples 8]
python tools/latent_study.py systems PHOTOS -n sr_x4,ldm_sr_x4 -o RESULTS.json
python tools/latent_study.py tables - -o RESULTS.json
The middle square of each photo is degraded by --recipe. A call that was stopped continues, since rows that the file
holds are not measured again. The last form prints the tables of a file. LPIPS is that with SqueezeNet; PSNR and SSIM
of networks that enlarge are those of luma.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffir.api import load
from diffir.config import ValSetConfig
from diffir.data.validation_set import validation_samples
from diffir.degradations.recipes import load_recipe
from diffir.evaluation.contestant import SIDE
from diffir.evaluation.peak_memory import PeakMemory
from diffir.evaluation.sample import Sample
from diffir.evaluation.scoring import as_scored, score, summarise
from diffir.files import write_atomically
from diffir.inference.restorer import Restorer
from diffir.inference.samples import draw_samples
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import LoadedMetrics

METRICS = ("psnr", "ssim", "lpips", "niqe")
Row = dict[str, Any]


def samples_of(photos: str, recipe: str, crop: int, restorer: Restorer, names: str | None = None) -> list[Sample]:
    """The degraded middle squares of the photos in a folder, or of those that a text file names."""
    facts, made = restorer.facts, load_recipe(recipe)
    section = ValSetConfig(dataroot_gt=photos, gt_size=crop, meta_info_file=names)
    pairs = validation_samples(section, made, multiple_of=facts.multiple_of, scale=facts.scale)
    return [Sample(pair.name, pair.lq, pair.gt) for pair in pairs]


def protocol_of(restorer: Restorer) -> Protocol:
    """The protocol of ``diffir eval``: for networks that enlarge, luma without a border of ``scale`` pixels."""
    return Protocol(crop_border=restorer.scale, test_y_channel=True) if restorer.scale > 1 else Protocol()


def restored(restorer: Restorer, sample: Sample) -> np.ndarray:
    """The result for a sample, whose fourth channel is a mask if the network fills holes."""
    return restorer.restore(sample.lq[..., :3], sample.lq[..., 3] if restorer.has_mask else None)


def measured(restorer: Restorer, samples: Sequence[Sample]) -> Row:
    """Scores, cost and peak memory of a restorer on samples; cost and time are those of a megapixel of the result."""
    meter, memory, seconds = LoadedMetrics.prepare(METRICS), PeakMemory(str(restorer.device)), 0.0
    of_set, protocol = meter.new_set(), protocol_of(restorer)

    def timed(sample: Sample) -> np.ndarray:
        nonlocal seconds
        start = time.process_time()
        result = restored(restorer, sample)
        seconds += time.process_time() - start
        return result

    restored(restorer, samples[0])  # the first call is slower
    images = [score(timed, sample, meter, protocol, of_set, memory=memory) for sample in samples]
    evaluation = summarise(images, protocol, round_output=True)
    pixels = sum(image.width * image.height for image in images)
    return {
        **{name: mean.value for name, mean in evaluation.scores.items()},
        "cpu_seconds_per_megapixel": seconds / pixels * 1e6,
        "multiply_adds_per_megapixel": restorer.engine.multiply_adds(SIDE) / (SIDE * restorer.scale) ** 2 * 1e6,
        "parameters": sum(parameter.numel() for parameter in restorer.engine.network.parameters()),
        "peak_memory_mb": evaluation.peak_memory_mb,
        "photos": len(samples),
    }


def diversity(restorer: Restorer, samples: Sequence[Sample], count: int) -> Row:
    """How results of consecutive seeds differ, and what one of them and their mean score."""
    meter, protocol, rows = LoadedMetrics.prepare(METRICS), protocol_of(restorer), []
    for sample in samples:
        mask = sample.lq[..., 3] if restorer.has_mask else None
        drawn = draw_samples(restorer, sample.lq[..., :3], mask, count=count)
        pairs = itertools.combinations([as_scored(image, round_output=True) for image in drawn.images], 2)
        lpips = [meter.measure(one, other, protocol, data_range=255)["lpips"] for one, other in pairs]
        truth = as_scored(sample.truth, round_output=True)
        one, mean = (
            meter.measure(as_scored(image, round_output=True), truth, protocol, data_range=255)
            for image in (drawn.images[0], drawn.mean)
        )
        rows.append(
            {
                "std_levels": 255 * float(drawn.deviation.mean()),
                "pairwise_lpips": statistics.fmean(lpips),
                **{f"one_{name}": value for name, value in one.items()},
                **{f"mean_{name}": value for name, value in mean.items()},
            }
        )
    return {"samples": count, **{name: statistics.fmean(row[name] for row in rows) for name in rows[0]}}


class Results:
    """The rows of a file of results, which is written after every new row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = json.loads(path.read_text("utf-8"))["rows"] if path.is_file() else []

    def add(self, key: Row, measure: Callable[[], Row]) -> None:
        """Measure a row unless the file holds one with this key."""
        if any(row.items() >= key.items() for row in self.rows):
            return
        self.rows.append({**key, **measure()})
        print(json.dumps(self.rows[-1]), flush=True)
        with write_atomically(self.path) as file:
            file.write(json.dumps({"rows": self.rows}, indent=1).encode())


# Study -> the columns of its table: head, and the value of a row as text.
COLUMNS: dict[str, dict[str, Callable[[Row], str]]] = {
    "steps": {
        "sampler": lambda row: f"`{row['sampler']}`",
        "steps": lambda row: str(row["steps"]),
    },
    "diversity": {
        "network": lambda row: f"`{row['network']}`",
        "steps": lambda row: str(row["steps"]),
        "results": lambda row: str(row["samples"]),
        "standard deviation, of 255": lambda row: f"{row['std_levels']:.2f}",
        "LPIPS between two results": lambda row: f"{row['pairwise_lpips']:.3f}",
        "one result: PSNR, LPIPS, NIQE": lambda row: _three(row, "one_"),
        "mean: PSNR, LPIPS, NIQE": lambda row: _three(row, "mean_"),
    },
    "systems": {
        "network": lambda row: f"`{row['network']}`",
        "system": lambda row: row["system"],
    },
}
SCORES: dict[str, Callable[[Row], str]] = {
    "PSNR": lambda row: f"{row['psnr']:.2f}",
    "SSIM": lambda row: f"{row['ssim']:.4f}",
    "LPIPS": lambda row: f"{row['lpips']:.3f}",
    "NIQE": lambda row: f"{row['niqe']:.1f}",
    "CPU seconds a megapixel": lambda row: f"{row['cpu_seconds_per_megapixel']:.1f}",
}
COST: dict[str, Callable[[Row], str]] = {
    "multiply-adds a megapixel": lambda row: f"{row['multiply_adds_per_megapixel'] / 1e9:,.0f} G",
    "parameters": lambda row: f"{row['parameters'] / 1e6:.2f} M",
    "peak memory": lambda row: "-" if row["peak_memory_mb"] is None else f"{row['peak_memory_mb']:.0f} MB",
}
COLUMNS["steps"] |= SCORES
COLUMNS["systems"] |= SCORES | COST


def table(columns: dict[str, Callable[[Row], str]], rows: Sequence[Row]) -> str:
    """A Markdown table of rows."""
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(cell(row) for cell in columns.values())} |" for row in rows]
    return "\n".join(lines)


def _three(row: Row, prefix: str) -> str:
    return f"{row[f'{prefix}psnr']:.2f}, {row[f'{prefix}lpips']:.3f}, {row[f'{prefix}niqe']:.1f}"


def tasks_of(args: argparse.Namespace) -> Iterator[tuple[Row, Callable[[], Row]]]:
    """The rows that a call asks for: what identifies each, and a function that measures it."""
    common = {"study": args.study, "recipe": args.recipe, "crop": args.crop, "photos_in": Path(args.photos).name}
    for name in args.names.split(","):

        def measure(name: str = name, **options: Any) -> Row:
            restorer = load(name, device=args.device, precision=args.precision, **options)
            samples = samples_of(args.photos, args.recipe, args.crop, restorer, args.photo_names)
            if args.study == "diversity":
                return {"steps": restorer.in_use().get("steps"), **diversity(restorer, samples, args.samples)}
            return {"system": restorer.system, **measured(restorer, samples)}

        key = {**common, "network": name}
        if args.study != "steps":
            yield {**key, **({"samples": args.samples} if args.study == "diversity" else {})}, measure
            continue
        for sampler in ("ddim", "dpm"):
            for steps in map(int, filter(None, getattr(args, sampler).split(","))):
                own = {"sampler": sampler, "steps": steps}
                yield {**key, **own}, lambda measure=measure, own=own: measure(**own)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows of one study, or print the tables of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=[*COLUMNS, "tables"])
    parser.add_argument("photos", help="folder of clean photos; - for tables")
    parser.add_argument("-n", "--names", default="ldm_sr_x4", help="networks, separated by commas")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file of results")
    parser.add_argument("--photo_names", help="text file with the names of the photos to use")
    parser.add_argument("--recipe", default="bicubic_x4")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--ddim", default="1,2,5,10,20,50,100,200")
    parser.add_argument("--dpm", default="2,4,10,20")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    args = parser.parse_args(arguments)

    results = Results(args.output)
    if args.study == "tables":
        for study, columns in COLUMNS.items():
            rows = [row for row in results.rows if row["study"] == study]
            if rows:
                print(f"\n{study}\n\n{table(columns, rows)}")
        return
    for key, measure in tasks_of(args):
        results.add(key, measure)


if __name__ == "__main__":
    main()
