"""CIDEr-D-like consensus of sets of pairs (Vedantam et al., CVPR 2015), as coco-caption computes it.

The idf is counted over the pairs of the set itself: with one pair ln N is 0, and so is the score.
"""

from collections.abc import Iterable

import numpy as np

from hicm.dvc_eval.inputs.arrays import add_counts, blocks_of, count_distinct
from hicm.dvc_eval.words.grams import ENTRIES, ORDERS, Grams, lookup

SIGMA = 6.0  # of the Gaussian on the difference in length


def cider(grams: Grams, hypothesis: np.ndarray, references: np.ndarray, owner: np.ndarray, sets: int) -> np.ndarray:
    """CIDEr (0..10) of each pair, (P,); a set's score is their mean.

    ``hypothesis`` (P,) and ``references`` (P, A) are caption ids of ``grams``, -1 where there is no reference;
    ``owner`` (P,) the set of each pair.  Documents are pairs: an n-gram counts once per pair, in whichever reference.
    """
    sizes = grams.sizes[hypothesis] + np.where(references >= 0, grams.sizes[references], 0).sum(axis=1)
    slices = blocks_of(sizes, ENTRIES)
    made = (_Pairs(grams, hypothesis[block], references[block], owner[block]) for block in slices)
    once = list(made) if len(slices) == 1 else None
    idf = _Idf(grams, once or made, owner, sets)
    again = once or (_Pairs(grams, hypothesis[block], references[block], owner[block]) for block in slices)
    return np.concatenate([np.zeros(0), *(_scores(grams, pairs, idf) for pairs in again)])


class _Pairs:
    """Some of the pairs, and the n-grams of their references: ``entry`` of ``grams``, of the reference ``row``."""

    def __init__(self, grams: Grams, hypothesis: np.ndarray, references: np.ndarray, owner: np.ndarray) -> None:
        self.hypothesis, self.owner, self.several = hypothesis, owner, references.shape[1] > 1
        given = np.flatnonzero(references.ravel() >= 0)
        self.pair_of, self.ids = given // references.shape[1], references.ravel()[given]
        self.row, self.entry = grams.rows(self.ids)


class _Idf:
    """The weight of n-grams in each set: log of its number of pairs over the number of those with the n-gram."""

    def __init__(self, grams: Grams, blocks: Iterable[_Pairs], owner: np.ndarray, sets: int) -> None:
        self.log_size = np.log(np.maximum(np.bincount(owner, minlength=sets), 1))
        self.one, self.size = sets == 1, np.int64(grams.size)
        counted = [count_distinct(self._documents(grams, pairs)) for pairs in blocks]
        self.documents, self.frequency = add_counts(counted or [count_distinct(np.zeros(0, dtype=np.int64))])
        if self.one:
            frequency = np.zeros(grams.size, dtype=np.int64)
            frequency[self.documents] = self.frequency
            self.frequency = frequency

    def __call__(self, set_of: np.ndarray, gram: np.ndarray) -> np.ndarray:
        number = self.frequency[gram] if self.one else lookup(self.documents, self.frequency, set_of * self.size + gram)
        return self.log_size[set_of] - np.log(np.maximum(number, 1.0))

    def _documents(self, grams: Grams, pairs: _Pairs) -> np.ndarray:
        """Set and n-gram of each n-gram of a pair's references, as one number: once per pair."""
        pair, gram = pairs.pair_of[pairs.row], grams.gram[pairs.entry]
        if not pairs.several:
            return pairs.owner[pair] * self.size + gram
        once = count_distinct(pair * self.size + gram)[0]
        return pairs.owner[once // self.size] * self.size + once % self.size


def _scores(grams: Grams, pairs: _Pairs, idf: _Idf) -> np.ndarray:
    hypothesis, owner, pair_of, ids = pairs.hypothesis, pairs.owner, pairs.pair_of, pairs.ids
    weight = grams.count[pairs.entry] * idf(owner[pair_of[pairs.row]], grams.gram[pairs.entry])
    reference_norm = _norms(pairs.row, grams.order[pairs.entry], weight, len(ids))

    in_hypothesis, entry = grams.rows(hypothesis[pair_of])
    order, gram = grams.order[entry], grams.gram[entry]
    weight_idf = idf(owner[pair_of][in_hypothesis], gram)
    weight = grams.count[entry] * weight_idf
    hypothesis_norm = _norms(in_hypothesis, order, weight, len(ids))

    other = grams.counts_in(ids[in_hypothesis], gram) * weight_idf
    value = np.bincount(in_hypothesis * ORDERS + order, weights=np.minimum(weight, other) * other,
                        minlength=len(ids) * ORDERS).reshape(-1, ORDERS)
    norm = hypothesis_norm * reference_norm
    value = np.divide(value, norm, out=np.zeros(norm.shape), where=norm != 0)  # where a norm is 0, so is the value
    bigrams = np.maximum(grams.length - 1, 0)
    gap = bigrams[hypothesis[pair_of]] - bigrams[ids]
    score = 10.0 * (value * np.exp(-(gap**2) / (2 * SIGMA**2))[:, None]).mean(axis=1)
    sums = np.bincount(pair_of, weights=score, minlength=len(hypothesis))
    return sums / np.maximum(np.bincount(pair_of, minlength=len(hypothesis)), 1)


def _norms(row: np.ndarray, order: np.ndarray, weight: np.ndarray, rows: int) -> np.ndarray:
    """Norm of each row's weight vector per n-gram order, (rows, 4)."""
    squares = np.bincount(row * ORDERS + order, weights=weight**2, minlength=rows * ORDERS)
    return np.sqrt(squares).reshape(-1, ORDERS)
