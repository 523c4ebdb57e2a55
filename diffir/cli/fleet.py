"""``diffir fleet``: restore folders or buckets of very many photos on many machines, with Ray Data.

Exit code 0: all photos have a result; 1: some failed; 2: wrong usage; 130: interrupted. The same call goes on where an
interrupted one stopped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from diffir.cli.parser import Parser
from diffir.cli.restore_flags import add_format_flags, add_memory_flags, add_network_flags, positive
from diffir.cli.system_flags import add_system_flags
from diffir.cli.terminal import complain, progress_bar, say
from diffir.errors import MissingDependency, UsageError, WeightsError

if TYPE_CHECKING:
    from diffir.fleet.ledger import Ledger
    from diffir.fleet.run import Fleet
    from diffir.fleet.worker import Work

LEDGER = "_ledger"
_SECONDS_A_LINE = 60.0  # where there is no terminal for a bar
_ERRORS_SHOWN = 20


def add_arguments(parser: Parser) -> None:
    """Add the flags of ``diffir fleet``; many are those of ``diffir restore``."""
    parser.usage = "diffir fleet INPUT -o OUTPUT [-n NAME] [flags]"
    parser.set_defaults(gpu_id=None, mask=None, share_prior=False, skip_existing=False)
    places = parser.add_argument_group("places: folders, or s3://, gs:// and hf:// addresses")
    places.add_argument("input", metavar="INPUT", help="photos in it and in all folders below are restored")
    places.add_argument("-o", "--output", required=True, metavar="OUTPUT", help="results, with the same folders")
    places.add_argument("--ledger", metavar="PLACE", help=f"rows on all photos, in Parquet (default: OUTPUT/{LEDGER})")
    places.add_argument("--retry_failed", action="store_true", help="also try those photos again that failed before")
    workers = parser.add_argument_group("workers")
    workers.add_argument("--workers", type=positive, metavar="N", help="how many (default: as many as fit)")
    workers.add_argument("--cpus", type=positive, metavar="N", help="CPU cores of a worker (default: 1)", default=1)
    workers.add_argument(
        "--gpus", type=_share, metavar="X", default=0.0, help="GPUs of a worker, such as 1 or 0.5 (default: 0)"
    )
    workers.add_argument(
        "--address", metavar="RAY", help="a running Ray cluster: auto or ray://HOST:10001 (default: this machine)"
    )
    add_format_flags(parser.add_argument_group("results"))
    add_network_flags(parser.add_argument_group("network"))
    add_memory_flags(parser.add_argument_group("memory"))
    add_system_flags(parser)


def run(args: argparse.Namespace) -> int:
    """List the photos, leave out those that the ledger knows, restore the others, and report."""
    try:
        from diffir.fleet.ledger import Ledger
        from diffir.fleet.run import plan, unfinished
    except ImportError as error:
        raise MissingDependency(error.name or "pyarrow", "diffir fleet", "fleet") from None
    from diffir.fleet.stores import Store

    work = _work(args)
    ledger = Ledger(work.outputs.below(LEDGER) if args.ledger is None else Store.at(args.ledger))
    photos = work.inputs.photos(without=(work.outputs, ledger.store))
    if not photos:
        raise UsageError(f"no photo in {work.inputs.address()}, nor in any folder below")
    rows = unfinished(plan(photos, args.ext), ledger, work, retry_failed=args.retry_failed)
    say(f"{len(photos)} photos, {len(photos) - len(rows)} of them are in the ledger {ledger.store.address()}")
    if not rows:
        return 0
    return _restore(rows, work, _fleet(args), ledger)


def _work(args: argparse.Namespace) -> Work:
    """What the workers do, checked here so that a mistake in a flag is found before Ray starts."""
    from diffir.api import card_of_source, members_of
    from diffir.cli.restore import load_options, settings_of
    from diffir.fleet.stores import Store
    from diffir.fleet.worker import Work
    from diffir.weights.catalogue import default_name

    network = str(args.model_path.resolve() if args.model_path else args.model_name or default_name())
    if network == "auto":
        raise UsageError("-n auto looks at each photo, which diffir restore does; name a network")
    try:
        options = load_options(args, [card_of_source(member) for member in members_of(network)])
    except WeightsError as error:  # the file that a flag names is at fault
        raise UsageError(str(error)) from error
    inputs, outputs = Store.at(args.input), Store.at(args.output)
    if inputs == outputs:
        raise UsageError("INPUT and OUTPUT are one place, and photos would be overwritten; choose another output")
    return Work(
        inputs,
        outputs,
        network,
        {**options, "device": "cuda" if args.gpus else "cpu"},
        settings_of(args, None),
        threads=args.cpus,
        may_change_format=args.ext == "auto",
    )


def _fleet(args: argparse.Namespace) -> Fleet:
    from diffir.fleet.run import Fleet

    return Fleet(args.workers, args.cpus, args.gpus, args.address)


def _restore(rows: Sequence[dict[str, object]], work: Work, fleet: Fleet, ledger: Ledger) -> int:
    """Restore the photos, keep the ledger and show how far it is."""
    from diffir.fleet.run import restore_all

    done = failed = 0
    start = said = time.monotonic()
    bar = progress_bar(None, len(rows), unit="photo")
    try:
        for finished in restore_all(rows, work, fleet):
            ledger.add(finished)
            errors = [str(row["error"]) for row in finished if row["error"]]
            for error in errors[: max(0, _ERRORS_SHOWN - failed)]:
                complain(error)
            done, failed = done + len(finished) - len(errors), failed + len(errors)
            bar.update(len(finished))
            if bar.disable and time.monotonic() - said > _SECONDS_A_LINE:
                said = time.monotonic()
                say(f"{done + failed} of {len(rows)} photos, {(done + failed) / (said - start):.2f} a second")
    finally:
        bar.close()
        ledger.flush()
        more = f" ({failed - _ERRORS_SHOWN} more errors are in the ledger)" if failed > _ERRORS_SHOWN else ""
        left = f", {len(rows) - done - failed} not begun" if done + failed < len(rows) else ""
        say(f"restored {done}, failed {failed}{left}, in {time.monotonic() - start:.0f} s{more}")
    return 1 if failed else 0


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 64 or (value > 1 and value != int(value)):
        raise argparse.ArgumentTypeError(f"must be a part of a GPU or a whole number of them, not {text!r}")
    return value
