"""Caption metrics of every video at every IoU threshold; whatever depends on a pair alone is computed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hicm.dvc_eval.inputs.arrays import largest, sums_by
from hicm.dvc_eval.inputs.case import Case
from hicm.dvc_eval.inputs.protocols import Protocol
from hicm.dvc_eval.metrics.measures import divide
from hicm.dvc_eval.metrics.overlaps import Overlaps
from hicm.dvc_eval.metrics.part import NO_PAIRS, Aligned, Corpus, EventPairs, Part, TextPairs
from hicm.dvc_eval.words.bleu import bleu_scores, bleu_statistics
from hicm.dvc_eval.words.cider import cider
from hicm.dvc_eval.words.grams import count_grams
from hicm.dvc_eval.words.rouge import rouge_l
from hicm.dvc_eval.words.texts import Texts

NO_EVENT = -1  # annotator and event of a prediction that matches none


@dataclass(frozen=True)
class Pairs:
    """Which prediction is compared with which event's caption, (P,) each, ordered by video.

    A pair counts at threshold t if ``low < t <= high``.  A prediction and an event that overlap are paired up to their
    IoU: (-inf, IoU].  A prediction that matches nothing at t is compared with the protocol's unmatched string:
    (best IoU, inf].  So, apart from these strings, the pairs of a higher threshold are among those of a lower one.
    ``prediction`` and ``event`` are indices of events, ``hypothesis`` and ``reference`` of texts.
    """

    video: np.ndarray
    prediction: np.ndarray
    annotator: np.ndarray
    event: np.ndarray
    low: np.ndarray
    high: np.ndarray
    hypothesis: np.ndarray
    reference: np.ndarray

    def at(self, tiou: float) -> np.ndarray:
        """Mask (P,) of the pairs that count at this threshold."""
        return (self.low < tiou) & (tiou <= self.high)


def pair_up(case: Case, overlaps: Sequence[Overlaps], texts: Texts, tious: tuple[float, ...], cap: int) -> Pairs:
    """Pairs each prediction with all events of all annotators with IoU >= t: one that overlaps three has three pairs.

    Only the first ``cap`` predictions of a video count.  The unmatched string has the index after the last text.
    """
    counted = case.predicted.place < cap
    best = np.zeros(len(counted))
    parts: list[tuple[np.ndarray, ...]] = []
    for annotator, pairs in enumerate(overlaps):
        best = np.maximum(best, largest(pairs.iou, pairs.prediction, len(counted)))
        matched = (pairs.iou >= min(tious)) & counted[pairs.prediction]
        prediction, event, overlap = pairs.prediction[matched], pairs.event[matched], pairs.iou[matched]
        parts.append((prediction, np.full(len(event), annotator), event, np.full(len(event), -np.inf), overlap,
                      texts.references[annotator][event]))
    alone = np.flatnonzero(counted & (best < max(tious)))
    none = np.full(len(alone), NO_EVENT)
    parts.append((alone, none, none, best[alone], np.full(len(alone), np.inf), np.full(len(alone), len(texts.tokens))))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((columns[2], columns[1], columns[0]))  # by prediction, then annotator, then event
    prediction, author, event, low, high, reference = (column[order] for column in columns)
    return Pairs(case.predicted.video[prediction], prediction, author, event, low, high, texts.predicted[prediction],
                 reference)


def distinct_pairs(hypothesis: np.ndarray, reference: np.ndarray, texts: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs (D, 2) of text indices (P,) below ``texts``, in order, and the index (P,) of each pair in them."""
    codes, place = np.unique(hypothesis * texts + reference, return_inverse=True)
    return np.stack(np.divmod(codes, max(texts, 1)), axis=1), place


class EventCaptions:
    """Compares captions of events that overlap: the protocol's caption metrics (`hicm.dvc_eval.metrics.part.Scorer`).

    ``wanted``: {name in CAPTION_METRICS: the protocol's name}.
    """

    def __init__(self, case: Case, overlaps: Sequence[Overlaps], texts: Texts, rules: Protocol,
                 wanted: Mapping[str, str]) -> None:
        self.case, self.rules, self.wanted = case, rules, wanted
        self.tokens = [*texts.tokens, rules.unmatched_text]
        self.pairs = pair_up(case, overlaps, texts, rules.tious, rules.max_proposals)
        self.distinct, self.place = distinct_pairs(self.pairs.hypothesis, self.pairs.reference, len(self.tokens))

    def meteor_pairs(self) -> TextPairs:
        """The distinct pairs of captions, for METEOR."""
        if "METEOR" not in self.wanted:
            return NO_PAIRS
        return TextPairs(self.tokens, self.distinct, self.rules.tok == "unicode")

    def fill(self, part: Part) -> None:
        """BLEU, ROUGE-L and CIDEr; the pairs and their scores."""
        pairs, videos = self.pairs, len(self.case.videos)
        hypothesis, references = self.distinct[:, 0], self.distinct[:, 1:]
        grams = count_grams(self.tokens)
        each: dict[str, np.ndarray] = {}
        if any(name.startswith("Bleu") for name in self.wanted):
            counts = bleu_statistics(grams, hypothesis, references)
            each["Bleu_4"] = bleu_scores(counts)[:, 3]
            scores = bleu_scores(self._by_threshold(counts))
            for n in range(scores.shape[-1]):
                self._add(part, f"Bleu_{n + 1}", scores[..., n])
        if "ROUGE_L" in self.wanted:
            each["ROUGE_L"] = rouge_l(self.tokens, hypothesis, references, self.rules.rouge_empty)
            self._add(part, "ROUGE_L", self._means(each["ROUGE_L"]))
        if "CIDEr" in self.wanted and self.rules.cider == "video":
            columns = []
            for tiou in self.rules.tious:
                chosen = pairs.at(tiou)
                place, video = self.place[chosen], pairs.video[chosen]
                scores = cider(grams, hypothesis[place], references[place], video, videos)
                columns.append(divide(np.bincount(video, weights=scores, minlength=videos),
                                      np.bincount(video, minlength=videos)))
            self._add(part, "CIDEr", np.stack(columns, axis=1))
        elif "CIDEr" in self.wanted:
            part.corpora += [self._corpus(column, tiou) for column, tiou in enumerate(self.rules.tious)]
        part.pairs = EventPairs(pairs.video, self.case.predicted.place[pairs.prediction], pairs.annotator,
                                self._event_places(), pairs.low, pairs.high,
                                {self.wanted.get(name, name): values[self.place] for name, values in each.items()})

    def fill_meteor(self, part: Part, found: Aligned) -> None:
        """METEOR: the score of a video's summed statistics."""
        if "METEOR" not in self.wanted:
            return
        sums, filled = [], []
        for tiou in self.rules.tious:
            chosen = self.pairs.at(tiou)
            video = self.pairs.video[chosen]
            sums.append(found.total(video, len(self.case.videos), self.place[chosen]))
            filled.append(np.bincount(video, minlength=len(self.case.videos)) > 0)
        with_pairs = np.stack(filled, axis=1)
        scores = np.zeros(with_pairs.shape)
        scores[with_pairs] = found.meteor.score(np.stack(sums, axis=1)[with_pairs])
        self._add(part, "METEOR", scores)
        if part.pairs is not None:
            part.pairs.scores["METEOR"] = found.scores()[self.place]

    def _add(self, part: Part, name: str, scores: np.ndarray) -> None:
        if name in self.wanted:
            part.columns[self.wanted[name]] = scores, np.ones(scores.shape)

    def _by_threshold(self, counts: np.ndarray) -> np.ndarray:
        """Sums (videos, thresholds, K) of ``counts`` (D, K) of distinct pairs."""
        columns = []
        for tiou in self.rules.tious:
            chosen = self.pairs.at(tiou)
            columns.append(sums_by(counts, self.pairs.video[chosen], len(self.case.videos), self.place[chosen]))
        return np.stack(columns, axis=1)

    def _means(self, values: np.ndarray) -> np.ndarray:
        """Means (videos, thresholds) of a score (D,) of distinct pairs."""
        sums = self._by_threshold(np.stack([values, np.ones(len(values))], axis=1))
        return divide(sums[..., 0], sums[..., 1])

    def _corpus(self, column: int, tiou: float) -> Corpus:
        chosen = np.flatnonzero(self.pairs.at(tiou))
        texts = self.distinct[self.place[chosen]]
        hypotheses, references = ([self.tokens[text] for text in side] for side in texts.T.tolist())
        return Corpus(self.wanted["CIDEr"], column, self.pairs.video[chosen], hypotheses, [references])

    def _event_places(self) -> np.ndarray:
        places = np.full(len(self.pairs.event), NO_EVENT)
        for annotator, events in enumerate(self.case.annotators):
            own = self.pairs.annotator == annotator
            places[own] = events.place[self.pairs.event[own]]
        return places
