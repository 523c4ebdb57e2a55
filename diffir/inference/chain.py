"""``Chain``: several networks that restore one after the other, as if each had restored the file of the one before.

In: restorers. Out: a restorer for arrays and tensors. Between two networks an image keeps its own data type, so
integers are rounded there, and the result equals that of restoring into lossless files. What belongs to a file is
restored network by network in ``diffir.batch.restore_photos``.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NoReturn, TypeVar

import numpy as np
import torch
from torch import Tensor

from diffir.errors import UsageError
from diffir.inference.options import RestoreOptions
from diffir.inference.progress import part_of
from diffir.inference.restorer import Restorer
from diffir.system import OnProgress

_ChainT = TypeVar("_ChainT", bound="Chain")


class Chain(Restorer):
    """Several restorers in their order; without any, images are returned unchanged.

    A chain has no engine, facts or prior of its own: those belong to its members.
    """

    def __init__(
        self, members: Sequence[Restorer], *, name: str | None = None, options: RestoreOptions | None = None
    ) -> None:
        """
        Args:
            members: in the order in which they restore; only the first may fill missing regions.
            name: for tables and messages; the names of the members joined by "+" if it is not given.
            options: those of the first member if they are not given.
        Raises:
            UsageError: a network that needs a mask is not the first.
        """
        for member in members[1:]:
            if member.has_mask:
                raise UsageError(f"{member.name} needs a mask, which only the first network of a chain can have")
        self._members = tuple(members)
        self.name = "+".join(member.name for member in members) if name is None else name
        self.task = None
        self.system = ""
        self.options = options or (members[0].options if members else RestoreOptions())

    @property
    def members(self) -> tuple[Restorer, ...]:
        """The restorers in their order."""
        return self._members

    @property
    def scale(self) -> int:
        """Side of the output divided by the side of the input: the product of the scales of the members."""
        return math.prod(member.scale for member in self._members)

    @property
    def has_mask(self) -> bool:
        """True if the first network fills missing regions."""
        return bool(self._members) and self._members[0].has_mask

    @property
    def device(self) -> torch.device:
        """The device of the first member; others may have moved to the CPU for want of memory."""
        return self._members[0].device if self._members else torch.device("cpu")

    @property
    def last_tile(self) -> int | None:
        """Side of the smallest tiles of the latest photo, in pixels of the input of their network; None if whole."""
        return min((member.last_tile for member in self._members if member.last_tile is not None), default=None)

    @property
    def draws_at_random(self) -> bool:
        """True if results depend on the seed, because those of a member do."""
        return any(member.draws_at_random for member in self._members)

    def with_seed(self: _ChainT, seed: int) -> _ChainT:
        """A chain of the same networks, which are shared and not copied, with another seed."""
        other = super().with_seed(seed)
        other._members = tuple(member.with_seed(seed) for member in self._members)
        return other

    def in_use(self) -> dict[str, Any]:
        """The options that all members share, and in "members" the name and the other options of each."""
        used = [member.in_use() for member in self._members]
        first = used[0] if used else asdict(self.options) | {"device": str(self.device), "precision": "fp32"}
        shared = {key: value for key, value in first.items() if all(key in one and one[key] == value for one in used)}
        precisions = ", ".join(dict.fromkeys(one["precision"] for one in used)) or "fp32"
        own = [{key: value for key, value in one.items() if key not in shared} for one in used]
        members = [{"model": member.name} | one for member, one in zip(self._members, own, strict=True)]
        return shared | {"device": str(self.device), "precision": precisions, "members": members}

    def take_notes(self) -> list[str]:
        """Take the messages of all members since the last call, each with the name of its network."""
        return [f"{member.name}: {note}" for member in self._members for note in member.take_notes()]

    def steps(
        self, prior: Tensor | None, on_progress: OnProgress | None
    ) -> Iterator[tuple[Restorer, None, OnProgress | None]]:
        """Yield each member with its share of the progress; work is taken to grow with the pixels of its input.

        Raises:
            UsageError: a prior is given.
        """
        if prior is not None:
            self._raise_no_prior()
        sides = [math.prod(member.scale for member in self._members[:number]) for number in range(len(self._members))]
        total = sum(side**2 for side in sides)
        done = 0
        for member, side in zip(self._members, sides, strict=True):
            yield member, None, part_of(on_progress, done / total, (done + side**2) / total)
            done += side**2

    def restore_batch(
        self,
        images: Sequence[np.ndarray],
        masks: Sequence[np.ndarray] | None = None,
        *,
        prior: Tensor | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[np.ndarray]:
        """Restore photos of one shape and data type together, as ``Restorer.restore_batch``; masks go to the first.

        Raises:
            UsageError: a prior is given, besides the errors of the members.
        """
        if masks is not None and not self.has_mask:
            raise UsageError(f"{self.name} takes no mask; masks are for inpainting networks")
        results = [image.copy() for image in images]
        for member, _, progress in self.steps(prior, on_progress):
            results, masks = member.restore_batch(results, masks, on_progress=progress), None
        return results

    def restore_tensor(self, lq: Tensor, mask: Tensor | None = None, *, prior: Tensor | None = None) -> Tensor:
        """Restore a batch given as tensor, as ``Restorer.restore_tensor`` does; values between members are not clamped.

        Raises:
            UsageError: a prior is given, besides the errors of the members.
        """
        for member, _, _ in self.steps(prior, None):
            lq, mask = member.restore_tensor(lq, mask), None
        return lq

    def estimate_prior(self, lq: Tensor, mask: Tensor | None = None) -> NoReturn:
        """Raise UsageError, because each member has a prior of its own."""
        self._raise_no_prior()

    def estimate_prior_of(self, image: np.ndarray, mask: np.ndarray | None = None) -> NoReturn:
        """Raise UsageError, because each member has a prior of its own."""
        self._raise_no_prior()

    def _raise_no_prior(self) -> NoReturn:
        raise UsageError(f"{self.name} is a chain, and a chain has no single prior: restore with one network at a time")
