"""Is recall better where a window fits the event?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hicm.recipes.explain.branches import is_kept, right_paths
from hicm.recipes.explain.recall import EVENT, Case, Memory, quietly

BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # edges of intersection over union

Columns = dict[tuple[str, str], np.ndarray]  # (shape, measure) -> float [E]


@dataclass(frozen=True)
class Fit:
    """Recall at the finest level that the run reads, of events whose window fits them by ``low`` to ``high``.

    Cosines of the true captions and the first node, and the nearest node, that are read; ``right``: the share of
    events for which the right caption, or the node above it, is read.  None where it is not known.
    """

    shape: str
    low: float
    high: float
    events: int
    share: float  # of the events that this shape of windows has
    first: float | None
    nearest: float | None
    right: float | None

    @property
    def whole(self) -> bool:
        """Whether these are all events, however well the window fits."""
        return self.high - self.low == 1


def fits(case: Case, memory: Memory) -> Columns:
    """Of one video, by shape: intersection over union, cosines, and whether the right caption is read."""
    found, paths = Columns(), right_paths(case, memory) if memory.plan.holds_captions else {}
    for shape, asked in case.asked.items():
        kept = asked.kept(memory.settings, memory.reader.levels).to_read
        level = min(kept)
        near = case.similarity(level, kept[level])
        read = np.isfinite(near)
        first = np.take_along_axis(near, read.argmax(axis=1)[:, None], axis=1)[:, 0] if near.shape[1] else \
            np.full(len(near), np.nan)
        found[shape, "iou"], found[shape, "first"] = asked.iou, first
        found[shape, "nearest"] = quietly(np.nanmax, near, axis=1) if near.shape[1] else first
        found[shape, "right"] = (is_kept(paths[level], kept[level]).astype(float) if paths
                                 else np.full(len(near), np.nan))
    return found


def rows(columns: Columns, shapes: list[str]) -> Iterator[Fit]:
    """All events of each shape, then by how well the window fits."""
    for shape in shapes:
        values = {name: columns[shape, name] for name in ("iou", "first", "nearest", "right")}
        everything = np.ones(len(values["iou"]), bool)
        yield _row(shape, 0.0, 1.0, values, everything)
        if shape == EVENT:
            continue
        place = np.minimum(np.digitize(values["iou"], BINS) - 1, len(BINS) - 2)
        for number in range(len(BINS) - 1):
            if (place == number).any():
                yield _row(shape, BINS[number], BINS[number + 1], values, place == number)


def _row(shape: str, low: float, high: float, values: dict[str, np.ndarray], chosen: np.ndarray) -> Fit:
    first, nearest, right = (None if np.isnan(mean) else mean for mean in (
        float(quietly(np.nanmean, values[name][chosen])) for name in ("first", "nearest", "right")))
    return Fit(shape, low, high, int(chosen.sum()), float(chosen.mean()), first, nearest, right)
