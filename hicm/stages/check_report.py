"""What a check of a data set found, as a table and lines."""

from dataclasses import dataclass

from hicm.data.findings import Finding

COLUMNS = ("split", "file", "videos", "captions", "empty", "past end", "reversed", "negative", "zero length",
           "no features", "bad features", "no speech")


@dataclass(frozen=True)
class Problem:
    """Something found in one file."""

    file: str
    finding: Finding

    @property
    def is_error(self) -> bool:
        """Whether it stops training or evaluation."""
        return self.finding.level == "error"

    def __str__(self) -> str:
        return f"{self.finding.level}: {self.file}: {self.finding}"


@dataclass(frozen=True)
class Report:
    """``rows``: one per annotation file, the values of `COLUMNS` (None: not checked); ``problems``: errors first.

    ``notes``: how the settings use the splits, what is missing compared with the official counts, and what was not
    counted.
    """

    rows: tuple[tuple[str | int | None, ...], ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether training and evaluation can run on this data."""
        return not any(problem.is_error for problem in self.problems)

    def __str__(self) -> str:
        table = [COLUMNS, *(tuple("-" if value is None else str(value) for value in row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(text.ljust(width) if i < 2 else text.rjust(width)
                           for i, (text, width) in enumerate(zip(line, widths, strict=True))).rstrip()
                 for line in table]
        errors = sum(problem.is_error for problem in self.problems)
        verdict = f"{'ok' if self.ok else 'not usable'}: {errors} error(s), {len(self.problems) - errors} warning(s)"
        return "\n".join([*lines, "", *self.notes, *map(str, self.problems), verdict])
