"""Score tables of the report, from finished scores: values times 100, differences to the first run, the best marked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hicm.evaluation.signatures import unlike
from hicm.report.runs import Run, is_number

# name in a metrics file -> (printed name, explanation)
METRICS: dict[str, tuple[str, str]] = {
    "soda_c": ("SODA_c", "Captions and times of a video as one story: best in-order match by tIoU × METEOR, F-score."),
    "CIDEr": ("CIDEr", "Shared n-grams of overlapping pairs, weighted by rarity (tf-idf); may exceed 100."),
    "METEOR": ("METEOR", "Word matches of overlapping pairs, with stems, synonyms and a penalty for scattered order."),
    "Rouge-L": ("ROUGE-L", "Longest common subsequence of words, over overlapping pairs."),
    "Bleu_1": ("BLEU-1", "Precision of single words, over overlapping pairs."),
    "Bleu_2": ("BLEU-2", "Precision of sequences of up to 2 words, over overlapping pairs."),
    "Bleu_3": ("BLEU-3", "Precision of sequences of up to 3 words, over overlapping pairs."),
    "Bleu_4": ("BLEU-4", "Precision of sequences of up to 4 words, over overlapping pairs."),
    "F1": ("F1", "Harmonic mean of precision and recall of event times, averaged over tIoU 0.3, 0.5, 0.7, 0.9."),
    "F1_of_means": ("F1", "Harmonic mean of the mean precision and the mean recall of event times."),
    "F1_per_video": ("F1", "Harmonic mean of a video's precision and recall of event times, mean over videos."),
    "Precision": ("Precision", "Share of predicted events that overlap a reference event, mean over tIoU thresholds."),
    "Recall": ("Recall", "Share of reference events that overlap a predicted event, mean over tIoU thresholds."),
    "soda_d": ("SODA_d", "Times of a video as one story: best in-order match by tIoU; mean of precision, recall, F."),
    "soda_d_f": ("SODA_d F", "Only the F-score of SODA_d."),
    "R1@0.3": ("R1@0.3", "Share of queries whose best window overlaps a true one with an IoU of at least 0.3."),
    "R1@0.5": ("R1@0.5", "The same, from an IoU of 0.5."),
    "R1@0.7": ("R1@0.7", "The same, from an IoU of 0.7."),
    "mIoU": ("mIoU", "IoU of a query's best window with the true one that it fits best, mean over queries."),
    "mAP": ("mAP", "Area under precision and recall of a query's windows, mean over queries and IoU 0.5 to 0.95."),
}
RANGES = ("short-", "middle-", "long-", "superlong-")  # scores of moments by their length, with the single thresholds
_SAME_AS = {"ROUGE_L": "Rouge-L"}
KINDS = ("F1", "Precision", "Recall")


@dataclass(frozen=True)
class Cell:
    """One score of one run.

    ``value`` is times 100, ``difference`` is to the first run (empty for the first run itself), ``best`` marks the best
    of its row, and ``interval`` holds both ends of the 95 % interval times 100 (empty: none was computed).
    """

    value: str
    difference: str = ""
    best: bool = False
    interval: tuple[float, ...] = ()


@dataclass(frozen=True)
class Row:
    """One metric, with one cell per run."""

    name: str
    label: str
    meaning: str
    cells: tuple[Cell, ...]


def score_rows(scores: Sequence[Mapping[str, float]],
               intervals: Sequence[Mapping[str, Sequence[float]]] = ()) -> tuple[list[Row], list[Row]]:
    """Rows of the main table, and rows of single thresholds (``F1@0.5``, ``Recall@3s``).

    ``scores``: one mapping per run.  ``intervals``: {metric: both ends} per run, as `hicm evaluate --bootstrap` writes
    them; empty: no run has any.

    >>> main, _ = score_rows([{"CIDEr": 0.5}, {"CIDEr": 0.625}])
    >>> main[0].label, main[0].cells[1].value, main[0].cells[1].difference, main[0].cells[1].best
    ('CIDEr', '62.50', '+12.50', True)
    """
    names = list(dict.fromkeys(name for given in scores for name, value in given.items() if is_number(value)))
    order = {name: place for place, name in enumerate(METRICS)}
    single = sorted((name for name in names
                     if _known(name) not in METRICS and ("@" in name or name.startswith(RANGES))), key=_threshold_order)
    plain = sorted((name for name in names if name not in single),
                   key=lambda name: order.get(_known(name), len(order)))
    intervals = intervals or [{}] * len(scores)
    return [_row(name, scores, intervals) for name in plain], [_row(name, scores, intervals) for name in single]


def metric_label(name: str) -> str:
    """The printed name of a metric.

    >>> metric_label("Bleu_4"), metric_label("Recall@3s")
    ('BLEU-4', 'Recall@3s')
    """
    return "+".join(METRICS.get(_known(part), (part, ""))[0] for part in name.split("+"))


def left_out(runs: Sequence[Run]) -> list[tuple[str, str, list[str]]]:
    """Metrics that were not computed, as (run labels, reason, metric names); equal reasons are merged."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for run in runs:
        reasons: dict[str, list[str]] = {}
        for name, reason in (run.metrics.get("left_out") or {}).items():
            reasons.setdefault(str(reason), []).append(metric_label(name))
        for reason, names in reasons.items():
            found.setdefault((reason, tuple(names)), []).append(run.label)
    return [(", ".join(labels), reason, list(names)) for (reason, names), labels in found.items()]


def comparable(signatures: Sequence[str]) -> bool:
    """Whether scores with these signatures may be compared: equal except for coverage and bootstrap.

    >>> comparable(["proto:a|cov:3/4|v:1", "proto:a|cov:4/4|v:1"]), comparable(["proto:a|v:1", "proto:b|v:1"])
    (True, False)
    """
    return all(not unlike(signatures[0], signature) for signature in signatures)


def _known(name: str) -> str:
    return _SAME_AS.get(name, name)


def _row(name: str, scores: Sequence[Mapping[str, float]], intervals: Sequence[Mapping[str, Sequence[float]]]) -> Row:
    values = [100 * given[name] if is_number(given.get(name)) else None for given in scores]
    present = [round(value, 2) for value in values if value is not None]
    top = max(present) if len(set(present)) > 1 else None
    cells = []
    for place, value in enumerate(values):
        if value is None:
            cells.append(Cell("–"))
            continue
        difference = f"{value - values[0]:+.2f}".replace("-", "−") if place and values[0] is not None else ""
        cells.append(Cell(f"{value:.2f}", difference, round(value, 2) == top, _interval(intervals[place].get(name))))
    return Row(name, metric_label(name), METRICS.get(_known(name), ("", ""))[1] or _meaning(name), tuple(cells))


def _meaning(name: str) -> str:
    """What a score at a single threshold means, or one of moments of a range of lengths; "" for others."""
    kind, _, threshold = name.partition("@")
    length, _, of_moments = kind.rpartition("-")
    if of_moments in ("R1", "mAP", "mIoU"):
        return (f"{of_moments}{f' from an IoU of {threshold}' if threshold else ''}"
                f"{f' of {length} moments' if length else ''}.")
    if not threshold:
        return ""
    rule = (f"they start less than {threshold.removesuffix('s')} s apart" if threshold.endswith("s") else
            f"their tIoU is above {threshold}")
    return f"{kind} of event times; events match if {rule}."


def _interval(ends: Any) -> tuple[float, ...]:
    """Both ends times 100; empty for anything else that a file may hold."""
    if isinstance(ends, list | tuple) and len(ends) == 2 and all(map(is_number, ends)):
        return tuple(100 * end for end in ends)
    return ()


def _threshold_order(name: str) -> tuple[bool, float, int]:
    kind, _, threshold = name.partition("@")
    try:
        number = float(threshold.removesuffix("s"))
    except ValueError:
        number = 0.0
    return threshold.endswith("s"), number, KINDS.index(kind) if kind in KINDS else len(KINDS)
