"""BLEU-1 to BLEU-4 (Papineni et al., ACL 2002) of sets of pairs, smoothed as in pycocoevalcap."""

import numpy as np

from hicm.dvc_eval.inputs.arrays import blocks_of
from hicm.dvc_eval.words.grams import ENTRIES, ORDERS, Grams

TINY, SMALL = 1e-15, 1e-9  # added to counts of matches and of guesses
STATISTICS = 2 * ORDERS + 2  # matches and guesses of each order, tokens of hypothesis and of reference


def bleu_statistics(grams: Grams, hypothesis: np.ndarray, references: np.ndarray) -> np.ndarray:
    """What BLEU sums over pairs, (P, STATISTICS), from ids of captions (P,) and (P, A), -1 where there is no reference.

    Matches are clipped by the largest count in any reference; the reference length is the one closest to that of the
    hypothesis, on a tie the shorter one.
    """
    found = np.empty((len(hypothesis), STATISTICS))
    for block in blocks_of(grams.sizes[hypothesis], ENTRIES):
        found[block] = _statistics(grams, hypothesis[block], references[block])
    return found


def bleu_scores(sums: np.ndarray) -> np.ndarray:
    """BLEU-1..4 (..., 4) of summed statistics (..., STATISTICS); a set without pairs scores 0.

    >>> bleu_scores(np.array([2, 1, 0, 0, 2, 1, 0, 0, 2, 4])).round(4).tolist()
    [0.3679, 0.3679, 0.0037, 0.0004]
    """
    correct, guesses = sums[..., :ORDERS], sums[..., ORDERS:2 * ORDERS]
    product = np.cumprod((correct + TINY) / (guesses + SMALL), axis=-1)
    scores = np.stack([product[..., n] ** (1.0 / (n + 1)) for n in range(ORDERS)], axis=-1)
    ratio = (sums[..., -2] + TINY) / (sums[..., -1] + SMALL)
    brevity = np.exp(np.minimum(1.0 - 1.0 / ratio, 0.0))
    return np.where(sums[..., -2:].sum(axis=-1, keepdims=True) > 0, scores * brevity[..., None], 0.0)


def _statistics(grams: Grams, hypothesis: np.ndarray, references: np.ndarray) -> np.ndarray:
    owner, entry = grams.rows(hypothesis)
    allowed = np.zeros(len(entry))
    for column in references.T:
        allowed = np.maximum(allowed, grams.counts_in(column[owner], grams.gram[entry]))
    matches = np.bincount(owner * ORDERS + grams.order[entry], weights=np.minimum(grams.count[entry], allowed),
                          minlength=len(hypothesis) * ORDERS).reshape(-1, ORDERS)
    length = grams.length[hypothesis]
    guesses = np.maximum(length[:, None] - np.arange(ORDERS), 0)
    return np.concatenate([matches, guesses, np.stack([length, _closest(grams, length, references)], axis=1)], axis=1)


def _closest(grams: Grams, length: np.ndarray, references: np.ndarray) -> np.ndarray:
    absent = references < 0
    lengths = np.where(absent, 0, grams.length[references])
    # Closest first, then shortest: lengths are whole numbers below 2^31.
    rank = np.where(absent, np.inf, np.abs(lengths - length[:, None]) * 2.0**31 + lengths)
    return lengths[np.arange(len(length)), rank.argmin(axis=1)]
