"""Tables of scores.  Values are times 100, as papers print them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from hicm.evaluation.intervals import Interval
from hicm.evaluation.signatures import number
from hicm.moments_eval.inputs.protocols import LEVELS
from hicm.moments_eval.inputs.protocols import Protocol as Rules

# Thresholds that papers print, of R1 and of mAP.
PRINTED = {"R1": (0.1, 0.3, 0.5, 0.7), "mAP": (0.5, 0.75)}


class Reportable(Protocol):
    """What the tables need of a result (`score.Result` is one)."""

    @property
    def rules(self) -> Rules: ...
    @property
    def protocol(self) -> str: ...
    @property
    def run(self) -> str | None: ...
    @property
    def scores(self) -> Mapping[str, float]: ...
    @property
    def intervals(self) -> Mapping[str, Interval]: ...
    @property
    def coverage(self) -> Mapping[str, Any]: ...
    @property
    def ranges(self) -> Mapping[str, int]: ...
    @property
    def left_out(self) -> Mapping[str, str]: ...
    @property
    def warnings(self) -> Sequence[str]: ...
    @property
    def signature(self) -> str: ...


def result_table(results: Sequence[Reportable], decimals: int, labels: Sequence[str] = (),
                 ) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the scores that papers print; intervals are in brackets."""
    columns = list(dict.fromkeys(name for result in results for name in printed(result.scores)))
    rows = []
    for place, result in enumerate(results):
        cells = [_cell(result, name, decimals) for name in columns]
        rows.append([labels[place] if labels else result.run or result.protocol, *cells])
    return ["", *columns], rows


def printed(names: Iterable[str]) -> list[str]:
    """The scores that papers print: all, if there are few."""
    names = list(names)
    if len(names) <= 8:
        return names
    common = {f"{kind}@{number(t)}" for kind, tious in PRINTED.items() for t in tious}
    return [name for name in names if name in common or ("@" not in name and not name.endswith("-mIoU"))]


def text(result: Reportable) -> str:
    """A result for the terminal: scores by range of lengths, by threshold, highlights, coverage, signature."""
    lines = [f"{result.protocol}, times 100"]
    lines += _by_range(result)
    lines += _by_threshold(result)
    lines += _highlights(result)
    lines += [f"{name}: {_bounds(result.intervals[name], 2)} (95 %)" for name in printed(result.scores)
              if name in result.intervals]
    return "\n".join([*lines, *caveats(result), result.signature])


def caveats(result: Reportable) -> list[str]:
    """What to know beside the scores, one line each: coverage, metrics left out and why, warnings."""
    return [*coverage_lines(result), *(f"warning: {warning}" for warning in result.warnings)]


def coverage_lines(result: Reportable) -> list[str]:
    """Which queries were scored, and metrics left out with the reason."""
    covered = result.coverage
    counts = ", ".join(f"{len(covered[kind])} {kind}" for kind in ("missing", "empty", "unknown"))
    lines = [f"coverage: {covered['scored']} of {covered['queries']} queries scored ({counts})"]
    by_reason: dict[str, list[str]] = {}
    for name, reason in result.left_out.items():
        by_reason.setdefault(reason, []).append(name)
    return lines + [f"left out: {', '.join(printed(names))}: {reason}" for reason, names in by_reason.items()]


def _by_range(result: Reportable) -> list[str]:
    """A row for all windows and for each range of lengths, a column for each score that papers print."""
    names = [name for name in result.rules.of_part("") if name in printed(result.rules.of_part(""))]
    parts = {"": "all", **{part: f"{part} ({number(low)}-{number(high)} s)"
                           for part, (low, high) in result.rules.range_ends.items()}}
    own = {part: [f"{part}-{name}" if part else name for name in names] for part in parts}
    columns = [at for at in range(len(names)) if any(own[part][at] in result.scores for part in parts)]
    rows = [[label, str(result.ranges.get(part, result.coverage["scored"])),
             *(_number(result.scores.get(own[part][at])) for at in columns)]
            for part, label in parts.items() if any(own[part][at] in result.scores for at in columns)]
    return _aligned([["length", "queries", *(names[at] for at in columns)], *rows]) if rows else []


def _by_threshold(result: Reportable) -> list[str]:
    """A row for R1 and one for mAP, a column for each threshold."""
    thresholds = sorted({*result.rules.recall, *result.rules.tious})
    rows = [[kind, *(_number(result.scores.get(f"{kind}@{number(t)}")) for t in thresholds)] for kind in ("R1", "mAP")]
    return _filled([["IoU", *map(number, thresholds)], *rows]) if len(thresholds) > 2 else []


def _highlights(result: Reportable) -> list[str]:
    kinds = [kind for kind in ("mAP", "Hit1") if any(f"HL-{kind}-{level}" in result.scores for level in LEVELS)]
    rows = [[level, *(_number(result.scores.get(f"HL-{kind}-{level}")) for kind in kinds)] for level in LEVELS]
    return _filled([["highlights", *kinds], *rows]) if kinds else []


def _filled(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table without rows and columns that hold no number; none if there is no number at all."""
    rows = [row for at, row in enumerate(rows) if at == 0 or any(cell != "-" for cell in row[1:])]
    columns = [column for at, column in enumerate(zip(*rows, strict=True))
               if at == 0 or any(cell != "-" for cell in column[1:])]
    return _aligned(list(zip(*columns, strict=True))) if len(rows) > 1 else []


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:{'<' if at == 0 else '>'}{width}}" for at, (cell, width) in
                      enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _cell(result: Reportable, name: str, decimals: int) -> str:
    if name not in result.scores:
        return ""
    cell = f"{100 * result.scores[name]:.{decimals}f}"
    return f"{cell} {_bounds(result.intervals[name], decimals)}" if name in result.intervals else cell


def _bounds(interval: Interval, decimals: int) -> str:
    return f"[{100 * interval.low:.{decimals}f}, {100 * interval.high:.{decimals}f}]"
