"""``diffir eval``: score methods on sets of images under degradations, and print every convention with the numbers.

This module has the flags and the printed output. The protocol is that of the published tables on a degradation, or
that of the set's card if inputs come with the set; flags override it. Scores are cached, so a stopped call continues
where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffir.cli.restore_flags import add_denoise_strength
from diffir.cli.scores import (
    add_metric_arguments,
    check_target,
    meter_from,
    scores_table,
    skipped_lines,
    write_json,
)
from diffir.cli.system_flags import add_system_flags
from diffir.cli.terminal import progress_bar, say, say_lines, say_paragraph

if TYPE_CHECKING:
    from diffir.cli.eval_setup import EvalPlan
    from diffir.evaluation.benchmark import Benchmark
    from diffir.evaluation.contestant import Contestant
    from diffir.evaluation.document import EvaluationDocument, Result
    from diffir.evaluation.scoring import Evaluation
    from diffir.metrics.table import LoadedMetrics

_EPILOG = """\
degradations, for sets of clean images; each value gets its own table:
  --sigma 15,25,50       Gaussian noise of published denoising tables: float, seeded, not clipped; RGB
  --quality 10,20,30,40  JPEG; RGB, or with --grey the luma alone, as in published JPEG tables
  --recipe NAME,FILE     a degradation recipe, drawn by each image's name; RGB
  --mask thin,FOLDER     holes, drawn (thin, medium, wide) or read; RGB, whole image and holes alone
  methods that upscale   MATLAB bicubic; Y, without a border of the scale
Inputs that come with a set are used unchanged. Without inputs and degradations, metrics that need no ground truth
score the photos themselves: diffir eval -n input,photo -d PHOTOS --metrics niqe

A metric whose weights are missing is skipped; a line says which file to put where.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``diffir eval`` to a parser."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "diffir eval -n METHOD[,METHOD] -d SET[,SET] [degradation] [flags]"
    parser.epilog = _EPILOG
    parser.add_argument(
        "-n",
        "--model_name",
        required=True,
        metavar="METHOD[,METHOD]",
        help="baselines (input, bicubic_x2, bicubic_x3, bicubic_x4, nlm, dct, telea, navier_stokes, membrane), "
        "networks (diffir models) and weights files, those of other projects included; networks joined by + restore "
        "one after the other, as photo+sr_x4",
    )
    parser.add_argument(
        "-d", "--dataset", required=True, metavar="SET[,SET]", help="names or paths of cards, or folders of images"
    )
    parser.add_argument("--data_root", type=Path, help="folder of the sets; default: $DIFFIR_DATA, else datasets/")
    parser.add_argument("--limit", type=int, metavar="N", help="use only the first N images of each set")
    _add_degradation_arguments(parser.add_argument_group("degradations, see below"))
    add_metric_arguments(parser.add_argument_group("what is compared"))
    _add_prior_arguments(parser.add_argument_group("kinds of prior (DiffIR networks)"))
    _add_network_arguments(parser.add_argument_group("networks"))
    add_system_flags(parser)
    results = parser.add_argument_group("results")
    results.add_argument(
        "--json", type=Path, metavar="FILE", help="write scores of every image and everything they depend on"
    )
    results.add_argument("--html", type=Path, metavar="FILE", help="write one page with tables, sliders and error maps")
    results.add_argument(
        "--cases", type=int, default=8, metavar="N", help="images shown in the page, 1 to 3 MB each (default: 8)"
    )
    results.add_argument(
        "--cache", type=Path, metavar="DIR", help="folder of cached scores; default: eval in $DIFFIR_CACHE"
    )
    results.add_argument("--no_cache", action="store_true", help="measure everything again and cache nothing")


def _add_degradation_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--sigma", metavar="S[,S]", help="standard deviations of noise, in 1/255")
    group.add_argument("--quality", metavar="Q[,Q]", help="JPEG qualities, 1 to 100")
    group.add_argument("--grey", action="store_true", help="save and compare luma alone (with --quality)")
    group.add_argument("--recipe", metavar="R[,R]", help="degradation recipes: names or files")
    group.add_argument("--seed", type=int, default=0, help="seed of the recipes' random draws (default: 0)")
    group.add_argument("--mask", metavar="M[,M]", help="thin, medium, wide, or folders of masks")
    group.add_argument(
        "--mask_is_white", choices=["missing", "keep"], default="missing", help="what white means in mask files"
    )
    group.add_argument(
        "--lr",
        choices=["rgb8", "y_float"],
        help="input of super-resolution: 8-bit RGB, or float luma as for the published bicubic rows",
    )


def _add_prior_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--prior",
        default="diffusion",
        metavar="KIND[,KIND]",
        help="diffusion (default), condition, one-step, mean, other, random, zero; with --stage1 also oracle, stage1; "
        "or all; a row each",
    )
    group.add_argument(
        "--stage1", type=Path, metavar="FILE", help="the stage-1 weights from which the network was trained"
    )
    group.add_argument(
        "--prior_samples", type=int, default=1, metavar="K", help="print how results vary over K start noises"
    )


def _add_network_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    group.add_argument(
        "--precision",
        default="fp32",
        choices=["auto", "fp32", "bf16", "fp16"],
        help="default: fp32 on every device, unlike diffir restore, so that scores can be compared",
    )
    add_denoise_strength(group)
    group.add_argument("-t", "--tile", type=int, default=0, help="side of tiles in pixels; 0: by memory, -1: none")
    group.add_argument(
        "-x", "--tta", action="store_true", help="self-ensemble: mean over the eight flips and rotations"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, and write the JSON file and the page; return the exit code."""
    # Find out early whether the results can be written.
    check_target(args.json, "--json")
    check_target(args.html, "--html")
    from diffir.cli.eval_plan import make_plan
    from diffir.evaluation.document import document_of, document_to_json

    # Check flags and files before the first image is restored.
    plan = make_plan(args)
    for benchmark in {one.files: one for one in plan.benchmarks}.values():  # a set is checked once for all degradations
        benchmark.refuse_unreadable()

    # Measure. Results are written even if a later set fails.
    results: list[Result] = []
    try:
        for table in _tables(args, plan):
            results += table
    finally:
        if args.json and results:
            write_json(args.json, document_to_json(document_of(results, plan.device)))
    for line in dict.fromkeys(f"{result.method}: {result.summary}" for result in results):
        say_paragraph(line)
    if args.html:
        _write_html(args.html, document_of(results, plan.device), plan, args.cases)
    return 0


def _tables(args: argparse.Namespace, plan: EvalPlan) -> Iterator[list[Result]]:
    """Measure and print one table for each set and degradation, and yield its results."""
    from diffir.evaluation.document import result_of

    # Weights of metrics are loaded once for all tables.
    meters: dict[tuple[str, ...], LoadedMetrics] = {}
    for benchmark in plan.benchmarks:
        names = plan.metrics_for(benchmark)
        if names not in meters:
            meters[names] = meter_from(args, names, plan.device)
        contestants = plan.contestants(benchmark.degradation)
        evaluations = [_measured(benchmark, one, meters[names], plan.cache) for one in contestants]
        table = [result_of(benchmark, *row) for row in zip(contestants, evaluations, strict=True)]
        _print_table(f"{benchmark.dataset}, {benchmark.degradation.label}", table)
        yield _with_spreads(table, plan, benchmark, args.prior_samples)


def _measured(benchmark: Benchmark, contestant: Contestant, meter: LoadedMetrics, cache: Path | None) -> Evaluation:
    from diffir.evaluation.benchmark import measure

    with progress_bar(contestant.name, len(benchmark.files), unit="image") as bar:

        def on_image(name: str) -> None:
            bar.update()

        return measure(benchmark, contestant, meter, cache=cache, on_image=on_image)


def _print_table(title: str, table: list[Result]) -> None:
    say_lines(scores_table(title, [(result.method, result.evaluation) for result in table]))
    # The protocol line is that of a method whose output is rounded; methods without rounding are listed after it.
    described = next((result for result in table if result.evaluation.round_output), table[0])
    say_paragraph(f"protocol: {described.protocol_line}")
    exact = [result.method for result in table if not result.evaluation.round_output]
    if exact:
        say_paragraph(f"scored as it is, not rounded: {', '.join(exact)}")
    for metric, names in described.evaluation.unscored.items():
        number = f"{len(names)} of {described.count} images"
        say_paragraph(f"{metric} could not score {number}, which are too small: {', '.join(names)}")
    for line in skipped_lines(described.evaluation.skipped):
        say_paragraph(line)
    say("")


def _with_spreads(table: list[Result], plan: EvalPlan, benchmark: Benchmark, noises: int) -> list[Result]:
    """Print how results spread over start noises, and add this to the results that use the prior of the diffusion."""
    from diffir.systems.diffir.prior_study import spread_over_noises

    spreads = {}
    for name, restorers in plan.restorers_of_noises(noises).items():
        spread = spread_over_noises(restorers, benchmark.samples(), benchmark.protocol)
        say_paragraph(f"{name}, {spread}")
        say("")
        spreads[name] = asdict(spread)
    return [replace(result, prior_spread=spreads.get(result.method, {})) for result in table]


def _write_html(path: Path, document: EvaluationDocument, plan: EvalPlan, shown: int) -> None:
    from diffir.cli.eval_cases import cases_of, evenly
    from diffir.data.cards.published_rows import rows_for
    from diffir.report import choose_cases, write_report

    # Published numbers are for whole sets, so they are not shown beside a part of one.
    public = [one for one in plan.benchmarks if one.is_public_set]
    published = [row for one in public for row in rows_for(one.dataset, one.degradation.label)]

    # Choose more images than are shown, then take them evenly from all sets.
    chosen = choose_cases(document, per_group=-(-shown // len(plan.benchmarks)))
    write_report(path, document, cases_of(evenly(chosen, shown), plan, document.results), published=published)
    say_paragraph(f"report {path}")
