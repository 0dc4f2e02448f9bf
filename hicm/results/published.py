"""The published scores in ``published.yaml``."""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hicm.errors import UserError
from hicm.strict import build, read_yaml

FILE = Path(__file__).with_name("published.yaml")
METRICS = ("CIDEr", "METEOR", "soda_c", "Bleu_4", "F1")


@dataclass(frozen=True)
class PublishedRow:
    """One row of published scores, x 100."""

    method: str = ""
    source: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    recalled: list[str] = field(default_factory=list)  # metrics written down from memory, not read in the source
    released: bool = False  # the row that the released weights should reproduce


@dataclass(frozen=True)
class Benchmark:
    """The published rows of one data set, all under one protocol of the evaluator."""

    title: str = ""
    protocol: str = "vidchapters"
    note: str = ""  # what else belongs to the protocol: videos, input
    metrics: list[str] = field(default_factory=lambda: list(METRICS))  # the columns
    command: str = ""  # what measures them here
    tolerance: dict[str, float] = field(default_factory=dict)  # metric -> largest difference of released weights, x 100
    rows: list[Any] = field(default_factory=list)

    @property
    def published(self) -> tuple[PublishedRow, ...]:
        """The rows, as objects."""
        return tuple(build(PublishedRow, row, FILE.name) for row in self.rows)

    @property
    def released(self) -> PublishedRow:
        """What the released weights are expected to score; only of data sets that `find_benchmark` knows."""
        return next(row for row in self.published if row.released)


@functools.cache
def benchmarks() -> dict[str, Benchmark]:
    """The published rows of every data set."""
    return {name: build(Benchmark, content, FILE.name) for name, content in read_yaml(FILE).items()}


def find_benchmark(dataset: str) -> Benchmark:
    """The published rows of a data set with released weights.  Raises UserError when there are none."""
    known = {name: one for name, one in benchmarks().items() if any(row.released for row in one.published)}
    if dataset not in known:
        why = "no released weights are known" if dataset in benchmarks() else "no published scores to compare with"
        raise UserError(f"{dataset}: {why}; known are {', '.join(known)}")
    return known[dataset]
