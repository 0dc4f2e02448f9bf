"""The cells of the grid, and the settings that each one changes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hicm.config import SEARCHES as PARTS
from hicm.errors import UserError
from hicm.plugins import known

SEARCHES = ("none", "zero", "random", "flat", "top_only", "descend")
WITHOUT_BANK = ("none", "zero")


@dataclass(frozen=True)
class Cell:
    """One way to use the memory."""

    search: str
    summariser: str = ""  # memory.summariser; empty: the search reads no bank
    levels: tuple[int, ...] = ()  # levels to read, empty: all; for search=flat the one level

    @property
    def name(self) -> str:
        """The name of its folder and its row."""
        levels = "_".join(map(str, self.levels)) or "all"
        return "-".join([self.search, *([slug(self.summariser), levels] if self.summariser else [])])

    @property
    def overrides(self) -> list[str]:
        """The settings of retrieval, as for ``--set``."""
        if self.search == "flat":
            return ["retrieval.search=flat", f"retrieval.flat_level={self.levels[0]}"]
        return [f"retrieval.search={self.search}", f"retrieval.levels={list(self.levels)}"]


def make_grid(searches: Sequence[str], levels: Sequence[str], depths: Mapping[str, int]) -> list[Cell]:
    """All cells without duplicates, in the order of ``searches``; ``depths``: number of levels per summariser's bank.

    ``levels`` are "all", "top", or numbers ("1", "1,3"; 0: captions, left out for top_only); a flat search reads one
    level, for "all" the finest.
    Raises UserError on an unknown search, or a level that a bank does not have.
    """
    installed = known(PARTS["package"], PARTS["group"], PARTS["defines"])
    unknown = [search for search in searches if search not in installed]
    if unknown:
        raise UserError(f"ablation: unknown search {unknown[0]!r}; expected some of {', '.join(SEARCHES)}")
    cells = []
    for search in searches:
        if search in WITHOUT_BANK:
            cells.append(Cell(search))
            continue
        for summariser, depth in depths.items():
            for level in levels:
                numbers = _numbers(level, depth)
                if search == "flat":
                    cells += [Cell(search, summariser, (number,)) for number in numbers or (1,)]
                elif search != "top_only" or 0 not in numbers:  # which never reads captions
                    cells.append(Cell(search, summariser, numbers))
    return list(dict.fromkeys(cells))


def slug(text: str) -> str:
    """A text as part of a folder name."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")


def _numbers(level: str, depth: int) -> tuple[int, ...]:
    """Levels as numbers in ascending order; empty: all."""
    if level == "all":
        return ()
    if level == "top":
        return (depth,)
    parts = level.split(",")
    if not all(part.isdecimal() and int(part) <= depth for part in parts):
        raise UserError(f"ablation: level {level!r}: expected all, top, or numbers from 0 (captions) and 1 (finest) to "
                        f"{depth}, as 1,3")
    return tuple(sorted(set(map(int, parts))))
