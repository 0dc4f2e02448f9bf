"""Runs that alternate, so that other load affects all of them alike."""

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hicm.recipes.bench.machine import host_peak

Counts = Mapping[str, float]  # unit -> how many, e.g. {"videos": 2}


@dataclass(frozen=True)
class Asked:
    """What is to be measured, and how."""

    size: str
    repeat: int
    device: str
    reference: Path | None = None  # clone of the authors' repository
    greedy: bool = False  # generation: without beams
    say: Callable[[str], None] = lambda line: None  # shows what is being done


@dataclass(frozen=True)
class Run:
    """One way to do some work.  ``base``: the run whose time its own is divided by; empty: none.

    ``first`` is done before anything is timed; None: the work itself, to warm up.  ``before`` is done, untimed, each
    time before the work.
    """

    name: str
    work: Callable[[], Any]
    base: str = ""
    count: Callable[[Any], Counts] = field(default=lambda output: {})  # what the output of the work amounts to
    first: Callable[[], object] | None = None
    before: Callable[[], object] = lambda: None


@dataclass
class Timed:
    """The times of one run in every repeat, in seconds, its peaks in MiB, and its last output."""

    run: Run
    cpu: list[float] = field(default_factory=list)  # processor time of all threads and of finished processes
    wall: list[float] = field(default_factory=list)
    peak: float | None = None  # of the whole process while it ran; None: the system does not tell
    gpu: float | None = None  # of the memory of the GPU
    output: Any = None

    @property
    def seconds(self) -> float:
        """Median wall time."""
        return statistics.median(self.wall)

    def to_json(self, base: "Timed | None") -> dict[str, Any]:
        """Plain data, with the ratios to ``base`` in every repeat."""
        found: dict[str, Any] = {
            "name": self.run.name, "cpu": self.cpu, "wall": self.wall,
            "median": {"cpu": statistics.median(self.cpu), "wall": self.seconds},
            "per_second": {unit: count / self.seconds for unit, count in self.run.count(self.output).items()},
            "peak_mib": self.peak, **({} if self.gpu is None else {"gpu_peak_mib": self.gpu})}
        if base is not None:
            ratios = {kind: [own / other for own, other in zip(getattr(self, kind), getattr(base, kind), strict=True)]
                      for kind in ("cpu", "wall")}
            found |= {"base": base.run.name, "ratio": ratios,
                      "median_ratio": {kind: statistics.median(values) for kind, values in ratios.items()}}
        return found


def race(runs: Sequence[Run], asked: Asked, wait: Callable[[], None] = lambda: None,
         gpu: Callable[[], Callable[[], float | None]] = lambda: lambda: None) -> dict[str, Timed]:
    """What each run does first, then each ``asked.repeat`` times in turns.

    ``wait`` waits for the device, ``gpu`` begins to watch its memory (`hicm.training.speed`).
    """
    found = {run.name: Timed(run) for run in runs}
    for repeat in range(asked.repeat + 1):
        for name, timed in found.items():
            asked.say(f"{name}: {f'repeat {repeat} of {asked.repeat}' if repeat else 'warm-up'}")
            timed.run.before()
            if not repeat:
                (timed.run.first or timed.run.work)()
                continue
            host, device = host_peak(), gpu()
            wait()
            before = _now()
            timed.output = timed.run.work()
            wait()
            cpu, wall = (now - then for now, then in zip(_now(), before, strict=True))
            timed.cpu.append(cpu)
            timed.wall.append(wall)
            timed.peak, timed.gpu = _larger(timed.peak, host()), _larger(timed.gpu, device())
    return found


def to_json(timed: dict[str, Timed]) -> list[dict[str, Any]]:
    """All runs of a race as plain data."""
    return [one.to_json(timed.get(one.run.base)) for one in timed.values()]


def _now() -> tuple[float, float]:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system, time.perf_counter()


def _larger(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)
