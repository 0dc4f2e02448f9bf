"""Tables of what was measured: the cells, their differences, and what other inputs change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hicm.errors import UserError
from hicm.evaluation.measures import Measure
from hicm.recipes.memory_reads.conditions import OWN, base_of
from hicm.recipes.memory_reads.intervals import Bootstrap, Change
from hicm.recipes.memory_reads.measured import METRICS, Measured, paths, read_statistics
from hicm.recipes.memory_reads.spec import Spec

COMPARED = ("CIDEr", "METEOR", "soda_c", "F1_of_means")
SAID = {"events": "events per video", "words": "words", "distinct": "distinct, %", "copied": "copied, %",
        "copied_control": "of another, %"}
NONE = "n/a"

Key = tuple[str, str]  # cell, condition


@dataclass(frozen=True)
class Measurements:
    """All entries of a split, by cell and condition, then by seed, and resampled scores by metric."""

    entries: dict[Key, dict[int, Measured]]
    bootstraps: dict[str, Bootstrap]


def measurements(entries: Sequence[Measured], out: Path, samples: int, seed: int) -> Measurements:
    """Entries with the statistics beside them.  Raises UserError where not all were scored on the same videos."""
    found: dict[Key, dict[int, Measured]] = {}
    measures: dict[str, dict[Key, dict[int, Measure]]] = {name: {} for name in COMPARED}
    ids: tuple[str, ...] | None = None
    for one in entries:
        key = one.cell, one.condition
        folder = (out / one.predictions).parent
        videos, rows = read_statistics(paths(folder, one.condition)[1], one.statistics)
        ids = videos if ids is None else ids
        if videos != ids:
            raise UserError(f"{folder}: {one.condition} was scored on other videos than the entries before; choose "
                            "another --out for other data")
        found.setdefault(key, {})[one.seed] = one
        for name in COMPARED:
            measures[name].setdefault(key, {})[one.seed] = rows[name]
    return Measurements(found, {name: Bootstrap(one, samples, seed) for name, one in measures.items()})


def tables(spec: Spec, found: Measurements, skipped: Mapping[str, Mapping[str, str]]) -> str:
    """All tables as Markdown; cells without an entry are left out."""
    cells = [cell.name for cell in spec.cells if (cell.name, OWN) in found.entries]
    parts = [f"Scores x 100 of split `{spec.split}`: the mean over seeds, and each seed.", cell_table(found, cells)]
    if len(cells) > 1 and spec.baseline in cells:
        parts += [f"Difference to `{spec.baseline}`, in percent of its score, with 95 % intervals over videos and "
                  "seeds.", difference_table(found, cells, spec.baseline)]
    parts += ["The same weights with other inputs: the change against the run's own inputs (`events+...`: against "
              "`events`), in percent.",
              condition_table(spec, found, cells, skipped)]
    return "\n\n".join(parts)


def cell_table(found: Measurements, cells: Sequence[str]) -> str:
    """A row per cell: its scores, and what its captions are like."""
    return markdown(["x 100", *METRICS.values(), *SAID.values()], (
        [name, *(_seeds([100 * one.scores[metric] for one in runs], 2) for metric in METRICS),
         *(said(runs, key) for key in SAID)]
        for name in cells for runs in [list(found.entries[name, OWN].values())]))


def difference_table(found: Measurements, cells: Sequence[str], baseline: str) -> str:
    """A row per cell beside the baseline."""
    return markdown(["cell", "seeds", *(METRICS[metric] for metric in COMPARED)], (
        [name, str(len(found.entries[name, OWN])),
         *(shown(found.bootstraps[metric].change((name, OWN), (baseline, OWN))) for metric in COMPARED)]
        for name in cells if name != baseline))


def condition_table(spec: Spec, found: Measurements, cells: Sequence[str],
                    skipped: Mapping[str, Mapping[str, str]]) -> str:
    """A row per cell and condition, or the reason why there is none."""
    head = ["cell", "input", "CIDEr x 100", *(METRICS[metric] for metric in COMPARED), "distinct, %", "copied, %",
            "of another, %"]
    rows = []
    for cell in spec.cells:
        for condition in spec.conditions_of(cell) if cell.name in cells else ():
            key = cell.name, condition
            start = [cell.name, condition]
            if condition in skipped.get(cell.name, {}):
                rows.append([*start, f"– ({skipped[cell.name][condition]})", *[""] * (len(head) - 3)])
            elif key in found.entries:
                runs = list(found.entries[key].values())
                changes = ["" if condition == OWN else _changed(found, metric, key) for metric in COMPARED]
                rows.append([*start, _seeds([100 * one.scores["CIDEr"] for one in runs], 2), *changes,
                             *(said(runs, name) for name in ("distinct", "copied", "copied_control"))])
    return markdown(head, rows, 2)


def said(runs: Sequence[Measured], name: str) -> str:
    """The mean over seeds of one of `SAID`."""
    values = [value for one in runs if (value := one.said.get(name)) is not None]
    if not values:
        return "–"
    mean = sum(values) / len(values)
    return f"{mean:.1f}" if name in ("events", "words") else f"{100 * mean:.1f}"


def shown(change: Change) -> str:
    """A relative change in percent, with its interval."""
    if change.relative is None:
        return NONE
    ends = change.interval
    return f"{100 * change.relative:+.1f}" + (f" [{100 * ends.low:+.1f}, {100 * ends.high:+.1f}]" if ends else
                                              f" [{NONE}]")


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table whose first ``texts`` columns are text and the others numbers."""
    lines = [head, ["---"] * texts + ["--:"] * (len(head) - texts), *rows]
    return "\n".join(f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in line)} |"
                     for line in lines)


def _changed(found: Measurements, metric: str, key: Key) -> str:
    try:
        return shown(found.bootstraps[metric].change(key, (key[0], base_of(key[1]))))
    except KeyError:  # no seed has both yet
        return NONE


def _seeds(values: Sequence[float], digits: int) -> str:
    mean = f"{sum(values) / len(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({', '.join(f'{value:.{digits}f}' for value in values)})"
