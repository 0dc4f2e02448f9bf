"""CIDEr-D-like consensus of sets of pairs (Vedantam et al., CVPR 2015), as coco-caption computes it.

The idf is counted over the pairs of the set itself: with one pair ln N is 0, and so is the score.
"""

import numpy as np

from hicm.dvc_eval.inputs.arrays import count_distinct
from hicm.dvc_eval.words.grams import ORDERS, Grams, lookup

SIGMA = 6.0  # of the Gaussian on the difference in length


def cider(grams: Grams, hypothesis: np.ndarray, references: np.ndarray, owner: np.ndarray, sets: int) -> np.ndarray:
    """CIDEr (0..10) of each pair, (P,); a set's score is their mean.

    ``hypothesis`` (P,) and ``references`` (P, A) are caption ids of ``grams``, -1 where there is no reference;
    ``owner`` (P,) the set of each pair.  Documents are pairs: an n-gram counts once per pair, in whichever reference.
    """
    log_size = np.log(np.maximum(np.bincount(owner, minlength=sets), 1))
    size = np.int64(grams.size)

    given = np.flatnonzero(references.ravel() >= 0)
    pair_of, ids = given // references.shape[1], references.ravel()[given]
    in_reference, entry = grams.rows(ids)
    pair, gram = pair_of[in_reference], grams.gram[entry]
    documents = owner[pair] * size + gram
    if references.shape[1] > 1:
        documents = count_distinct(pair * size + gram)[0]
        documents = owner[documents // size] * size + documents % size
    if sets == 1:
        number_of = np.bincount(documents, minlength=grams.size)
    else:
        documents, frequency = count_distinct(documents)

    def idf(set_of: np.ndarray, gram: np.ndarray) -> np.ndarray:
        number = number_of[gram] if sets == 1 else lookup(documents, frequency, set_of * size + gram)
        return log_size[set_of] - np.log(np.maximum(number, 1.0))

    weight = grams.count[entry] * idf(owner[pair], gram)
    reference_norm = _norms(in_reference, grams.order[entry], weight, len(ids))

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
