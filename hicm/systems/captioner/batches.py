"""Prediction batch by batch: smaller batches after running out of memory, and lower precision if wanted."""

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from hicm.errors import UserError, reason
from hicm.nn.bfloat16 import card_has_bf16
from hicm.systems.captioner.model import Captioner

T = TypeVar("T")
NO_MEMORY = ("out of memory", "allocate memory", "not enough memory", "ALLOC_FAILED")  # of allocators that raise others


def in_batches(rows: Sequence[int], size: int, work: Callable[[Sequence[int]], T]) -> Iterator[tuple[Sequence[int], T]]:
    """``work`` of ``size`` rows at once, with the rows; one finished batch after the other, in order.

    A batch that runs out of memory is halved, and so are those after it, with a warning.  Raises UserError when
    one row is too much.
    """
    done = 0
    while done < len(rows):
        chosen = rows[done:done + size]
        try:
            found = work(chosen)
        except RuntimeError as error:
            if not is_no_memory(error):
                raise
            if len(chosen) == 1:
                raise UserError(f"out of memory with one video ({reason(error)}); lower captioner.decode.beams or "
                                "captioner.decode.max_tokens") from error
            size = len(chosen) // 2
            warnings.warn(f"out of memory with {len(chosen)} videos at once ({reason(error)}); continuing with {size}. "
                          f"To start with {size}, set captioner.decode.batch={size}", stacklevel=2)
        else:
            yield chosen, found
            done += len(chosen)
            continue
        if torch.cuda.is_available():  # not before the error is forgotten, which holds the tensors
            torch.cuda.empty_cache()


def is_no_memory(error: BaseException) -> bool:
    """Whether this is what torch raises when memory runs out, on whichever device."""
    return isinstance(error, torch.OutOfMemoryError) or any(said in str(error) for said in NO_MEMORY)


def in_precision(model: Captioner, precision: str, device: torch.device | str) -> Captioner:
    """The model itself for ``float32``, else a copy in bfloat16, which ``auto`` is on a GPU that has bfloat16."""
    if precision == "auto":
        precision = "bf16" if card_has_bf16(device) else "float32"
    return copy.deepcopy(model).to(torch.bfloat16) if precision == "bf16" else model
