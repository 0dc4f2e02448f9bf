"""Which words of a candidate can be matched with which words of a reference: exact, stem, synonym, paraphrase.

A match is a row start2, length2, start1, length1, stage: 1 is the candidate, 2 the reference; positions start at 0.
"""

import numpy as np

from hicm.dvc_eval.inputs.arrays import count_distinct, expand
from hicm.dvc_eval.words.meteor15.compiled import FIND_MATCHES, KEEP_PRESENT

USUAL = 64  # matches per pair, more than most have: the memory allocated at first


class TooManyMatches(Exception):
    """A pair has more than `layout.MOST` matches; ``pair``: its index."""

    def __init__(self, pair: int) -> None:
        super().__init__(f"pair {pair}")
        self.pair = pair


def find_matches(pairs: np.ndarray, tokens: np.ndarray, starts: np.ndarray, spans: np.ndarray,
                 span_offsets: np.ndarray, key: np.ndarray, stem_key: np.ndarray, synsets: np.ndarray,
                 synset_offsets: np.ndarray, block_offsets: np.ndarray, paraphrases: np.ndarray,
                 ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All matches of each pair, those of equal start2 in METEOR's order.

    ``pairs`` (P, 2) int64: candidate and reference, as captions of ``tokens`` and ``starts``; ``spans`` and
    ``span_offsets`` are those of `phrases.find_phrases`; the rest is described in `build`, by word number.  Returns
    matches (M, 5) int32 and offsets (P + 1,) int64.  If all keys of both sides are equal, there are exact matches
    only.  Raises TooManyMatches for captions so long and so similar that they have more than `layout.MOST`.
    """
    synonyms, synonym_offsets = _synonyms(tokens, synsets, synset_offsets)
    strings, *table = _present(spans[:, 2], block_offsets, paraphrases, ranks)
    marked = np.full(len(key), -1, dtype=np.int64)  # the position of a reference's word of which this word is a synonym
    # Chains of a caption's spans with the same string, first to last; -1 where there is none.
    last, following = np.empty(len(table[0]), dtype=np.int64), np.empty(len(spans), dtype=np.int64)
    hits = np.empty((len(spans) + 1, 2), dtype=np.int64)
    matches = np.empty((USUAL * (len(pairs) + 1), 5), dtype=np.int32)
    offsets = np.zeros(len(pairs) + 1, dtype=np.int64)
    done = 0
    while done < len(pairs):
        last.fill(-1)
        done = FIND_MATCHES(np.array([done]), pairs, tokens, starts, spans, span_offsets, key[tokens],
                            stem_key[tokens], synonyms, synonym_offsets, strings, *table, marked, last, following,
                            hits, matches, offsets)
        if done < 0:
            raise TooManyMatches(-1 - done)
        if done < len(pairs):
            matches = np.concatenate([matches, np.empty_like(matches)])
    return matches[:offsets[-1]], offsets


def _synonyms(tokens: np.ndarray, synsets: np.ndarray, synset_offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The words among ``tokens`` that share a synset with each word, possibly repeated, and offsets (W + 1,)."""
    present, _ = count_distinct(tokens)
    sizes = np.diff(synset_offsets)[present]
    owner, at = expand(synset_offsets[present], sizes)
    entries, words = synsets[at], present[owner]
    order = np.argsort(entries, kind="stable")
    entries, words = entries[order], words[order]
    first, end = (np.searchsorted(entries, entries, side) for side in ("left", "right"))
    owner, at = expand(first, end - first)
    word, synonym = words[owner], words[at]
    other = word != synonym
    order = np.argsort(word[other], kind="stable")
    found = np.bincount(word[other], minlength=len(synset_offsets) - 1)
    return synonym[other][order], np.concatenate([[0], np.cumsum(found)])


def _present(spans: np.ndarray, block_offsets: np.ndarray, paraphrases: np.ndarray,
             ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The part of the table that concerns strings found in these captions: small enough for the processor's cache.

    ``spans`` (S,): the strings.  Returns the number (S,) of each among the U distinct ones and, by these numbers, the
    table's offsets (U + 1,), paraphrases and ranks.
    """
    strings, number = np.unique(spans.astype(np.int64), return_inverse=True)
    size = int((block_offsets[strings + 1] - block_offsets[strings]).sum())
    offsets, kept, kept_ranks = (np.empty(length, dtype=np.int64) for length in (len(strings) + 1, size, size))
    size = KEEP_PRESENT(strings, block_offsets, paraphrases, ranks, offsets, kept, kept_ranks)
    return number, offsets, kept[:size], kept_ranks[:size]
