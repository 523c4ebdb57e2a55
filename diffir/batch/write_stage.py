"""The writing stage of a batch: restored files go to their targets, and each job ends with an event.

In: restored files. Out: image files and, if wanted, their priors and maps of the standard deviation; each file appears
complete or not at all.
"""

import shutil
import time

from diffir.batch.events import Event, Settings, Stop
from diffir.batch.queue_items import Reporter, RestoredFile
from diffir.batch.restore_photos import size_of, stripped
from diffir.files import write_atomically
from diffir.image_io import Pages, describe_losses, frames_of, write_image
from diffir.inference.prior_file import save_prior


class FileWriter:
    """Writes restored files and reports their events."""

    def __init__(self, settings: Settings, stop: Stop, reporter: Reporter, *, model: str) -> None:
        """
        Args:
            model: name of the network, which is stored with saved priors.
        """
        self._settings = settings
        self._stop = stop
        self._reporter = reporter
        self._model = model

    def write(self, restored: RestoredFile) -> None:
        """Write one file and its prior, then report "done"; an error is reported as "failed"."""
        start = time.perf_counter()
        loaded, job = restored.loaded, restored.loaded.job
        content = stripped(restored.content) if self._settings.strip_metadata else restored.content
        try:
            with self._stop.writing:
                # The map comes first, so that a result never lacks it.
                if job.deviation_target is not None and restored.deviation is not None:
                    write_image(job.deviation_target, restored.deviation)
                if restored.is_copy:
                    with job.source.open("rb") as source, write_atomically(loaded.target) as copy:
                        shutil.copyfileobj(source, copy)
                else:
                    write_image(loaded.target, content, quality=self._settings.quality)
                if job.prior_target is not None and restored.prior is not None:
                    save_prior(job.prior_target, restored.prior, self._model)
        except Exception as error:  # noqa: BLE001 - it is reported, and the other files go on
            self._reporter.failure(loaded.index, job, error)
            return
        event = Event(
            job,
            "done",
            loaded.target,
            seconds=restored.seconds + time.perf_counter() - start,
            size=size_of(content),
            pixels=restored.pixels,
            tile=restored.tile,
            losses="" if restored.is_copy else describe_losses(content, loaded.target.suffix),
            notes=("copied",) if restored.is_copy else (*_notes_on_format(restored), *restored.notes),
        )
        self._reporter.event(loaded.index, event)


def _notes_on_format(restored: RestoredFile) -> list[str]:
    notes = list(dict.fromkeys(frame.note for frame in frames_of(restored.content) if frame.note))
    if isinstance(restored.content, Pages):
        notes.append(f"{len(restored.content.frames)} pages")
    job, written = restored.loaded.job, restored.loaded.target.suffix
    if job.target_stem is not None and written.lower() != job.source.suffix.lower():
        notes.append(f"{job.source.suffix[1:]} became {written[1:]}")
    return notes
