"""Loading training batches, in worker processes if wanted."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset

from hicm.interrupts import NUMBERS, blocked, leave_to_parent


def load_batches(dataset: Dataset[Any], batches: Sequence[Any], collate: Callable[[list[Any]], Any],
                 workers: int) -> Iterator[Any]:
    """``collate`` of the items of each batch of indices, in order.

    A signal to the whole process group does not reach the workers: the step that is being made needs their batches.
    """
    loader = DataLoader(dataset, batch_sampler=batches, collate_fn=collate, num_workers=workers,
                        worker_init_fn=leave_to_parent)
    with blocked(NUMBERS):
        iterator = iter(loader)
    yield from iterator
