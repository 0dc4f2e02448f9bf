"""What the self-tests of the evaluators share: scores beside those that other scorers gave for the same files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

TOLERANCE = 1e-9  # the reference scorers' own numbers differ by rounding only


class Result(Protocol):
    """What is checked."""

    @property
    def scores(self) -> Mapping[str, float]: ...
    @property
    def left_out(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Check:
    """One protocol: how many numbers were compared, the largest difference and its metric, what was left out."""

    name: str
    numbers: int
    difference: float
    worst: str
    left_out: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether every number was computed and agrees."""
        return not self.left_out and not self.wrong

    @property
    def wrong(self) -> bool:
        """Whether a computed number differs."""
        return not self.difference <= TOLERANCE

    def __str__(self) -> str:
        state = "ok" if self.ok else "WRONG" if self.wrong else "not checked"
        line = f"{state:11}  {self.name:52} {self.numbers:3}  {self.difference:.1e}"
        if self.wrong:
            line += f"  differs most: {self.worst}"
        if self.left_out:
            line += f"  not computed: {', '.join(self.left_out)} ({next(iter(self.left_out.values()))})"
        return line


@dataclass(frozen=True)
class SelfTest:
    """All cases; prints itself as a table."""

    cases: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether all cases are ok."""
        return all(case.ok for case in self.cases)

    def __str__(self) -> str:
        wrong, unchecked = sum(case.wrong for case in self.cases), sum(not case.ok for case in self.cases)
        verdict = "this installation gives the same numbers as the reference scorers"
        if wrong:
            verdict = f"{wrong} of {len(self.cases)} cases are wrong: do not publish scores of this installation"
        elif unchecked:
            verdict = f"everything computed agrees, but {unchecked} of {len(self.cases)} cases are not fully checked"
        head = f"{'':11}  {'protocol':52} {'#':>3}  largest difference"
        return "\n".join([head, *map(str, self.cases), verdict])


def check(name: str, expected: Mapping[str, float], result: Result, decimals: int | None = None) -> Check:
    """A result beside the scores that are expected of it.

    ``decimals``: how many digits of a percentage the expected ones have (None: all of them).
    """
    def shown(value: float) -> float:
        return value if decimals is None else float(f"{100 * value:.{decimals}f}") / 100

    differences = {metric: abs(shown(result.scores[metric]) - value) for metric, value in expected.items()
                   if metric in result.scores}
    worst = max(differences, key=lambda metric: (differences[metric] != differences[metric], differences[metric]),
                default="")
    return Check(name, len(differences), differences.get(worst, 0.0), worst,
                 {metric: result.left_out.get(metric, "no such score") for metric in expected
                  if metric not in result.scores})
