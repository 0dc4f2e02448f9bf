"""Turns the statistics of all videos into the measures of a protocol's scores."""

from collections.abc import Sequence

import numpy as np

from hicm.dvc_eval.inputs.protocols import F1_NAMES, Protocol
from hicm.dvc_eval.metrics.corpus import Items, cider_scores, corpus_measure
from hicm.dvc_eval.metrics.part import Columns, Part
from hicm.dvc_eval.metrics.soda_scores import soda_measure
from hicm.evaluation.measures import Measure, f1_measure, harmonic_mean, mean_measure


def count_corpora(part: Part, rules: Protocol, videos: int) -> None:
    """Turn the texts that are scored as one corpus (`Corpus`) into statistics of ``videos`` videos."""
    for corpus in part.corpora:
        scores = corpus.scores
        if scores is None:
            scores = cider_scores(Items.of(corpus.hypotheses, corpus.references))
        sums = np.bincount(corpus.video, weights=scores, minlength=videos)
        counts = np.bincount(corpus.video, minlength=videos).astype(float)
        if rules.pairing == "overlap" and not corpus.name.startswith("para_"):
            empty = np.zeros((videos, len(rules.tious)))
            column = part.columns.setdefault(corpus.name, (empty, empty.copy()))
            column[0][:, corpus.column], column[1][:, corpus.column] = sums, counts
        else:
            part.rows[corpus.name] = np.stack([sums, counts], axis=1)
    part.corpora = []


def make_measures(part: Part, rules: Protocol, wanted: Sequence[str]) -> dict[str, Measure]:
    """Those of the wanted scores that can be computed from the statistics, in order."""
    measures = {name: _measure(name, part, rules) for name in wanted}
    return {name: measure for name, measure in measures.items() if measure is not None}


def choose_videos(part: Part, chosen: np.ndarray) -> Part:
    """The statistics of the videos in a mask (V,); ``pairs`` stays as it is."""
    return Part(
        columns={name: (values[chosen], counts[chosen]) for name, (values, counts) in part.columns.items()},
        soda={kind: found[chosen] for kind, found in part.soda.items()},
        rows={name: rows[chosen] for name, rows in part.rows.items()}, pairs=part.pairs)


def missing_as_zero(part: Part, missing: np.ndarray, annotated: np.ndarray) -> Part:
    """The same statistics with missing videos, a mask (V,), counted with the score 0.

    ``annotated`` (V, A): which annotators have the video; in SODA it counts as 0 for these.
    """
    def filled(found: np.ndarray) -> np.ndarray:
        counted = annotated if found.shape[1] == annotated.shape[1] else annotated.any(axis=1, keepdims=True)
        return np.where((missing[:, None] & counted)[..., None], 0.0, found)

    return Part(columns=part.columns, rows=part.rows, soda={kind: filled(found) for kind, found in part.soda.items()})


def _measure(name: str, part: Part, rules: Protocol) -> Measure | None:
    if name.startswith("soda_"):
        return soda_measure(name, part.soda[name[5]], rules) if name[5] in part.soda else None
    kind, _, label = name.partition("@")
    if kind in ("Recall", "Precision", *F1_NAMES.values()):
        return _localisation(name, kind, label, part.columns, rules)
    if name in part.columns:
        return mean_measure(name, *part.columns[name], additive=rules.cider == "video" or name != "CIDEr")
    return corpus_measure(name, part.rows)


def _localisation(name: str, kind: str, label: str, columns: Columns, rules: Protocol) -> Measure | None:
    if "Recall" not in columns:
        return None
    chosen = slice(0, len(rules.tious))
    if label:
        at = rules.thresholds.index(label)
        chosen = slice(at, at + 1)
    if kind in columns:
        return mean_measure(name, columns[kind][0][:, chosen])
    precision, recall = (columns[side][0][:, chosen] for side in ("Precision", "Recall"))
    if kind == F1_NAMES["per-video"]:
        return mean_measure(name, harmonic_mean(precision.mean(axis=1), recall.mean(axis=1))[:, None])
    return f1_measure(name, precision, recall, kind == F1_NAMES["of-means"])
