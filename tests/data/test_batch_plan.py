"""The samples that make up each training step."""

import pytest

from diffir.data.batch_plan import BatchPlan, PatchSize


def test_a_plan_that_starts_late_equals_the_end_of_the_whole_plan():
    legs = [PatchSize(3, 64, 4), PatchSize(2, 96, 2)]

    whole = list(BatchPlan(legs))

    assert list(BatchPlan(legs, first_step=2)) == whole[2:]
    assert len(BatchPlan(legs, first_step=2)) == 3
    assert [len(batch) for batch in whole] == [4, 4, 4, 2, 2]
    assert [request.index for batch in whole for request in batch] == list(range(16))
    assert [batch[0].size for batch in whole] == [64, 64, 64, 96, 96]


def indices(**where) -> list[list[int]]:
    return [[request.index for request in batch] for batch in BatchPlan([PatchSize(2, 64, 2)], **where)]


def test_two_processes_share_the_samples_that_one_would_take():
    alone = list(BatchPlan([PatchSize(2, 64, 4)]))

    first, second = indices(rank=0, processes=2), indices(rank=1, processes=2)

    assert [a + b for a, b in zip(first, second, strict=True)] == [[r.index for r in batch] for batch in alone]


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_no_sample_is_left_out_or_taken_by_two_processes(processes: int, accumulate: int):
    ranks = [indices(rank=rank, processes=processes, accumulate=accumulate) for rank in range(processes)]

    in_order = [index for batches in zip(*ranks, strict=True) for batch in batches for index in batch]
    assert in_order == list(range(2 * accumulate * processes * 2))


def test_accumulated_batches_are_parts_of_one_step():
    assert indices(accumulate=2) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert indices(accumulate=2, first_step=1) == [[4, 5], [6, 7]]
    assert len(BatchPlan([PatchSize(2, 64, 2)], first_step=1, accumulate=2)) == 2
