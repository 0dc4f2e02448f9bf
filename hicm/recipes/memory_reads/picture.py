"""One picture: the cells' scores, and what other inputs change."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hicm.recipes.memory_reads.conditions import CONDITIONS, EVENTS, OWN, base_of, parse_condition
from hicm.recipes.memory_reads.measured import METRICS
from hicm.recipes.memory_reads.table import Measurements

DRAWN = ("CIDEr", "METEOR", "soda_c")


def draw(found: Measurements, cells: Sequence[str], path: Path, about: str) -> Path:
    """A panel per metric with a row per cell, and one with the change in CIDEr under each condition; a PNG file."""
    from matplotlib.figure import Figure

    from hicm.report.figures import LIGHT, save, style

    changed = [(name, condition) for name in cells for cell, condition in sorted(found.entries, key=_place)
               if cell == name and condition not in (OWN, EVENTS)]
    rows = [len(cells), *([len(changed)] if changed else [])]
    figure = Figure(figsize=(8.4, 1.5 + 0.3 * sum(rows)), layout="constrained", facecolor=LIGHT.paper)
    parts = figure.subfigures(len(rows), 1, height_ratios=[count + 2 for count in rows], squeeze=False)[:, 0]
    panels = parts[0].subplots(1, len(DRAWN), sharey=True)
    for axes, metric in zip(panels, DRAWN, strict=True):
        style(axes, LIGHT, grid="x")
        for place, name in enumerate(cells):
            _draw_cell(axes, found, metric, name, place, LIGHT.run(place))
        _rows(axes, cells, METRICS[metric] + " x 100")
    if changed:
        axes = parts[1].subplots()
        style(axes, LIGHT, grid="x")
        for place, key in enumerate(changed):
            _draw_change(axes, found, key, place, LIGHT.run(cells.index(key[0])))
        axes.axvline(0, color=LIGHT.reference, linewidth=0.8)
        _rows(axes, [": ".join(key) for key in changed], "change in CIDEr against own inputs, %")
    save(figure, path, about)
    return path


def _place(key: tuple[str, str]) -> list[int]:
    """Where a condition stands: in the order of `CONDITIONS`, part by part."""
    return [CONDITIONS.index(part) for part in parse_condition(key[1])]


def _draw_cell(axes: Any, found: Measurements, metric: str, name: str, place: int, colour: str) -> None:
    """The seeds as dots, their mean as a mark with its interval."""
    runs = found.entries[name, OWN].values()
    values = [100 * one.scores[metric] for one in runs]
    interval = found.bootstraps[metric].interval((name, OWN))
    if interval is not None:
        axes.hlines(place, 100 * interval.low, 100 * interval.high, color=colour, linewidth=1.6)
    axes.scatter(values, [place] * len(values), s=9, color=colour, alpha=0.5, linewidths=0)
    axes.scatter([sum(values) / len(values)], [place], s=34, color=colour, linewidths=0, zorder=3)


def _draw_change(axes: Any, found: Measurements, key: tuple[str, str], place: int, colour: str) -> None:
    try:
        change = found.bootstraps["CIDEr"].change(key, (key[0], base_of(key[1])))
    except KeyError:  # no seed has both yet
        return
    if change.interval is not None:
        axes.hlines(place, 100 * change.interval.low, 100 * change.interval.high, color=colour, linewidth=1.6)
    if change.relative is not None:
        axes.scatter([100 * change.relative], [place], s=30, color=colour, linewidths=0, zorder=3)


def _rows(axes: Any, names: Sequence[str], label: str) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(label)
