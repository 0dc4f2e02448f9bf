"""How near to the true caption is what is recalled at each level of the tree?"""

from dataclasses import dataclass

import numpy as np

from hicm.recipes.explain.recall import Case, Memory, at_random, flat, quietly

RECALLED, KEPT, BEST, NEAREST, RANDOM = SOURCES = (
    "recalled", "nearest of those kept", "best of the level", "nearest of the level", "random")
QUANTILES = (0.1, 0.5, 0.9)

Columns = dict[tuple[int, str], np.ndarray]  # (level, source) -> cosines float [E], NaN where nothing was recalled


@dataclass(frozen=True)
class Level:
    """Cosines of the true captions and what one source offers at one level, over events; ``quantiles``: QUANTILES."""

    level: int
    nodes: int
    source: str
    events: int  # that have one
    mean: float
    quantiles: tuple[float, ...]


def cosines(case: Case, memory: Memory) -> Columns:
    """Of the texts of one video.

    recalled: the best of the nodes that the run's search keeps at the level, where it looks at the level.  nearest of
    those kept: the one of these that is nearest to the caption.  best of the level: for the query, of all nodes.
    nearest of the level: to the caption, of all nodes.
    """
    asked, found, levels = case.asked[memory.shape], Columns(), memory.plan.levels
    own = asked.kept(memory.settings, memory.reader.levels)
    drawn = asked.kept(at_random(memory.settings), levels[::-1])
    for level in levels:
        if level in own.nodes:
            kept = case.similarity(level, own.nodes[level])
            kept = kept if kept.shape[1] else np.full((len(kept), 1), np.nan)
            found[level, RECALLED] = kept[:, 0]
            found[level, KEPT] = quietly(np.nanmax, kept, axis=1)
        best = asked.kept(flat(memory.settings, level, 1), [level]).nodes[level]
        found[level, BEST] = case.similarity(level, best)[:, 0]
        found[level, NEAREST] = case.truth.scores(level).max(axis=1)
        found[level, RANDOM] = case.similarity(level, drawn.nodes[level])[:, 0]
    return found


def rows(columns: Columns, nodes: dict[int, int]) -> list[Level]:
    """The columns of all videos in numbers, coarse to fine; ``nodes``: of each level."""
    found = []
    for (level, source), values in columns.items():
        values = values[~np.isnan(values)].astype(np.float64)
        if len(values):
            found.append(Level(level, nodes[level], source, len(values), float(values.mean()),
                               tuple(np.quantile(values, QUANTILES).tolist())))
    return found
