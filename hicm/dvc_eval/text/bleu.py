"""BLEU-1 to BLEU-4 of sets of pairs, one reference each (Papineni et al., ACL 2002), as pycocoevalcap smooths it."""

import numpy as np

from hicm.dvc_eval.text.grams import ORDERS, Grams

TINY, SMALL = 1e-15, 1e-9  # added to counts of matches and of guesses


def clipped_matches(grams: Grams, hypothesis: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """N-grams of each hypothesis found in its reference, clipped by the reference's counts: (P,) ids -> (P, 4)."""
    owner, entry = grams.rows(hypothesis)
    matches = np.minimum(grams.count[entry], grams.counts_in(reference[owner], grams.gram[entry]))
    sums = np.bincount(owner * ORDERS + grams.order[entry], weights=matches, minlength=len(hypothesis) * ORDERS)
    return sums.reshape(-1, ORDERS)


def bleu(correct: np.ndarray, hypothesis_length: np.ndarray, reference_length: np.ndarray, owner: np.ndarray,
         sets: int) -> np.ndarray:
    """BLEU-1..4 of each set, (sets, 4); a set without pairs scores 0.

    ``correct`` (P, 4) from `clipped_matches`, lengths (P,) in tokens, ``owner`` (P,) the set of each pair.
    """
    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, weights=values, minlength=sets)

    tested, reference = total(hypothesis_length), total(reference_length)
    scores = np.empty((sets, ORDERS))
    product = np.ones(sets)
    for n in range(ORDERS):
        guesses = total(np.maximum(hypothesis_length - n, 0))
        product = product * ((total(correct[:, n]) + TINY) / (guesses + SMALL))
        scores[:, n] = product ** (1.0 / (n + 1))
    ratio = (tested + TINY) / (reference + SMALL)
    brevity = np.exp(np.minimum(1.0 - 1.0 / ratio, 0.0))
    return np.where(total(np.ones(len(owner)))[:, None] > 0, scores * brevity[:, None], 0.0)
