"""Caption metrics of every video at every threshold, each pair quantity computed once."""

from dataclasses import dataclass

import numpy as np

from hicm.dvc_eval.case import Case, Texts
from hicm.dvc_eval.meteor import Meteor, total
from hicm.dvc_eval.pairs import Pairs, join, pair_up
from hicm.dvc_eval.text.bleu import bleu, clipped_matches
from hicm.dvc_eval.text.cider import cider
from hicm.dvc_eval.text.grams import count_grams
from hicm.dvc_eval.text.rouge import rouge_l


@dataclass(frozen=True)
class CaptionPairs:
    """All pairs of a case, as distinct pairs of tokenised captions.

    ``pairs`` as in `pair_up`; ``distinct`` (D, 2) text indices of hypothesis and reference; ``place`` (P,) the
    distinct pair of each pair.
    """

    pairs: Pairs
    distinct: np.ndarray
    place: np.ndarray


def caption_pairs(case: Case, texts: Texts, tious: tuple[float, ...], max_proposals: int) -> CaptionPairs:
    """Pair the captions of all videos; annotators are not merged, each pair has one reference."""
    parts, hypothesis, reference = [], [], []
    for video, track in enumerate(case.predicted):
        spans = np.concatenate([reference.spans for reference in case.annotators(video)])
        part = pair_up(video, track.spans[:max_proposals], spans, tious)
        # NO_EVENT is -1: the unmatched string stands last.
        said = [indices for indices in texts.references[video] if indices is not None]
        written = np.concatenate([*said, [texts.unmatched]])
        parts.append(part)
        hypothesis.append(texts.predicted[video][part.hypothesis])
        reference.append(written[part.reference])
    both = np.stack([np.concatenate(hypothesis), np.concatenate(reference)], axis=1).astype(np.int64)
    distinct, place = np.unique(both, axis=0, return_inverse=True)
    return CaptionPairs(join(parts), distinct, place.reshape(-1))


def overlap_metrics(paired: CaptionPairs, texts: Texts, videos: int, tious: tuple[float, ...],
                    wanted: set[str]) -> dict[str, np.ndarray]:
    """CIDEr, Rouge-L and Bleu_1..4, those in ``wanted``: (videos, thresholds) each; 0 for a video without pairs."""
    hypothesis, reference = paired.distinct.T
    bleus = [f"Bleu_{n}" for n in range(1, 5)]
    scores = {name: np.zeros((videos, len(tious))) for name in ("CIDEr", "Rouge-L", *bleus) if name in wanted}
    grams = count_grams(texts.tokens)
    correct = clipped_matches(grams, hypothesis, reference) if wanted & set(bleus) else None
    rouge = rouge_l(texts.tokens, paired.distinct.tolist()) if "Rouge-L" in wanted else None
    for column, tiou in enumerate(tious):
        chosen = paired.pairs.at(tiou)
        place, video = paired.place[chosen], paired.pairs.video[chosen]
        if "CIDEr" in wanted:
            scores["CIDEr"][:, column] = cider(grams, hypothesis[place], reference[place], video, videos)
        if rouge is not None:
            pairs = np.maximum(np.bincount(video, minlength=videos), 1)
            scores["Rouge-L"][:, column] = np.bincount(video, weights=rouge[place], minlength=videos) / pairs
        if correct is not None:
            orders = bleu(correct[place], grams.length[hypothesis[place]], grams.length[reference[place]], video,
                          videos)
            for name, values in zip(bleus, orders.T, strict=True):
                if name in wanted:
                    scores[name][:, column] = values
    return scores


def meteor_scores(paired: CaptionPairs, statistics: np.ndarray, videos: int, tious: tuple[float, ...],
                  meteor: Meteor) -> np.ndarray:
    """METEOR of every video and threshold, (videos, thresholds), from the statistics (D, 23) of the distinct pairs."""
    sums, filled = [], []
    for tiou in tious:
        chosen = paired.pairs.at(tiou)
        video = paired.pairs.video[chosen]
        sums.append(total(statistics[paired.place[chosen]], video, videos))
        filled.append(np.bincount(video, minlength=videos) > 0)
    scores = np.zeros((len(tious), videos))
    scores[np.stack(filled)] = meteor.score(np.stack(sums)[np.stack(filled)])
    return scores.T
