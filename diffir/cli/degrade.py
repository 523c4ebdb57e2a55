"""``diffir degrade``: apply a degradation recipe to photos and write the results as files or as a contact sheet.

Decided here: the flags, the names of the files, the seeds. The random numbers of a photo come from the seed and from
its name, so that the result does not depend on the other files in its folder. Each file prints one line; a file that
cannot be read does not stop the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diffir.cli.terminal import complain, say
from diffir.errors import ImageError, MissingDependency, UsageError

if TYPE_CHECKING:
    import numpy as np

    from diffir.batch.jobs import Job
    from diffir.degradations.preview import Picture
    from diffir.degradations.recipes import Recipe

LOSSLESS = (".png", ".tif", ".tiff", ".bmp")
MASKS = "masks"
PREVIEW_DRAWS, PREVIEW_ROWS = 4, 16
_EPILOG = f"""\
-o is a folder, which is made if missing, or for one photo a file ({", ".join(LOSSLESS)}).
Photos keep their names and become 8-bit PNG; alpha and metadata are left out.
A recipe that cuts holes also writes OUT/{MASKS}/NAME.png, which diffir restore takes with --mask OUT/{MASKS}.
If a side is not a multiple of the recipe's scale, the last rows and columns are cut off first.
--preview shows the middle 256 x 256 pixels of each photo beside {PREVIEW_DRAWS} draws (or --count), without resizing.

exit codes: 0 done, 1 some files failed, 2 wrong usage, 130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``diffir degrade`` to its parser."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "diffir degrade INPUT ... --recipe NAME|FILE [-o OUT] [--preview SHEET] [flags]"
    parser.epilog = _EPILOG
    parser.set_defaults(positional="inputs")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="photos, folders of photos, patterns")
    parser.add_argument("-o", "--output", metavar="OUT", help="folder, or file for one photo")
    parser.add_argument("--recipe", metavar="NAME|FILE", help="a shipped recipe (--list) or a YAML file")
    parser.add_argument("--preview", type=Path, metavar="SHEET", help="contact sheet: photos beside degraded versions")
    parser.add_argument("--seed", type=_whole, default=0, metavar="N", help="seed of the first draw (default: 0)")
    parser.add_argument(
        "--count",
        type=_positive,
        metavar="N",
        help="number of draws per photo, with the seeds from --seed on; above 1, names end in _sSEED",
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="also subfolders, whose structure is kept")
    parser.add_argument("--list", action="store_true", help="list the shipped recipes")


def run(args: argparse.Namespace) -> int:
    """Degrade the photos, write the files and the contact sheet; return the exit code."""
    if args.list:
        _print_recipes()
        return 0
    _check_usage(args)
    from diffir.batch.jobs import plan_jobs
    from diffir.degradations.recipes import load_recipe

    # Read the recipe, and plan which file goes where.
    recipe = load_recipe(args.recipe)
    single = args.output is not None and Path(args.output).suffix.lower() in LOSSLESS
    ext = "auto" if single and not Path(args.output).is_dir() else "png"
    # Without -o no files are written, but inputs are found and checked by the same rules.
    jobs = plan_jobs(args.inputs, args.output or "degraded/", ext=ext, recursive=args.recursive)
    _check_targets(args, recipe, jobs)
    # Degrade the photos one by one.
    say(f"recipe {args.recipe}, scale {recipe.scale}, channels {recipe.channels}, seed {args.seed}")
    return _degrade_all(args, recipe, jobs)


def _check_usage(args: argparse.Namespace) -> None:
    from diffir.image_io import IMAGE_SUFFIXES

    if args.recipe is None:
        raise UsageError("--recipe is missing: name a shipped recipe (diffir degrade --list) or a YAML file")
    if args.output is None and args.preview is None:
        raise UsageError("no output: name -o FOLDER for files, --preview SHEET.png for a contact sheet, or both")
    if args.output is not None and Path(args.output).suffix.lower() in set(IMAGE_SUFFIXES) - set(LOSSLESS):
        raise UsageError(
            f"{args.output} would compress the result with losses; choose a folder or one of {_words(LOSSLESS)}"
        )
    if args.preview is not None and (args.preview.suffix.lower() not in (*LOSSLESS, ".jpg", ".webp")):
        raise UsageError(f"--preview {args.preview} must end in one of {_words((*LOSSLESS, '.jpg', '.webp'))}")


def _degrade_all(args: argparse.Namespace, recipe: Recipe, jobs: Sequence[Job]) -> int:
    """Degrade all photos, write the contact sheet, and return 1 if a photo failed, else 0."""
    rows: list[list[Picture]] = []
    failed = 0
    for job in jobs:
        # A sheet alone needs only as many photos as it has rows.
        if args.output is None and len(rows) == PREVIEW_ROWS:
            say(f"the contact sheet is full: {len(jobs) - len(rows) - failed} more photos are not shown")
            break
        try:
            row = _degrade_one(args, recipe, job)
        except (ImageError, MissingDependency) as error:
            failed += 1
            complain(error)
        else:
            rows += [row] if args.preview is not None and len(rows) < PREVIEW_ROWS else []
    if rows:
        _write_sheet(args.preview, rows)
    return 1 if failed else 0


def _degrade_one(args: argparse.Namespace, recipe: Recipe, job: Job) -> list[Picture]:
    """Degrade one photo by all its seeds, write its files, and return its row of the contact sheet."""
    from diffir.degradations.preview import preview_row
    from diffir.degradations.recipes import degrade_image, seed_for_photo

    # Read the photo, and find the seeds to write and the seeds to show.
    clean = _read_clean(job, recipe.scale)
    targets = _targets(args, recipe, job)
    shown = range(args.seed, args.seed + (args.count or PREVIEW_DRAWS) if args.preview is not None else args.seed)
    # Degrade it once per seed.
    draws: dict[int, np.ndarray] = {}
    for seed in sorted({*targets, *shown}):
        lq = degrade_image(clean, recipe, seed_for_photo(job.source.stem, seed))
        if seed in targets:
            _write(*targets[seed], lq, job.source)
        if seed in shown:
            draws[seed] = lq
    return preview_row(job.source.stem, clean, recipe, draws)


def _targets(args: argparse.Namespace, recipe: Recipe, job: Job) -> dict[int, tuple[Path, Path | None]]:
    """Map each seed to the path of its photo and of its mask; the mask is None if the recipe cuts no holes."""
    targets: dict[int, tuple[Path, Path | None]] = {}
    for seed in range(args.seed, args.seed + (args.count or 1)) if args.output is not None else ():
        target = job.target.with_stem(f"{job.target.stem}_s{seed}") if (args.count or 1) > 1 else job.target
        targets[seed] = (target, target.parent / MASKS / f"{target.stem}.png" if recipe.channels == 4 else None)
    return targets


def _check_targets(args: argparse.Namespace, recipe: Recipe, jobs: Sequence[Job]) -> None:
    """Refuse two results of one name; ``plan_jobs`` does not know the names with seeds, the masks and the sheet."""
    from diffir.batch.inputs import real_path

    taken = {real_path(job.source) for job in jobs}
    paths = [path for job in jobs for pair in _targets(args, recipe, job).values() for path in pair if path is not None]
    for path in paths if args.preview is None else [*paths, args.preview]:
        if real_path(path) in taken:
            raise UsageError(f"{path} is an input, or two results would have that name; choose another output")
        taken.add(real_path(path))


def _read_clean(job: Job, scale: int) -> np.ndarray:
    """Read a photo as H x W x 3 RGB, cut so that its sides are multiples of the scale."""
    from diffir.degradations.recipes import cut_to_multiple
    from diffir.image_io import read_image
    from diffir.pixels import as_rgb

    if job.refusal:
        raise ImageError(job.refusal)
    if job.is_video:
        raise ImageError(f"{job.source} is a video; only photos can be degraded")
    image = as_rgb(read_image(job.source).pixels)
    try:
        return cut_to_multiple(image, scale)
    except ImageError as error:
        raise ImageError(f"{job.source}: {error}") from error


def _write(target: Path, mask: Path | None, lq: np.ndarray, source: Path) -> None:
    """Write the degraded photo in 8 bits, and its mask if there is one, and print one line."""
    import numpy as np

    from diffir.image_io import write_image
    from diffir.pixels import to_kind

    write_image(target, to_kind(lq[:, :, :3], np.uint8))
    line = f"{source} -> {target}  {lq.shape[1]} x {lq.shape[0]}"
    if mask is not None:
        write_image(mask, to_kind(lq[:, :, 3:], np.uint8))
        line += f", {lq[:, :, 3].mean():.0%} missing ({mask})"
    say(line)


def _write_sheet(path: Path, rows: list[list[Picture]]) -> None:
    from diffir.degradations.preview import contact_sheet
    from diffir.image_io import write_image

    try:
        write_image(path, contact_sheet(rows))
    except ImageError as error:
        raise UsageError(f"--preview {error}") from error
    say(f"preview {path}")


def _print_recipes() -> None:
    from diffir.degradations.recipe_file import read_recipe, shipped_recipes

    names = shipped_recipes()
    width = max(map(len, names))
    for name in names:
        say(f"{name.ljust(width)}  {read_recipe(name).summary}")


def _words(suffixes: Sequence[str]) -> str:
    return ", ".join(suffixes)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of 0 or more, not {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)
