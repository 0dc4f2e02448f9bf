"""Which precision a training computes in: float32, or bfloat16 where this machine multiplies it faster.

Only matrix products are computed in bfloat16; weights, optimiser, softmax and losses stay float32 (torch's autocast).
"""

import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from hicm.config import TrainConfig
from hicm.nn.bfloat16 import card_has_bf16

Precision = Literal["no", "bf16"]

MARGIN = 1.2  # bfloat16 must be faster by this factor
SHAPE = (256, 768, 3072)  # of the measured product: positions, widths of a feed-forward layer of t5-base
REPEATS = 5
TOO_SLOW = 2  # bfloat16 that takes so many times as long is not measured again: where it is emulated, seconds count


def choose_precision(config: TrainConfig, device: torch.device,
                     recorded: Any = None) -> tuple[Precision, dict[str, Any]]:
    """``no`` (float32) or ``bf16``, and what to record about it ({}: the settings say it).

    ``recorded`` is what an earlier start of the same run recorded: a run that continues keeps its precision.
    """
    if config.precision != "auto":
        return config.precision, {}
    if isinstance(recorded, dict) and recorded.get("chosen") in ("no", "bf16"):
        return recorded["chosen"], recorded
    speedup = measure_speedup(device)
    chosen: Precision = "bf16" if speedup >= MARGIN else "no"
    return chosen, {"chosen": chosen, "bf16_speedup": round(speedup, 2), "needed": MARGIN, "device": device.type}


def measure_speedup(device: torch.device) -> float:
    """Time of a layer's products forwards and backwards in float32, divided by that in bfloat16; 0: there is none."""
    if device.type != "cpu" and not card_has_bf16(device):
        return 0.0
    works = [_products(device, dtype) for dtype in (torch.float32, torch.bfloat16)]
    best = [float("inf")] * len(works)
    for repeat in range(REPEATS + 1):  # in turns, so that other work on the machine slows both; the first is warm-up
        best = [min(known, seconds(work, device)) for known, work in zip(best, works, strict=True)]
        if repeat and best[1] > TOO_SLOW * best[0]:
            break
    return best[0] / best[1]


def _products(device: torch.device, dtype: torch.dtype) -> Callable[[], Tensor]:
    rows, width, hidden = SHAPE
    x, weight, gradient = (torch.ones(shape, device=device, dtype=dtype)
                           for shape in ((rows, width), (hidden, width), (rows, hidden)))

    def work() -> Tensor:
        torch.nn.functional.linear(x, weight)
        torch.mm(gradient.t(), x)
        return torch.mm(gradient, weight)

    return work


def seconds(work: Callable[[], object], device: str | torch.device) -> float:
    """How long ``work`` takes, until the device has done it."""
    wait = waiter(device)
    wait()
    began = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - began


def waiter(device: str | torch.device) -> Callable[[], None]:
    """What waits until the device has done everything that it was given."""
    if torch.device(device).type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None
