"""What is compared: a base settings file, cells that change some of its settings, seeds, and test conditions."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hicm.config import HOLDOUT, Config, load_config
from hicm.errors import UserError
from hicm.recipes.memory_reads.conditions import CONDITIONS, OWN, base_of, parse_condition
from hicm.strict import build, read_yaml

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
CHOSEN = ("train.seed", "data.report")  # what the specification itself decides


@dataclass(frozen=True)
class Cell:
    """One way to train; ``set``: settings by their full names, over those of the specification."""

    name: str = ""
    set: dict[str, Any] = field(default_factory=dict)
    conditions: list[str] = field(default_factory=list)  # empty: those of the specification


@dataclass(frozen=True)
class Spec:
    """A specification file, see `read_spec`."""

    base: str = ""  # settings file
    set: dict[str, Any] = field(default_factory=dict)  # settings of every cell, by their full names
    split: str = HOLDOUT  # whose videos are captioned and scored
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])  # of train.seed
    conditions: list[str] = field(default_factory=lambda: list(CONDITIONS))
    baseline: str = ""  # cell that the others are compared with; empty: the first
    cells: list[Any] = field(default_factory=list)  # of `Cell`

    def config(self, cell: Cell, seed: int) -> Config:
        """The settings that a cell is trained with."""
        settings = self.set | cell.set | {"train.seed": seed, "data.report": self.split}
        return load_config(self.base, [f"{name}={json.dumps(value)}" for name, value in settings.items()])

    def conditions_of(self, cell: Cell) -> list[str]:
        """The conditions of a cell: `OWN` and given events, where others are compared with these, before the others."""
        asked = cell.conditions or self.conditions
        return list(dict.fromkeys(name for one in [OWN, *asked] for name in (base_of(one), one)))


def read_spec(path: str | Path, only: Sequence[str] = (), seeds: Sequence[int] = (), split: str = "") -> Spec:
    """A specification as yaml; ``only``, ``seeds`` and ``split`` narrow or replace what it says.

    Raises UserError for a key, name, condition, cell or split that is not possible.
    """
    spec = build(Spec, read_yaml(path) or {}, str(path))
    if not spec.base or not spec.cells:
        raise UserError(f"{path}: expected base, a settings file, and cells, a list of {{name, set}}")
    cells = [build(Cell, one, f"{path}: cells[{place}]") for place, one in enumerate(spec.cells)]
    names = [cell.name for cell in cells]
    for name in names:
        if not NAME.fullmatch(name) or names.count(name) > 1:
            raise UserError(f"{path}: cells: name {name!r}: expected letters, digits, '_', '-' or '.', each name once")
    for name in [*only, *([spec.baseline] if spec.baseline else [])]:
        if name not in names:
            raise UserError(f"{path}: no cell {name!r}; it has {', '.join(names)}")
    spec = replace(spec, cells=cells, seeds=list(dict.fromkeys(seeds or spec.seeds)), split=split or spec.split,
                   baseline=spec.baseline or names[0])
    if not spec.seeds or min(spec.seeds) < 0:
        raise UserError(f"{path}: seeds: expected whole numbers from 0, found {spec.seeds}")
    for condition in [*spec.conditions, *(name for cell in cells for name in cell.conditions)]:
        parse_condition(condition)  # refuses an unknown one
    _check_settings(spec, path)
    return spec


def _check_settings(spec: Spec, path: str | Path) -> None:
    """UserError where a cell sets what the specification decides, or the split is the one that trains."""
    for cell in spec.cells:
        for name in CHOSEN:
            if name in spec.set | cell.set:
                raise UserError(f"{path}: cell {cell.name}: {name} follows from seeds and split; leave it out")
        data = spec.config(cell, spec.seeds[0]).data
        if spec.split == data.train:
            raise UserError(f"{path}: split {spec.split} trains, and the memory holds its captions; score another "
                            f"split, or set data.holdout and split: {HOLDOUT}")
        if spec.split != HOLDOUT and spec.split not in data.annotations:
            raise UserError(f"{path}: split {spec.split}: expected one of data.annotations "
                            f"({', '.join(sorted(data.annotations))}), or {HOLDOUT}")
        if spec.split == HOLDOUT and not data.holdout and not data.annotations.get(HOLDOUT):
            raise UserError(f"{path}: split {HOLDOUT} needs data.holdout, the share of the training videos that is "
                            "held out, in set")
