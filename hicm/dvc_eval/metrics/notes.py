"""Says where CIDEr is 0 whatever the captions are: the question most asked about it.

An n-gram weighs ln(pairs / pairs whose reference has it), counted over the pairs that are scored together: those of a
video at a threshold, or all.  If these pairs have one reference between them, as a single pair has, every n-gram of it
weighs ln 1 = 0.
"""

import re
from collections.abc import Sequence

import numpy as np

from hicm.dvc_eval.inputs.case import Case
from hicm.dvc_eval.inputs.protocols import Protocol
from hicm.dvc_eval.metrics.part import EventPairs, Part

_BETWEEN_WORDS = re.compile(r"\W+")


def cider_notes(case: Case, part: Part, rules: Protocol, metrics: Sequence[str]) -> list[str]:
    """Why CIDEr is 0, and what to do.  ``part``: as scored, before its corpora are counted."""
    found = []
    if "CIDEr" in metrics and part.pairs is not None and rules.cider == "video":
        zero = single_reference(case, part.pairs, rules.tious)
        some = np.flatnonzero(zero.any(axis=1))
        scored = len(case.videos) if rules.missing == "zero" else int(case.predicted.present.sum())
        if len(some):
            where = "" if zero[some].all() else " at some thresholds"
            found.append(
                f"CIDEr is 0 by its formula for {len(some)} of {scored} videos (first: {case.videos[some[0]]}){where}, "
                f"whatever the captions: {rules.name} weights n-grams by the pairs of one video, and theirs have a "
                "single reference, whose weight is ln 1 = 0; go by METEOR and SODA, or weight n-grams by all videos: "
                "--rule cider=corpus (another scale than in papers)")
    for corpus in part.corpora:
        texts = set(zip(*corpus.references, strict=True)) - {(rules.unmatched_text,) * len(corpus.references)}
        if len(texts) == 1 and corpus.name in metrics:
            found.append(f"{corpus.name} is 0 by its formula, whatever the captions: n-grams are weighted by all texts "
                         "together, and these have a single reference, whose weight is ln 1 = 0; score more videos")
    return list(dict.fromkeys(found))


def single_reference(case: Case, pairs: EventPairs, tious: Sequence[float]) -> np.ndarray:
    """Mask (V, thresholds) of the sets of pairs that have one reference between them, and not the unmatched string."""
    reference = np.full(len(pairs.video), -1)
    numbers: dict[str, int] = {}
    for annotator, events in enumerate(case.annotators):
        own = np.array([numbers.setdefault(_BETWEEN_WORDS.sub(" ", caption.lower()).strip(), len(numbers))
                        for caption in events.captions], dtype=np.int64)
        first = np.cumsum(events.counts) - events.counts
        chosen = pairs.annotator == annotator
        reference[chosen] = own[first[pairs.video[chosen]] + pairs.event[chosen]]
    columns = []
    for tiou in tious:
        at = (pairs.low < tiou) & (tiou <= pairs.iou)
        low, high = np.full(len(case.videos), len(numbers)), np.full(len(case.videos), -1)
        np.minimum.at(low, pairs.video[at], reference[at])
        np.maximum.at(high, pairs.video[at], reference[at])
        columns.append((low == high) & (high >= 0))
    return np.stack(columns, axis=1)
