"""CIDEr-D-like consensus of sets of pairs (Vedantam et al., CVPR 2015), as coco-caption computes it.

The idf is counted over the pairs of the set itself: with one pair ln N is 0, and so is the score.
"""

import numpy as np

from hicm.dvc_eval.inputs.arrays import blocks_of, count_distinct, expand, find_distinct
from hicm.dvc_eval.words.grams import ENTRIES, ORDERS, Grams

SIGMA = 6.0  # of the Gaussian on the difference in length


def cider(grams: Grams, hypothesis: np.ndarray, references: np.ndarray, owner: np.ndarray, sets: int) -> np.ndarray:
    """CIDEr (0..10) of each pair, (P,); a set's score is their mean.

    ``hypothesis`` (P,) and ``references`` (P, A) are caption ids of ``grams``, -1 where there is no reference;
    ``owner`` (P,) the set of each pair.  Documents are pairs: an n-gram counts once per pair, in whichever reference.
    """
    return cider_of_some(grams, hypothesis, references, owner, sets, np.ones((1, len(hypothesis)), dtype=bool))[0]


def cider_of_some(grams: Grams, hypothesis: np.ndarray, references: np.ndarray, owner: np.ndarray, sets: int,
                  chosen: np.ndarray) -> list[np.ndarray]:
    """The same T times, each time with the pairs of a mask, ``chosen`` (T, P), only: their scores.

    N-grams are looked up once, whatever T is, and weighed once per caption of a set; pairs are compared in blocks.
    """
    given = np.flatnonzero(references.ravel() >= 0).astype(np.int32)  # each is compared with its pair's hypothesis
    if not len(given):
        return [np.zeros(int(mask.sum())) for mask in chosen]
    pair_of, captions = given // np.int32(references.shape[1]), np.int64(len(grams.length))
    # The captions of each set, as one number, and which of these each pair has.
    first, first_at = _narrow(*find_distinct(owner * captions + hypothesis))
    second, second_at = _narrow(*find_distinct(owner[pair_of] * captions + references.ravel()[given]))
    several = references.shape[1] > 1
    idf = _Idf(grams, second, second_at, pair_of, owner, sets, chosen, several)
    weighed = _Weighed(grams, first, idf), _Weighed(grams, second, idf)
    scores = np.empty((len(chosen), len(given)))
    for block in blocks_of(grams.sizes[hypothesis[pair_of]], ENTRIES):
        scores[:, block] = _scores(grams, *weighed, first_at[pair_of[block]], second_at[block])
    if len(given) == len(hypothesis) and not several:
        return [each[mask] for each, mask in zip(scores, chosen, strict=True)]
    number = np.maximum(np.bincount(pair_of, minlength=len(hypothesis)), 1)
    return [(np.bincount(pair_of, weights=each, minlength=len(hypothesis)) / number)[mask]
            for each, mask in zip(scores, chosen, strict=True)]


def _narrow(distinct: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return distinct, place.astype(np.int32)


class _Idf:
    """The weight of n-grams in each set, T times: log of its number of pairs over the number of those with the n-gram.

    ``documents`` are the n-grams that occur in the references of a set, as one number, ascending.
    """

    def __init__(self, grams: Grams, captions: np.ndarray, caption_at: np.ndarray, pair_of: np.ndarray,
                 owner: np.ndarray, sets: int, chosen: np.ndarray, several: bool) -> None:
        self.size = np.int64(grams.size)
        if not several:  # count the pairs of a set with each reference, then their n-grams
            set_of, caption = np.divmod(captions, len(grams.length))
            row, entry = grams.rows(caption)
            pairs = [np.bincount(caption_at[mask[pair_of]], minlength=len(captions))[row] for mask in chosen]
            set_of, gram = set_of[row], grams.gram[entry]
        else:
            row, entry = grams.rows((captions % len(grams.length))[caption_at])
            once = count_distinct(pair_of[row] * self.size + grams.gram[entry])[0]
            pair, gram = np.divmod(once, self.size)
            pairs = [mask[pair] for mask in chosen]
            set_of = owner[pair]
        self.one = sets == 1
        self.documents: np.ndarray
        self.documents, place = (np.arange(grams.size), gram) if self.one else find_distinct(set_of * self.size + gram)
        frequency = np.stack([np.bincount(place, weights=number, minlength=len(self.documents)) for number in pairs])
        # At the end, an n-gram that occurs in no reference.
        self._log = np.log(np.maximum(np.append(frequency, np.zeros((len(pairs), 1)), axis=1), 1.0))
        self._log_size = np.log(np.maximum([np.bincount(owner[mask], minlength=sets) for mask in chosen], 1))

    def __call__(self, set_of: np.ndarray, gram: np.ndarray) -> np.ndarray:
        """The weights (T, N) of n-grams (N,) in their sets (N,)."""
        place = gram
        if not self.one:
            code = set_of * self.size + gram
            place = np.searchsorted(self.documents, code)
            place = np.where(np.append(self.documents, -1)[place] == code, place, len(self.documents))
        return self._log_size[:, set_of] - self._log[:, place]


class _Weighed:
    """Captions of sets, as numbers ``codes`` (C,), and the n-grams of all: ``offsets``, ``gram``, ``cell``, ``count``.

    ``idf`` (T, K) and ``norms`` (T, C, ORDERS): their weights, and the norm of each caption's vector.
    """

    def __init__(self, grams: Grams, codes: np.ndarray, idf: _Idf) -> None:
        set_of, self.caption = np.divmod(codes, len(grams.length))
        row, entry = grams.rows(self.caption)
        self.gram, self.order, self.count = grams.gram[entry], grams.order[entry], grams.count[entry]
        self.sizes = grams.sizes[self.caption]
        self.first = np.cumsum(self.sizes) - self.sizes
        self.idf = idf(set_of[row], self.gram)
        self.norms = np.stack([np.sqrt(_sums(row, self.order, (self.count * each)**2, len(codes)))
                               for each in self.idf])


def _scores(grams: Grams, first: _Weighed, second: _Weighed, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Scores (T, B) of hypotheses ``one`` (B,) of ``first`` with references ``two`` (B,) of ``second``."""
    row, entry = expand(first.first[one], first.sizes[one])
    shared = grams.counts_in(second.caption[two][row], first.gram[entry])
    hit = np.flatnonzero(shared)
    row, entry, shared = row[hit], entry[hit], shared[hit]
    bigrams = np.maximum(grams.length - 1, 0)
    gap = bigrams[first.caption[one]] - bigrams[second.caption[two]]
    likeness = np.exp(-(gap**2) / (2 * SIGMA**2))[:, None]
    found = []
    for idf, norms, other_norms in zip(first.idf, first.norms, second.norms, strict=True):
        weight, other = first.count[entry] * idf[entry], shared * idf[entry]
        value = _sums(row, first.order[entry], np.minimum(weight, other) * other, len(one))
        norm = norms[one] * other_norms[two]
        value = np.divide(value, norm, out=np.zeros(norm.shape), where=norm != 0)  # where a norm is 0, so is the value
        found.append(10.0 * (value * likeness).mean(axis=1))
    return np.stack(found)


def _sums(row: np.ndarray, order: np.ndarray, weights: np.ndarray, rows: int) -> np.ndarray:
    """Sums (rows, ORDERS) of ``weights`` by row and order of n-gram."""
    return np.bincount(row * ORDERS + order, weights=weights, minlength=rows * ORDERS).reshape(-1, ORDERS)
