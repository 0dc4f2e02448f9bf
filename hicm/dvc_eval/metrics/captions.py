"""Caption metrics of every video at every IoU threshold; whatever depends on a pair alone is computed once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hicm.dvc_eval.inputs.arrays import find_distinct, largest, sums_by
from hicm.dvc_eval.inputs.case import Case
from hicm.dvc_eval.inputs.protocols import Protocol
from hicm.dvc_eval.metrics.overlaps import Overlaps
from hicm.dvc_eval.metrics.part import Aligned, Corpus, EventPairs, Part, TextPairs, pair_blocks
from hicm.dvc_eval.words.bleu import STATISTICS as BLEU_STATISTICS
from hicm.dvc_eval.words.bleu import bleu_scores, bleu_statistics
from hicm.dvc_eval.words.cider import cider_of_some
from hicm.dvc_eval.words.grams import count_grams
from hicm.dvc_eval.words.meteor import Meteor
from hicm.dvc_eval.words.meteor15.score import STATISTICS
from hicm.dvc_eval.words.rouge import rouge_l
from hicm.dvc_eval.words.texts import Texts
from hicm.evaluation.measures import divide

NO_EVENT = -1  # annotator and event of a prediction that matches none


@dataclass(frozen=True)
class Pairs:
    """Which prediction is compared with which event's caption, (P,) each, ordered by video.

    A pair counts at threshold t if ``low < t <= high``.  A prediction and an event that overlap are paired up to their
    IoU: (-inf, IoU].  A prediction that matches nothing at t is compared with the protocol's unmatched string:
    (best IoU, inf].  So, apart from these strings, the pairs of a higher threshold are among those of a lower one.
    ``prediction`` and ``event`` are indices of events, ``hypothesis`` and ``reference`` of texts; all are int32.
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
        parts.append((prediction, np.full(len(event), annotator, np.int32), event, np.full(len(event), -np.inf),
                      overlap, texts.references[annotator].astype(np.int32)[event]))
    alone = np.flatnonzero(counted & (best < max(tious))).astype(np.int32)
    none = np.full(len(alone), NO_EVENT, np.int32)
    parts.append((alone, none, none, best[alone], np.full(len(alone), np.inf),
                  np.full(len(alone), len(texts.tokens), np.int32)))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    del parts
    # By prediction, then annotator, then event, as they are within each annotator.
    order = np.lexsort((columns[1], columns[0]))
    for at in range(len(columns)):
        columns[at] = columns[at][order]
    prediction, author, event, low, high, reference = columns
    return Pairs(case.predicted.video.astype(np.int32)[prediction], prediction, author, event, low, high,
                 texts.predicted.astype(np.int32)[prediction], reference)


def distinct_pairs(hypothesis: np.ndarray, reference: np.ndarray, texts: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs (D, 2) of text indices (P,) below ``texts``, in order, and the index (P,) of each pair in them."""
    codes, place = find_distinct(hypothesis * np.int64(texts) + reference)
    return np.stack(np.divmod(codes, max(texts, 1)), axis=1).astype(np.int32), place.astype(np.int32)


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
        self.sums = np.zeros((len(case.videos), len(rules.tious), STATISTICS))  # of METEOR
        self.scores = np.empty(self.meteor_size())
        self.added = 0  # of the distinct pairs, to both

    def meteor_size(self) -> int:
        """The number of distinct pairs of captions."""
        return len(self.distinct) if "METEOR" in self.wanted else 0

    def meteor_pairs(self) -> Iterator[TextPairs]:
        """The distinct pairs of captions, for METEOR."""
        for block in pair_blocks(self.meteor_size()):
            yield TextPairs(self.tokens, self.distinct[block], self.rules.tok == "unicode")

    def add_meteor(self, found: Aligned) -> None:
        """Keep the score of each pair; the statistics, whole numbers, are summed whatever the blocks."""
        block = slice(self.added, self.added + len(found.rows))
        self.scores[block] = found.scores()
        for column, owner, rows in self._by_threshold(block):
            self.sums[:, column] += found.total(owner, len(self.case.videos), rows)
        self.added = block.stop

    def fill(self, part: Part) -> None:
        """BLEU, ROUGE-L and CIDEr; the pairs and their scores."""
        pairs, videos = self.pairs, len(self.case.videos)
        hypothesis, references = self.distinct[:, 0], self.distinct[:, 1:]
        grams = count_grams(self.tokens)
        each: dict[str, np.ndarray] = {}
        if any(name.startswith("Bleu") for name in self.wanted):
            each["Bleu_4"] = np.empty(len(self.distinct))
            sums = np.zeros((videos, len(self.rules.tious), BLEU_STATISTICS))
            for block in pair_blocks(len(self.distinct)):
                counts = bleu_statistics(grams, hypothesis[block], references[block])
                each["Bleu_4"][block] = bleu_scores(counts)[:, 3]
                for column, owner, rows in self._by_threshold(block):
                    sums[:, column] += sums_by(counts, owner, videos, rows)
            scores = bleu_scores(sums)
            for n in range(scores.shape[-1]):
                self._add(part, f"Bleu_{n + 1}", scores[..., n])
        if "ROUGE_L" in self.wanted:
            each["ROUGE_L"] = np.concatenate([np.zeros(0), *(
                rouge_l(self.tokens, hypothesis[block], references[block], self.rules.rouge_empty)
                for block in pair_blocks(len(self.distinct)))])
            self._add(part, "ROUGE_L", self._means(each["ROUGE_L"]))
        if "CIDEr" in self.wanted and self.rules.cider == "video":
            chosen = np.stack([pairs.at(tiou) for tiou in self.rules.tious])
            found = cider_of_some(grams, hypothesis[self.place], references[self.place], pairs.video, videos, chosen)
            columns = [divide(np.bincount(pairs.video[mask], weights=each, minlength=videos),
                              np.bincount(pairs.video[mask], minlength=videos))
                       for mask, each in zip(chosen, found, strict=True)]
            self._add(part, "CIDEr", np.stack(columns, axis=1))
        elif "CIDEr" in self.wanted:
            part.corpora += [self._corpus(column, tiou) for column, tiou in enumerate(self.rules.tious)]
        place = self.case.predicted.place.astype(np.int32)
        part.pairs = EventPairs(pairs.video, place[pairs.prediction], pairs.annotator, self._event_places(), pairs.low,
                                pairs.high,
                                {self.wanted.get(name, name): values[self.place] for name, values in each.items()})

    def fill_meteor(self, part: Part, meteor: Meteor) -> None:
        """METEOR: the score of a video's summed statistics."""
        if "METEOR" not in self.wanted:
            return
        filled = [np.bincount(self.pairs.video[self.pairs.at(tiou)], minlength=len(self.case.videos)) > 0
                  for tiou in self.rules.tious]
        with_pairs = np.stack(filled, axis=1)
        scores = np.zeros(with_pairs.shape)
        scores[with_pairs] = meteor.score(self.sums[with_pairs])
        self._add(part, "METEOR", scores)
        if part.pairs is not None:
            part.pairs.scores["METEOR"] = self.scores[self.place]

    def _add(self, part: Part, name: str, scores: np.ndarray) -> None:
        if name in self.wanted:
            part.columns[self.wanted[name]] = scores, np.ones(scores.shape)

    def _by_threshold(self, block: slice) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """For each threshold the pairs whose distinct pair is in a block: video, and place in the block."""
        inside = (self.place >= block.start) & (self.place < block.stop)
        for column, tiou in enumerate(self.rules.tious):
            chosen = self.pairs.at(tiou) & inside
            yield column, self.pairs.video[chosen], self.place[chosen] - block.start

    def _means(self, values: np.ndarray) -> np.ndarray:
        """Means (videos, thresholds) of a score (D,) of distinct pairs."""
        videos, columns = len(self.case.videos), []
        for tiou in self.rules.tious:
            chosen = self.pairs.at(tiou)
            video = self.pairs.video[chosen]
            columns.append(divide(np.bincount(video, weights=values[self.place[chosen]], minlength=videos),
                                  np.bincount(video, minlength=videos)))
        return np.stack(columns, axis=1)

    def _corpus(self, column: int, tiou: float) -> Corpus:
        chosen = np.flatnonzero(self.pairs.at(tiou))
        texts = self.distinct[self.place[chosen]]
        hypotheses, references = ([self.tokens[text] for text in side] for side in texts.T.tolist())
        return Corpus(self.wanted["CIDEr"], column, self.pairs.video[chosen], hypotheses, [references])

    def _event_places(self) -> np.ndarray:
        places = np.full(len(self.pairs.event), NO_EVENT, np.int32)
        for annotator, events in enumerate(self.case.annotators):
            own = self.pairs.annotator == annotator
            places[own] = events.place[self.pairs.event[own]]
        return places
