"""The samples of a run: training batches, a few samples to initialise a stage with, and validation photos.

In: the options of a run, and the facts of its network. Out: batches from any step on, and degraded validation photos. A
sample is a function of the seed, the stage and its number, so a resumed run gets the samples of an uninterrupted one.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset, default_collate

from diffir._version import __version__
from diffir.config import RunConfig
from diffir.data.batch_plan import BatchPlan, PatchRequest, PatchSize
from diffir.data.batches import load_batches
from diffir.data.encoded_patches import EncodedPatches, as_one, files_of
from diffir.data.taught_patches import TaughtPatches, TeacherTargets, pixels_of
from diffir.data.training_set import open_training_set, training_facts
from diffir.data.validation_set import validation_samples
from diffir.data.whole_views import open_whole_views
from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError
from diffir.evaluation import Sample
from diffir.pixels import to_float, to_kind
from diffir.system import Batch, EncodingStage, Facts, Stage
from diffir.training.processes import Processes

logger = logging.getLogger(__name__)
REPORTED = 50  # results between two lines about the progress of a teacher or an encoder
ENCODED = "encoded_patches"  # folder of encoded samples
FIRST_SAMPLES = 8  # number of samples for the initialisation of a stage


class RunSamples:
    """Training batches and validation photos of one run."""

    def __init__(self, config: RunConfig, facts: Facts, targets: TeacherTargets | None = None) -> None:
        """
        Args:
            facts: those of the network.
            targets: the outputs of the teacher that the options name.
        """
        assert (targets is None) == (config.datasets.train.teacher is None)
        self.config = config
        self.facts = facts
        self.targets = targets
        self._encoded: dict[str, EncodedPatches] = {}  # by stage

    def check(self) -> None:
        """Check that there are training pairs and that they suit the network.

        Raises:
            ConfigError: there are no photos, or the pairs have another scale or number of channels.
        """
        self._photos((self.config.manual_seed,))
        pairs = training_facts(self.config.datasets.train)
        pairs.check(self.facts, network="the network", pairs="the training pairs are")

    def prepare(self, processes: Processes) -> None:
        """Make the teacher's targets that are not on disk yet; each process makes its share. Without teacher: nothing.

        Raises:
            ConfigError: the teacher has another scale than the training pairs.
        """
        if self.targets is None:
            return
        targets = self.targets
        numbers = range(processes.rank, targets.teacher.patches, processes.size)
        samples = self._read_one_by_one(self._patches(), numbers, largest_patch(self.config))
        _make_all((targets.make(pixels_of(pair.lq[0])) for pair in samples), len(numbers), "teacher: %d of %d targets")

    def encode(self, stage: Stage, training_set: str, processes: Processes) -> None:
        """Encode the samples of a stage that asks for it, as far as they are not on disk; each process makes its share.

        They are kept in ``EXPERIMENTS_ROOT/encoded_patches/STAGE_HASH``, where the hash is that of the encoder, the
        photos, their degradation and the seed. ``batches`` then yields the encoded samples.

        Args:
            stage: on its device.
            training_set: description of the photos and their degradation.
        """
        if not isinstance(stage, EncodingStage) or not stage.encoded_patches:
            return
        # Choose the folder by everything that decides the samples.
        train, seed = self.config.datasets.train, self._seed(stage.name)
        cut = (train.gt_size, train.use_hflip, train.use_rot, train.filename_tmpl, train.mask_is_white)
        facts = [__version__, stage.encoding_facts(), training_set, repr((seed, cut)), *files_of(train)]
        key = hashlib.sha256(os.fsencode("\n".join(facts))).hexdigest()
        folder = Path(self.config.path.experiments_root) / ENCODED / f"{stage.name}_{key[:12]}"
        kept = self._encoded[stage.name] = EncodedPatches(folder, stage.encoded_patches, seed=seed)

        # Encode what is missing. A sample alone has the same latent whatever else is missing.
        numbers = processes.share(kept.missing())[processes.rank :: processes.size]
        device = next(stage.network.parameters()).device
        samples = self._read_one_by_one(self._open(stage.name), numbers, train.gt_size)

        def make() -> Iterator[bool]:
            for number, sample in zip(numbers, samples, strict=True):
                kept.keep(number, as_one(stage.encode(type(sample)(*(images.to(device) for images in sample)))))
                yield True

        _make_all(make(), len(numbers), "encoding: %d of %d patches")

    def first_samples(self, stage: str) -> Batch:
        """The first samples of a stage as a batch, the same for any number of processes and any batch size."""
        train = self.config.datasets.train
        samples = self._open(stage)
        size = (self.config.stages[stage].gt_sizes or (train.gt_size,))[0]
        return default_collate([samples[PatchRequest(index, size)] for index in range(FIRST_SAMPLES)])

    def batches(self, stage: str, first_step: int, processes: Processes, *, pin_memory: bool) -> Iterator[Batch]:
        """Yield the training batches of this process, from those of ``first_step`` on."""
        train, learning = self.config.datasets.train, self.config.stages[stage]
        # Progressive patches have a size for each part of the stage; otherwise there is one size.
        sizes = zip(learning.iters, learning.gt_sizes, learning.mini_batch_sizes, strict=True)
        plan_sizes = [PatchSize(*size) for size in sizes]
        plan_sizes = plan_sizes or [PatchSize(learning.total_iter, train.gt_size, train.batch_size_per_gpu)]
        plan = BatchPlan(
            plan_sizes, first_step, accumulate=learning.accum_iter, rank=processes.rank, processes=processes.size
        )
        samples = self._encoded.get(stage) or self._open(stage)
        return load_batches(samples, plan, workers=_workers(train.num_worker_per_gpu), pin_memory=pin_memory)

    def validation(self) -> list[Sample]:
        """Return the degraded validation photos; an empty list if the options name none."""
        val = self.config.datasets.val
        if val is None:
            return []
        steps = val.degradation or self.config.datasets.train.degradation
        recipe = build_recipe(steps) if steps else None
        pairs = validation_samples(val, recipe, multiple_of=self.facts.multiple_of, scale=self.facts.scale)
        # A network that fills holes needs the mask as a fourth channel.
        if pairs[0].lq.shape[2] != self.facts.in_channels:
            raise ConfigError(
                f"datasets.val makes {pairs[0].lq.shape[2]} channels, the network takes {self.facts.in_channels}: "
                "give it dataroot_mask or a degradation with a mask, as training has"
            )
        samples = [Sample(pair.name, pair.lq, pair.gt) for pair in pairs]
        return samples if self.targets is None else [_taught(sample, self.targets) for sample in samples]

    def _read_one_by_one(self, samples: Dataset[Batch], numbers: Sequence[int], size: int) -> Iterator[Batch]:
        """The samples of these numbers as batches of one, read as in training, so that workers use as many threads."""
        plan = [[PatchRequest(number, size)] for number in numbers]
        workers = _workers(self.config.datasets.train.num_worker_per_gpu)
        return load_batches(samples, plan, workers=workers, pin_memory=False)

    def _open(self, stage: str) -> Dataset[Batch]:
        """The training set of a stage, with the teacher's targets if there is one."""
        if self.targets is None:
            return self._photos(self._seed(stage))
        train, size = self.config.datasets.train, largest_patch(self.config)
        return TaughtPatches(self._patches(), self.targets, train, seed=self._seed(stage), size=size)

    def _patches(self) -> Dataset[Batch]:
        """The patches that the teacher restores, which are the same in every stage."""
        return self._photos((self.config.manual_seed,))

    def _photos(self, seed: Sequence[int]) -> Dataset[Batch]:
        """The samples of the training photos, with thumbnails if the network reads them."""
        train, side = self.config.datasets.train, self.facts.thumbnail
        return open_whole_views(train, side, seed=seed) if side else open_training_set(train, seed=seed)

    def _seed(self, stage: str) -> tuple[int, int]:
        return self.config.manual_seed, self.config.number(stage)


def largest_patch(config: RunConfig) -> int:
    """Side of the largest patches of all stages that run, in pixels of the ground truth."""
    usual = config.datasets.train.gt_size
    return max(max(config.stages[stage].gt_sizes or (usual,)) for stage in config.run_stages)


def _make_all(results: Iterable[bool], count: int, progress: str) -> None:
    """Have results made, each True if it was not there before, and log from time to time how many are done."""
    made, began = 0, time.perf_counter()
    for number, is_new in enumerate(results, 1):
        made += is_new
        if made and number % REPORTED == 0:
            minutes = (time.perf_counter() - began) / number * (count - number) / 60
            logger.info(f"{progress}, %.0f minutes to go", number, count, minutes)


def _taught(sample: Sample, targets: TeacherTargets) -> Sample:
    """The sample in 8 bit, with the teacher's output as its ground truth: a student is scored against its teacher."""
    lq = to_kind(sample.lq, np.uint8)
    return replace(sample, lq=to_float(lq), gt=targets.target_of(lq))


def _workers(asked: int) -> int:
    """Limit the number of reading processes to one per core: more would only wait, and torch warns about them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if asked > cores:
        logger.info("num_worker_per_gpu %d is more than the available cores: %d are used", asked, cores)
    return min(asked, cores)
