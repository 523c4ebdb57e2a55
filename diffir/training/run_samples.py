"""The samples of a run: training batches, a few samples to initialise a stage with, and validation photos.

In: the options of a run, and the facts of its network. Out: batches from any step on, and degraded validation photos. A
sample is a function of the seed, the stage and its number, so a resumed run gets the samples of an uninterrupted one.
"""

import logging
import math
import os
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from torch.utils.data import Dataset, default_collate

from diffir.config import RunConfig
from diffir.data.batch_plan import BatchPlan, PatchRequest, PatchSize
from diffir.data.batches import load_batches
from diffir.data.taught_patches import TaughtPatches, TeacherTargets, pixels_of
from diffir.data.training_set import open_training_set, training_facts
from diffir.data.validation_set import validation_samples
from diffir.data.whole_views import open_whole_views
from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError
from diffir.evaluation import Sample
from diffir.pixels import to_float, to_kind
from diffir.system import Batch, Facts
from diffir.training.processes import Processes

logger = logging.getLogger(__name__)
REPORTED = 50  # targets between two lines about the teacher's progress
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

    def check(self) -> None:
        """Check that there are training pairs and that they suit the network.

        Raises:
            ConfigError: there are no photos, or the pairs have another scale or number of channels.
        """
        train = self.config.datasets.train
        if self.facts.thumbnail:
            open_whole_views(train, self.facts.thumbnail, seed=(self.config.manual_seed,))
        else:
            open_training_set(train, seed=(self.config.manual_seed,))
        pairs = training_facts(self.config.datasets.train)
        pairs.check(self.facts, network="the network", pairs="the training pairs are")

    def prepare(self, processes: Processes) -> None:
        """Make the teacher's targets that are not on disk yet; each process makes its share. Without teacher: nothing.

        Raises:
            ConfigError: the teacher has another scale than the training pairs.
        """
        if self.targets is None:
            return
        # Read the patches as in training, so that workers degrade them with the same number of threads.
        count = math.ceil(self.targets.teacher.patches / processes.size)
        plan = BatchPlan(
            [PatchSize(count, largest_patch(self.config), batch_size=1)], rank=processes.rank, processes=processes.size
        )
        workers = _workers(self.config.datasets.train.num_worker_per_gpu)
        patches = load_batches(self._patches(), plan, workers=workers, pin_memory=False)
        # Have the missing targets made.
        made, began = 0, time.perf_counter()
        for number, pair in enumerate(patches, 1):
            made += self.targets.make(pixels_of(pair.lq[0]))
            if made and number % REPORTED == 0:
                minutes = (time.perf_counter() - began) / number * (count - number) / 60
                logger.info("teacher: %d of %d targets, %.0f minutes to go", number, count, minutes)

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
        samples = self._open(stage)
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

    def _open(self, stage: str) -> Dataset[Batch]:
        """The training set of a stage, with the teacher's targets if there is one."""
        train = self.config.datasets.train
        if self.facts.thumbnail:
            return open_whole_views(train, self.facts.thumbnail, seed=self._seed(stage))
        if self.targets is None:
            return open_training_set(train, seed=self._seed(stage))
        size = largest_patch(self.config)
        return TaughtPatches(self._patches(), self.targets, train, seed=self._seed(stage), size=size)

    def _patches(self) -> Dataset[Batch]:
        """The patches that the teacher restores, which are the same in every stage."""
        return open_training_set(self.config.datasets.train, seed=(self.config.manual_seed,))

    def _seed(self, stage: str) -> tuple[int, int]:
        return self.config.manual_seed, self.config.number(stage)


def largest_patch(config: RunConfig) -> int:
    """Side of the largest patches of all stages that run, in pixels of the ground truth."""
    usual = config.datasets.train.gt_size
    return max(max(config.stages[stage].gt_sizes or (usual,)) for stage in config.run_stages)


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
