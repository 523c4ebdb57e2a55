"""Restore many files with one or several restorers, reading ahead and writing in the background.

In: jobs. Out: files, which appear complete or not at all, and one event per job, in the order of the jobs. An error in
one file becomes an event and the other files go on. Only a call that is wrong for every file (``UsageError``) or an
interrupt ends the run.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from diffir.batch.claims import Claims
from diffir.batch.events import AUTO_BATCH, Event, Settings, Stop
from diffir.batch.jobs import Job
from diffir.batch.pipeline import Pipeline
from diffir.batch.queue_items import LoadedFile, Message, Reporter, RestoredFile
from diffir.batch.read_stage import FileReader
from diffir.batch.restore_stage import FileRestorer
from diffir.batch.write_stage import FileWriter
from diffir.inference.restorer import Restorer

_CUDA_BATCH = 4  # photos; an estimate that was not measured
_AUTO_BATCH_PIXELS = 4_000_000  # of all photos of an automatic batch, as one large photo fills a card; not measured


def run_jobs(
    restorers: Restorer | Sequence[Restorer],
    jobs: Sequence[Job],
    settings: Settings | None = None,
    *,
    on_progress: Callable[[Job, float], None] | None = None,
    stop: Stop | None = None,
    claims: Claims | None = None,
) -> Generator[Event, None, None]:
    """Restore all jobs and yield one event for each, in the order of the jobs.

    Args:
        restorers: one, or several with the same network on different devices, which share the work.
        on_progress: called in the caller's thread, a few times a second, with a job that is being restored and the
            fraction of it that is done.
        stop: when it is requested, files that were started are finished, and the other jobs get no event.
        claims: made when the run began, if these jobs are only a part of it; the parts follow each other.

    Raises:
        UsageError: the call itself is wrong, so that every job would fail.
    """
    restorers = [restorers] if isinstance(restorers, Restorer) else list(restorers)
    first, settings, stop = restorers[0], settings or Settings(), stop or Stop()

    # Resolve the batch size; only an automatic one is also limited in pixels.
    group_pixels = 0
    if settings.batch_size == AUTO_BATCH:
        group_pixels = _AUTO_BATCH_PIXELS
        settings = replace(settings, batch_size=_CUDA_BATCH if first.device.type == "cuda" else 1)

    # Connect the stages: one thread reads, one per restorer restores, one writes.
    pipeline: Pipeline[list[LoadedFile], RestoredFile, Message] = Pipeline(lambda: stop.is_requested)
    claims = claims or Claims(jobs)
    reporter = Reporter(pipeline.post, pipeline.check, claims.release)
    scale = settings.outscale or first.scale
    reader = FileReader(jobs, settings, stop, reporter, claims, scale=scale, group_pixels=group_pixels)
    works = [FileRestorer(restorer, settings, stop, reporter).restore_group for restorer in restorers]
    writer = FileWriter(settings, stop, reporter, model=first.name)

    # Receive messages. Several restorers finish in any order, so events wait here for those of earlier jobs.
    waiting: dict[int, Event] = {}
    following = 0
    try:
        with pipeline.run(reader.groups(), works, writer.write) as messages:
            for message in messages:
                if message.usage_error is not None:
                    raise message.usage_error
                if message.event is None:
                    if on_progress is not None:
                        on_progress(jobs[message.index], message.fraction)
                    continue
                waiting[message.index] = message.event
                while following in waiting:
                    yield waiting.pop(following)
                    following += 1
    finally:
        claims.release_all()
    yield from (waiting[index] for index in sorted(waiting))  # after a stop, some jobs have no event
