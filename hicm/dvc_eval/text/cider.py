"""CIDEr-D-like consensus of sets of pairs (Vedantam et al., CVPR 2015), as coco-caption computes it.

The document collection of the idf is the set itself: with one pair ln N is 0 and so is the score.
"""

import numpy as np

from hicm.dvc_eval.text.grams import ORDERS, Grams, lookup

SIGMA = 6.0  # of the Gaussian on the difference in length


def cider(grams: Grams, hypothesis: np.ndarray, reference: np.ndarray, owner: np.ndarray, sets: int) -> np.ndarray:
    """Mean CIDEr (0..10) of the pairs of each set, (sets,); a set without pairs scores 0.

    ``hypothesis`` and ``reference`` (P,) are caption ids of ``grams``, ``owner`` (P,) the set of each pair.
    """
    pairs = np.bincount(owner, minlength=sets)
    log_size = np.log(np.maximum(pairs, 1))

    in_reference, entry = grams.rows(reference)
    documents, place, frequency = np.unique(owner[in_reference] * grams.size + grams.gram[entry],
                                            return_inverse=True, return_counts=True)
    weight = grams.count[entry] * (log_size[owner[in_reference]] - np.log(frequency)[place])
    reference_norm = _norms(in_reference, grams.order[entry], weight, len(owner))

    in_hypothesis, entry = grams.rows(hypothesis)
    order, gram, set_of_entry = grams.order[entry], grams.gram[entry], owner[in_hypothesis]
    seen = lookup(documents, frequency, set_of_entry * grams.size + gram)
    idf = log_size[set_of_entry] - np.log(np.maximum(seen, 1.0))
    weight = grams.count[entry] * idf
    hypothesis_norm = _norms(in_hypothesis, order, weight, len(owner))

    other = grams.counts_in(reference[in_hypothesis], gram) * idf
    value = np.bincount(in_hypothesis * ORDERS + order, weights=np.minimum(weight, other) * other,
                        minlength=len(owner) * ORDERS).reshape(-1, ORDERS)
    norm = hypothesis_norm * reference_norm
    value = np.divide(value, norm, out=np.zeros(norm.shape), where=norm != 0)  # a norm of 0 has no value either
    bigrams = np.maximum(grams.length - 1, 0)
    gap = bigrams[hypothesis] - bigrams[reference]
    score = 10.0 * (value * np.exp(-(gap**2) / (2 * SIGMA**2))[:, None]).mean(axis=1)
    return np.bincount(owner, weights=score, minlength=sets) / np.maximum(pairs, 1)


def _norms(row: np.ndarray, order: np.ndarray, weight: np.ndarray, rows: int) -> np.ndarray:
    """Length of each row's weight vector per n-gram order, (rows, 4)."""
    squares = np.bincount(row * ORDERS + order, weights=weight**2, minlength=rows * ORDERS)
    return np.sqrt(squares).reshape(-1, ORDERS)
