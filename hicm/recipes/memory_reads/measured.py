"""What was measured of one cell, seed and condition: a json file, and the statistics of every video beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hicm.arrays import read_npz
from hicm.dvc_eval import Result
from hicm.dvc_eval.metrics.soda_scores import mean_of_lists
from hicm.errors import UserError
from hicm.evaluation.measures import Measure, f1_of_means, mean_of_means
from hicm.files import atomic, read_json, sha256, write_json

PROTOCOL = "activitynet-2018"
METRICS = {"CIDEr": "CIDEr", "METEOR": "METEOR", "soda_c": "SODA_c", "F1_of_means": "F1", "Recall": "recall",
           "Precision": "precision"}

T = TypeVar("T")


@dataclass(frozen=True)
class Measured:
    """One entry of ``results.json``.  Scores are fractions; ``said``: see `sayings`, ``None`` where nothing is read."""

    cell: str
    seed: int
    split: str
    condition: str
    settings: str  # digest of all that decides the training and how it predicts
    made_of: str  # digest of that, the condition, the references and how it is measured
    run: str  # run folder, seen from the folder of results.json
    predictions: str  # likewise
    machine: str
    date: str
    commit: str
    signature: str
    videos: int
    statistics: str  # digest of the file of statistics
    seconds: dict[str, float] = field(default_factory=dict)  # training, predicting, scoring
    scores: dict[str, float] = field(default_factory=dict)
    said: dict[str, float | None] = field(default_factory=dict)


def paths(folder: Path, condition: str) -> tuple[Path, Path]:
    """The entry and its statistics in the folder of a split."""
    return folder / f"measured_{condition}.json", folder / f"statistics_{condition}.npz"


def write_statistics(result: Result, path: Path) -> str:
    """Keep the rows of all `METRICS`; returns the file's digest.  ValueError if they do not give the scores again."""
    rows = {name: result.measures[name].statistics for name in METRICS}
    for name, found in rows.items():
        if abs(_measure(name, found).score() - result.scores[name]) > 1e-12:
            raise ValueError(f"{name}: its statistics do not give its score")
    with atomic(path) as temporary:
        arrays: dict[str, Any] = {"videos": np.asarray(result.videos, str), **rows}
        np.savez(temporary, **arrays)
    return sha256(path)


def read_statistics(path: Path, digest: str) -> tuple[tuple[str, ...], dict[str, Measure]]:
    """Videos and measures.  Raises UserError when the file is not the one that was written."""
    if not path.exists() or sha256(path) != digest:
        raise UserError(f"{path}: is missing or was changed; remove measured_*.json beside it, and run again")
    arrays = read_npz(path)
    return tuple(arrays.pop("videos").tolist()), {name: _measure(name, rows) for name, rows in arrays.items()}


def _measure(name: str, rows: np.ndarray) -> Measure:
    if name == "soda_c":
        return Measure(name, rows, partial(mean_of_lists, lists=rows.shape[1] // 4, part=2))
    return Measure(name, rows, f1_of_means if name == "F1_of_means" else mean_of_means)


def write_measured(one: Measured, path: Path) -> Path:
    """Write an entry to ``path``, its statistics being there already."""
    return write_json(path, asdict(one))


def read_entry(kind: type[T], path: Path) -> T:
    """Read an entry of a benchmark, a dataclass of this kind.  Raises UserError when the file is none."""
    try:
        return kind(**read_json(path, "measured result"))
    except TypeError as error:
        raise UserError(f"{path}: not a measured result of this version; remove it, and run again") from error


def gather(out: Path, cells: Sequence[str]) -> list[Measured]:
    """All entries of the cells below ``out``, by cell in the order given, seed, split and condition."""
    place = {name: number for number, name in enumerate(cells)}
    found = [read_entry(Measured, path) for name in cells for path in out.glob(f"{name}/seed_*/*/measured_*.json")]
    return sorted(found, key=lambda one: (place[one.cell], one.seed, one.split, one.condition))


def results_content(entries: Sequence[Measured], skipped: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The content of ``results.json``; ``skipped``: reason by condition by cell."""
    return {"protocol": PROTOCOL, "entries": [asdict(one) for one in entries], "skipped": skipped}
