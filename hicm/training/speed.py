"""What torch work costs: the speed of this machine, the products in a piece of work, its time by operation."""

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from hicm.errors import UserError, reason
from hicm.heap import keep_freed_memory
from hicm.nn.trained import Trained
from hicm.training.optim import make_optimiser, optimiser_step
from hicm.training.precision import SHAPE, seconds, waiter

READ = 2**26  # float32 numbers that are read to measure the memory: more than caches hold
FEW = (1, 4, 8, 16, 64)  # rows of the small products
TRIES = 3  # the fastest counts: anything else on the machine only slows them down
RATE, CLIP = 1e-6, 1.0  # so small a rate that the losses stay what they were
OPTIMISER_ACCESSES = 10  # per weight: the norm 1, clipping 2, Adam reads 4 arrays and writes 3


@dataclass(frozen=True)
class Speed:
    """What the machine reaches: floating-point operations per second in products, bytes per second from memory."""

    float32: float
    bfloat16: float
    memory: float


def find_device(name: str) -> str:
    """The device of that name, ``auto``: cuda where there is one.  Raises UserError when it cannot be used."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: cannot be used ({reason(error)}); give cpu, cuda or cuda:N") from error
    if torch.device(name).type not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: nothing is measured on it; give cpu, cuda or cuda:N")
    return name


def describe_torch(device: str) -> dict[str, Any]:
    """The GPU, if it is one, and torch's threads."""
    gpu = torch.device(device).type == "cuda"
    return {"device": device, "threads": torch.get_num_threads(),
            **({"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda} if gpu else {})}


def card_peak(device: str) -> Callable[[], float | None]:
    """Begin to watch the memory of a GPU; what is returned tells the peak since then in MiB, None on a processor."""
    if torch.device(device).type != "cuda":
        return lambda: None
    torch.cuda.reset_peak_memory_stats(device)
    return lambda: torch.cuda.max_memory_allocated(device) / 2**20


@functools.lru_cache
def measure_speed(device: str) -> Speed:
    """The speed of a device, measured once: a product of a layer of t5-base, and two ways to read each number once."""
    n, k, m = SHAPE
    products = []
    for dtype in (torch.float32, torch.bfloat16):
        x, weight = torch.ones(n, k, device=device, dtype=dtype), torch.ones(m, k, device=device, dtype=dtype)
        products.append(2 * n * k * m / _fastest(functools.partial(nn.functional.linear, x, weight), device))
    matrix, vector = torch.ones(READ // k, k, device=device), torch.ones(k, device=device)
    read = min(_fastest(lambda: matrix @ vector, device), _fastest(matrix.sum, device))
    return Speed(products[0], products[1], matrix.nbytes / read)


@functools.lru_cache
def few_row_speeds(device: str) -> dict[int, float]:
    """Floating-point operations per second in float32 products of few rows, as decoding does them, by rows."""
    _, k, m = SHAPE
    weights = torch.ones(READ // (k * m) + 1, m, k, device=device)  # one after the other, so that caches are no help

    def multiply(x: Tensor) -> None:
        for weight in weights:
            nn.functional.linear(x, weight)

    return {rows: 2 * rows * weights.numel() / _fastest(functools.partial(
        multiply, torch.ones(rows, k, device=device)), device) for rows in FEW}


def _fastest(work: Callable[[], object], device: str) -> float:
    return min(seconds(work, device) for _ in range(TRIES + 1))


def count_flops(work: Callable[[], object]) -> int:
    """Floating-point operations of the products and attentions in ``work``; everything else is not counted."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def profiled(work: Callable[[], object], device: str, most: int = 10) -> list[dict[str, Any]]:
    """The operations in which ``work`` spends its time: name, share of all time within operations, calls."""
    gpu = torch.device(device).type == "cuda"
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it complains where there is no GPU
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]) as found:
        work()
        waiter(device)()
    spent = "self_device_time_total" if gpu else "self_cpu_time_total"
    rows = sorted(found.key_averages(), key=lambda row: getattr(row, spent), reverse=True)
    total = sum(getattr(row, spent) for row in rows) or 1.0
    return [{"operation": row.key, "share": getattr(row, spent) / total, "calls": row.count} for row in rows[:most]]


class Step:
    """One optimiser step as the training loop takes it: forward, backward, clipping, Adam.

    ``trained``: the module, what computes the scalar to minimise, and what follows a step.  ``bf16``: under autocast.
    ``plain``: torch's default Adam, and freed memory is given back.  ``share``: a step whose optimiser's state is
    used, so that it is there only once; not on a GPU, if one of the two is plain.
    """

    kept: ClassVar[bool] = False  # whether freed memory is kept now

    def __init__(self, trained: Trained, device: str, bf16: bool = False, plain: bool = False,
                 share: "Step | None" = None) -> None:
        self.module, self.loss, self.after = trained
        self.device, self.bf16, self.wait = torch.device(device), bf16, waiter(device)
        self.seconds: dict[str, float] = {}  # of the phases of the last step
        self.optimiser = (torch.optim.Adam(self.module.parameters(), lr=RATE) if plain else
                          make_optimiser(self.module, RATE))
        self.plain = plain
        if share is not None and (self.device.type == "cpu" or share.plain == plain):  # else counts are kept elsewhere
            self.optimiser.state = share.optimiser.state

    def settle(self) -> None:
        """To be called before a step is timed: have freed memory kept as in training, or given back as usual.

        Where the step before was of the other kind, a step that is not timed brings the heap to what it is in the midst
        of many steps.
        """
        if self.device.type == "cpu" and Step.kept == self.plain:
            keep_freed_memory(not self.plain)
            Step.kept = not self.plain
            self()

    def release(self) -> None:
        """After the last step: freed memory is given back as usual."""
        if Step.kept:
            keep_freed_memory(False)
            Step.kept = False

    def __call__(self) -> float:
        """The loss before the step."""
        self.module.train()
        times = [time.perf_counter()]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = self.loss()
        self._pass(times)
        loss.backward()
        self._pass(times)
        optimiser_step(self.module, self.optimiser, RATE, CLIP, wait=self.device.type == "cpu")  # as in training
        self.after()
        self._pass(times)
        self.seconds = dict(zip(("forward", "backward", "update"), (b - a for a, b in pairwise(times)), strict=True))
        return loss.item()

    def _pass(self, times: list[float]) -> None:
        self.wait()
        times.append(time.perf_counter())

    def shares(self) -> dict[str, float]:
        """The shares of forward, backward and update in the time of the last step."""
        return {phase: seconds / sum(self.seconds.values()) for phase, seconds in self.seconds.items()}

    @torch.no_grad()
    def evaluate(self) -> float:
        """The loss without dropout; nothing is learnt."""
        self.module.eval()
        return self.loss().item()

    @property
    def optimiser_bytes(self) -> int:
        """Bytes that clipping and Adam read and write."""
        return OPTIMISER_ACCESSES * sum(weight.nbytes for weight in self.module.parameters() if weight.requires_grad)

    def floor(self, flops: int, speed: Speed) -> float:
        """Seconds that ``flops`` and the optimiser's arrays take at the speed of the machine."""
        return flops / (speed.bfloat16 if self.bf16 else speed.float32) + self.optimiser_bytes / speed.memory
