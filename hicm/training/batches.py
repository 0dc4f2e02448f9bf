"""Which videos go into which step: a function of (seed, epoch) alone, so any step can be repeated."""

import math
from collections.abc import Sequence

import numpy as np

from hicm.errors import UserError

Index = tuple[int, int]  # (epoch, row of the data set)


def plan_epoch(size: int, batch: int, accumulate: int, processes: int, rank: int, seed: int,
               epoch: int, share: float = 1.0, lengths: Sequence[int] | None = None,
               groups: Sequence[int] | None = None) -> list[list[list[Index]]]:
    """Steps of one epoch for one process: step -> micro-batch -> indices.

    All ``size`` videos are shuffled, and ceil(share * size) of them are cut into steps of batch * accumulate *
    processes; the processes share each micro-batch.  The last step holds the remainder, so nothing is dropped or
    repeated.  With the ``lengths`` of all videos, those of one step are sorted by them, longest first, before they are
    cut into micro-batches: less padding, and the same gradients, since a step is a mean over all its tokens.
    With the ``groups`` of all samples, a micro-batch holds one sample of each group where possible.
    Raises UserError when there are fewer videos than processes.

    >>> plan_epoch(3, batch=1, accumulate=2, processes=1, rank=0, seed=0, epoch=0)
    [[[(0, 2)], [(0, 0)]], [[(0, 1)]]]
    """
    seen = math.ceil(share * size)
    if seen < processes:
        raise UserError(f"{seen} training videos cannot be shared by {processes} processes; start fewer processes")
    order = np.random.default_rng([seed, epoch]).permutation(size)[:seen].tolist()
    whole = batch * processes
    if lengths is not None:
        in_step = whole * accumulate
        order = [row for i in range(0, seen, in_step)
                 for row in sorted(order[i:i + in_step], key=lengths.__getitem__, reverse=True)]
    if groups is not None:
        order = spread(order, groups, whole)
    micro = [order[i:i + whole] for i in range(0, seen, whole)]
    if len(micro[-1]) < processes:  # every process needs a video, so a smaller remainder joins the batch before
        micro[-2:] = [micro[-2] + micro[-1]]
    own = [[(epoch, row) for row in part[rank::processes]] for part in micro]
    return [own[i:i + accumulate] for i in range(0, len(own), accumulate)]


def spread(order: Sequence[int], groups: Sequence[int], size: int) -> list[int]:
    """The rows of ``order``, rearranged so that batches of ``size`` hold rows of different groups where possible.

    A row whose group is in the batch already waits for the next one; the order is kept otherwise.

    >>> spread([0, 1, 2, 3], [7, 7, 8, 8], 2)
    [0, 2, 1, 3]
    """
    found: list[int] = []
    left = list(order)
    while left:
        taken: set[int] = set()
        batch: list[int] = []
        waiting: list[int] = []
        for place, row in enumerate(left):
            if len(batch) == size:
                waiting += left[place:]
                break
            (waiting if groups[row] in taken else batch).append(row)
            taken.add(groups[row])
        if len(batch) < size and len(left) >= size:  # too few groups are left
            batch, waiting = batch + waiting[:size - len(batch)], waiting[size - len(batch):]
        found += batch
        left = waiting
    return found
