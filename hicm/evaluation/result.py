"""What results of all evaluators have in common: scores from sums, how they are printed, when they may be added."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from hicm.errors import UserError
from hicm.evaluation.measures import Measure
from hicm.evaluation.tables import latex, markdown


class Scored:
    """The part of a result that does not depend on what is scored; a frozen dataclass adds the fields.

    ``item``, ``items``: what a row of statistics is about, and many of them.
    """

    item: ClassVar[str]
    items: ClassVar[str]
    measures: dict[str, Measure]
    rules: Any
    coverage: dict[str, Any]
    left_out: dict[str, str]
    signature: str

    @cached_property
    def scores(self) -> dict[str, float]:
        """The scores of the data set by name."""
        return {name: measure.score() for name, measure in self.measures.items()}

    @property
    def ids(self) -> tuple[str, ...]:
        """One id per row of statistics."""
        raise NotImplementedError

    def coverage_lines(self) -> list[str]:
        """What was scored, and metrics left out with the reason."""
        raise NotImplementedError

    @staticmethod
    def tabulate(results: Sequence[Any], decimals: int, labels: Sequence[str] = (),
                 ) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of several results."""
        raise NotImplementedError

    def gaps(self) -> list[str]:
        """Lines on coverage and metrics left out; none if all was scored."""
        whole = not self.left_out and not any(self.coverage[kind] for kind in ("missing", "empty", "unknown"))
        return [] if whole else self.coverage_lines()

    def place_of(self, name: str) -> int:
        """The row of an id.  Raises UserError for an unknown one."""
        if name not in self.ids:
            raise not_scored(self.item, name, self.ids)
        return self.ids.index(name)

    def to_markdown(self, decimals: int = 2) -> str:
        """A table with one row, times 100, and the signature below it."""
        return markdown(*self.tabulate([self], decimals), notes=[self.signature])

    def to_latex(self, decimals: int = 2) -> str:
        """A booktabs table with one row, times 100, and the signature as a comment."""
        return latex(*self.tabulate([self], decimals), notes=[self.signature])

    def check_addable(self, other: Self) -> None:
        """Raises UserError if both have items in common or were scored by different rules."""
        both = set(self.ids) & set(other.ids)
        if both:
            raise UserError(f"results share {len(both)} {self.items} (first: {min(both)}), so they cannot be added")
        if self.rules != other.rules:
            raise UserError(f"results were scored by different rules: {self.signature} and {other.signature}")


Join = Callable[[np.ndarray, np.ndarray], np.ndarray]


def join_measures(one: Mapping[str, Measure], two: Mapping[str, Measure], join: Join) -> dict[str, Measure]:
    """The measures that both have, their rows joined."""
    return {name: replace(measure, statistics=join(measure.statistics, two[name].statistics))
            for name, measure in one.items() if name in two}


def not_scored(item: str, name: str, ids: Sequence[str]) -> UserError:
    """The error for an id that is not among those scored."""
    return UserError(f"{item} {name}: not scored; scored are {', '.join(ids[:3])}{' ...' if len(ids) > 3 else ''}")
