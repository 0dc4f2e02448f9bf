"""Tables of scores.  Values are times 100, as papers print them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hicm.dvc_eval.inputs.amounts import Amount
from hicm.dvc_eval.inputs.protocols import canonical
from hicm.evaluation.intervals import Interval

# Column headings, as in papers.
SHORT = {"METEOR": "M", "CIDEr": "C", "ROUGE_L": "R-L", "Rouge-L": "R-L", "Bleu_1": "B1", "Bleu_2": "B2",
         "Bleu_3": "B3", "Bleu_4": "B4", "Precision": "P", "Recall": "R", "F1_of_means": "F1 of means",
         "F1_per_video": "F1 per video",
         "soda_a": "SODA a", "soda_b": "SODA b", "soda_c": "SODA c", "soda_d": "SODA d", "soda_d_f": "SODA d (F)"}


class Reportable(Protocol):
    """What the tables need of a result (`score.Result` is one)."""

    @property
    def protocol(self) -> str: ...
    @property
    def run(self) -> str | None: ...
    @property
    def scores(self) -> Mapping[str, float]: ...
    @property
    def missing_as_zero(self) -> Mapping[str, float]: ...
    @property
    def intervals(self) -> Mapping[str, Interval]: ...
    @property
    def thresholds(self) -> Sequence[str]: ...
    @property
    def coverage(self) -> Mapping[str, Any]: ...
    @property
    def amounts(self) -> Mapping[str, Amount]: ...
    @property
    def left_out(self) -> Mapping[str, str]: ...
    @property
    def warnings(self) -> Sequence[str]: ...
    @property
    def signature(self) -> str: ...


def heading(metric: str) -> str:
    """A metric's name as in papers.

    >>> heading("para_Bleu_4"), heading("F1@0.5")
    ('para B4', 'F1@0.5')
    """
    if metric.startswith("para_"):
        return f"para {heading(metric.removeprefix('para_'))}"
    return SHORT.get(metric, metric)


def result_table(results: Sequence[Reportable], decimals: int, labels: Sequence[str] = (),
                 ) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of all scores that are not of a single threshold; intervals are in brackets."""
    # One column for a metric that protocols give two names.
    columns = list(dict.fromkeys(canonical(name) for result in results for name in result.scores if "@" not in name))
    rows = []
    for place, result in enumerate(results):
        cells = [labels[place] if labels else result.run or result.protocol]
        own = {canonical(name): name for name in result.scores}
        for column in columns:
            name = own.get(column, column)
            cell = f"{100 * result.scores[name]:.{decimals}f}" if name in result.scores else ""
            if name in result.intervals:
                interval = result.intervals[name]
                cell += f" [{100 * interval.low:.{decimals}f}, {100 * interval.high:.{decimals}f}]"
            cells.append(cell)
        rows.append(cells)
    return ["", *map(heading, columns)], rows


def text(result: Reportable) -> str:
    """A result for the terminal: scores, intervals, localisation, coverage, warnings, signature."""
    scores = result.scores
    lines = [f"{result.protocol}, times 100"]
    plain = [name for name in scores if "@" not in name and name not in ("Recall", "Precision", "F1")]
    width = max([9, *map(len, plain)])
    for at in range(0, len(plain), 8):
        part = plain[at:at + 8]
        lines += ["  ".join(f"{name:>{width}}" for name in part),
                  "  ".join(f"{100 * scores[name]:{width}.2f}" for name in part)]
        if result.intervals:
            lines += ["  ".join(f"{100 * getattr(result.intervals[name], end):{width}.2f}" for name in part) +
                      f"  95 % {end}" for end in ("low", "high")]
    return "\n".join([*lines, *_localisation(result), *caveats(result), result.signature])


def caveats(result: Reportable) -> list[str]:
    """What to know beside the scores, one line each: coverage, metrics left out and why, warnings."""
    return [*coverage_lines(result), *amount_lines({side: amount.to_json() for side, amount in result.amounts.items()}),
            *(f"warning: {warning}" for warning in result.warnings)]


def amount_lines(amounts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line: events per video, and the share of captions that are repeated; from `Amount.to_json` of each side."""
    if not amounts:
        return []
    events = ", ".join(f"{one['events_per_video']:.2f} {side}" for side, one in amounts.items())
    repeated = "; ".join(f"{side} {100 * one['repeated_in_video']:.1f} % in a video, {100 * one['repeated']:.1f} % in "
                         "all" for side, one in amounts.items())
    return [f"events per video: {events}; repeated captions: {repeated}"]


def coverage_lines(result: Reportable) -> list[str]:
    """Which videos were scored, the scores with missing ones counted as 0, and metrics left out with the reason."""
    covered = result.coverage
    counts = ", ".join(f"{len(covered[kind])} {kind}" for kind in ("missing", "empty", "unknown"))
    lines = [f"coverage: {covered['scored']} of {covered['videos']} videos scored ({counts})"]
    if result.missing_as_zero:
        some = [name for name in ("CIDEr", "METEOR", "soda_c", "F1", "soda_d") if name in result.missing_as_zero]
        scores = ", ".join(f"{name} {100 * result.missing_as_zero[name]:.2f}" for name in some)
        lines.append(f"with missing videos counted as 0: {scores}")
    by_reason: dict[str, list[str]] = {}
    for name, reason in result.left_out.items():
        by_reason.setdefault(reason, []).append(name)
    return lines + [f"left out: {', '.join(names)}: {reason}" for reason, names in by_reason.items()]


def _localisation(result: Reportable) -> list[str]:
    def value(kind: str, label: str) -> tuple[str, float | None]:
        name = kind if label == "mean" else f"{kind}@{label}"
        return name, result.scores.get(name)

    kinds = [kind for kind in ("Recall", "Precision", "F1")
             if any(name == kind or name.startswith(f"{kind}@") for name in result.scores)]
    labels = [label for label in ("mean", *result.thresholds) if any(value(kind, label)[1] is not None
                                                                      for kind in kinds)]
    lines = [f"{'':9}" + "".join(f"{label:>8}" for label in labels)] if labels else []
    for kind in kinds:
        cells = [value(kind, label)[1] for label in labels]
        lines.append(f"{kind:>9}" + "".join(f"{'-':>8}" if cell is None else f"{100 * cell:8.2f}" for cell in cells))
        if kind in result.intervals:
            one = result.intervals[kind]
            lines[-1] += f"   mean's 95 %: {100 * one.low:.2f} to {100 * one.high:.2f}"
    return lines
