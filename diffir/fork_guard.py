"""Refuse to compute in a forked process where torch would wait forever for threads that a fork does not copy.

Networks compute with a pool of threads. A fork copies the memory of the pool but not its threads, so the first
computation of the child never ends. CUDA does not survive a fork either. Processes that are started by "spawn" have
neither problem, nor has a child with one thread.
"""

import os

import torch

from diffir.errors import UsageError

_owner: int | None = None
"""Id of the process that has computed with several threads, or on a device other than the CPU, through diffir."""


def refuse_forked_process(device: torch.device) -> None:
    """Call this before computing on a device; the process counts as one that has computed from then on.

    Raises:
        UsageError: this process was forked from one that has computed, and would wait forever.
    """
    global _owner
    if device.type == "cpu" and torch.get_num_threads() == 1:
        return
    if _owner is None:
        _owner = os.getpid()
    if _owner == os.getpid():
        return
    advice = "start workers with multiprocessing.get_context('spawn')"
    if device.type == "cpu":
        raise UsageError(
            "this process was forked from one that had used torch's threads, and would wait forever for them: "
            f"{advice}, or call torch.set_num_threads(1) in the worker"
        )
    raise UsageError(f"this process was forked from one that had used {device}, which a fork does not copy: {advice}")
