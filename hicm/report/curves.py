"""Training curves: turns the lines of ``stats.jsonl`` into series that a figure draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hicm.report.runs import Run, is_number
from hicm.report.score_tables import metric_label

LOSS = (("loss", "Loss, weighted sum"),)
LOOP = (("grad_norm", "Gradient norm"), ("lr", "Learning rate"))
OTHERS = {"step", "epoch", "seconds"}  # what a line of the log holds besides these and the system's own losses
EVALUATED = ("soda_c", "CIDEr", "METEOR", "soda_d", "F1")  # after the selecting metric, in this order
PANELS = 3  # most evaluation metrics drawn


@dataclass(frozen=True)
class Series:
    """The line of one run: x and y of equal length; ``run`` is its index in the report."""

    run: int
    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """One quantity, with a line per run."""

    name: str
    title: str
    xlabel: str
    series: tuple[Series, ...]
    points: bool  # few values, so each one gets a marker


def panels(runs: Sequence[Run]) -> list[Panel]:
    """A panel for every logged quantity: evaluation metrics times 100 by epoch, then losses by step."""
    found = [_panel(runs, name, f"{metric_label(name)} on {split}", "epoch", split) for split, name in _evaluated(runs)]
    known = OTHERS | {name for name, _ in (*LOSS, *LOOP)}
    own = dict.fromkeys(name for run in runs for line in run.stats for name, value in line.items()
                        if is_number(value) and name not in known)
    losses = [(name, f"{name.replace('_', ' ').capitalize()} loss") for name in own]
    found += [_panel(runs, name, title, "step", None) for name, title in (*LOSS, *losses, *LOOP)]
    return [panel for panel in found if panel.series]


def smooth(values: Sequence[float], width: int) -> np.ndarray:
    """Running mean over a centred window of ``width`` values, fewer at both ends.

    >>> smooth([0, 3, 0, 3], 3).tolist()
    [1.5, 1.0, 2.0, 1.5]
    """
    kernel = np.ones(width)
    count = np.convolve(np.ones(len(values)), kernel, "same")
    return np.convolve(np.asarray(values, float), kernel, "same") / count


def _evaluated(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """The (split, metric) pairs to draw, the selecting metric first."""
    logged = dict.fromkeys((line["split"], name) for run in runs for line in run.stats
                           if isinstance(line.get("metrics"), dict) and isinstance(line.get("split"), str)
                           for name in line["metrics"])
    preferred = list(dict.fromkeys([run.config.train.select_on for run in runs] + list(EVALUATED)))
    return sorted((pair for pair in logged if pair[1] in preferred), key=lambda pair: preferred.index(pair[1]))[:PANELS]


def _panel(runs: Sequence[Run], name: str, title: str, xlabel: str, split: str | None) -> Panel:
    series = []
    for place, run in enumerate(runs):
        points = [point for line in run.stats if (point := _point(line, name, split)) is not None]
        if points:
            series.append(Series(place, run.label, tuple(x for x, _ in points), tuple(y for _, y in points)))
    return Panel(name, title, xlabel, tuple(series), split is not None)


def _point(line: dict[str, Any], name: str, split: str | None) -> tuple[float, float] | None:
    if split is None:
        return (line["step"], line[name]) if is_number(line.get(name)) else None
    value = line["metrics"].get(name) if line.get("split") == split and isinstance(line.get("metrics"), dict) else None
    return (line["epoch"], 100 * value) if is_number(value) and is_number(line.get("epoch")) else None
