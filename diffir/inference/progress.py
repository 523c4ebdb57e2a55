"""Progress of a part of the work as progress of the whole."""

from diffir.system import OnProgress


def part_of(on_progress: OnProgress | None, start: float, stop: float) -> OnProgress | None:
    """Make a callback for one part of the work, which reports its progress as progress from ``start`` to ``stop``."""
    return None if on_progress is None else lambda fraction: on_progress(start + fraction * (stop - start))
