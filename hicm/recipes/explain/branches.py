"""Where does the descent lose the branch that leads to the right caption?

The right caption of an event is the one of the memory, own captions left out, whose text is nearest to the event's.  Of
captions that are equally near, most of them the same words, any will do.
"""

from dataclasses import dataclass

import numpy as np

from hicm.recipes.explain.plan import BEAMS
from hicm.recipes.explain.recall import TIE, Case, Memory, descend, flat

BEST, OWN, DESCEND, FLAT = "best", "own", "descend", "flat"  # ways to search

Columns = dict[tuple[str, int, int], np.ndarray]  # (way, count, level) -> bool [E]: the right branch is kept


@dataclass(frozen=True)
class Branch:
    """The share of events whose right branch is among the nodes that a way to search keeps at a level.

    best: the best node of the whole level; own: as the run searches (``count`` is 0); descend: with a beam of ``count``
    down to ``count`` captions; flat: the ``count`` best of all captions.
    """

    way: str
    count: int
    level: int
    kept: float


def right_paths(case: Case, memory: Memory) -> dict[int, np.ndarray]:
    """By level the nodes above the right captions, bool [E, n_l]; at level 0 these themselves."""
    scores, bank = case.truth.scores(0), memory.plan.bank
    right = scores >= scores.max(axis=1, keepdims=True) - TIE
    found = {0: right}
    events, captions = np.nonzero(right)
    for level in range(1, bank.depth + 1):
        found[level] = np.zeros((len(right), len(bank.level(level))), bool)
        found[level][events, bank.ancestors(level)[captions]] = True
    return found


def is_kept(path: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Whether one of the nodes [E, K] of a level, -1 padded, is on the right path [E, n_l]: bool [E]."""
    return np.any(np.take_along_axis(path, np.maximum(nodes, 0), axis=1) & (nodes >= 0), axis=1)


def branches(case: Case, memory: Memory) -> Columns:
    """What each way to search keeps for the events of one video."""
    asked, settings, paths = case.asked[memory.shape], memory.settings, right_paths(case, memory)
    found = Columns()
    for level in memory.plan.levels:
        best = asked.kept(flat(settings, level, 1), [level]).nodes[level]
        found[BEST, 1, level] = is_kept(paths[level], best)
    own = asked.kept(settings, memory.reader.levels)
    for level, nodes in own.nodes.items():
        found[OWN, 0, level] = is_kept(paths[level], nodes)
    for beam in BEAMS:
        for level, nodes in asked.kept(descend(settings, beam), [0]).nodes.items():
            found[DESCEND, beam, level] = is_kept(paths[level], nodes)
    counts = sorted({settings.top_k, *BEAMS})
    listed = asked.kept(flat(settings, 0, counts[-1]), [0]).nodes[0]
    for count in counts:
        found[FLAT, count, 0] = is_kept(paths[0], listed[:, :count])
    return found


def rows(columns: Columns) -> list[Branch]:
    """The columns of all videos as shares."""
    return [Branch(*key, float(values.mean())) for key, values in columns.items()]
