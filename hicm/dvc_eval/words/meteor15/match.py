"""Which words of a candidate can be matched with which words of a reference: exact, stem, synonym, paraphrase.

A match is a row start2, length2, start1, length1, stage: 1 is the candidate, 2 the reference; positions start at 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hicm.dvc_eval.inputs.arrays import count_distinct, expand, find_distinct, sort_stably
from hicm.dvc_eval.words.meteor15.compiled import FIND_MATCHES, KEEP_PRESENT
from hicm.dvc_eval.words.meteor15.words import WordArrays

USUAL = 64  # matches per pair, more than most have: the memory allocated at first


class TooManyMatches(Exception):
    """A pair has more than `layout.MOST` matches; ``pair``: its index."""

    def __init__(self, pair: int) -> None:
        super().__init__(f"pair {pair}")
        self.pair = pair


@dataclass(frozen=True)
class Captions:
    """What the loop needs of C captions, the same for all their pairs.

    ``tokens`` (T,) int64: word numbers, caption c from starts[c] to starts[c + 1]; ``key``, ``stem_key`` (T,) uint32 of
    these; ``words``: how many words are numbered; ``spans`` and ``span_offsets`` are those of `phrases.find_phrases`;
    ``synonyms`` and their offsets are those of `_synonyms`, ``strings`` and the ``table`` those of `_present`.
    """

    tokens: np.ndarray
    starts: np.ndarray
    key: np.ndarray
    stem_key: np.ndarray
    words: int
    spans: np.ndarray
    span_offsets: np.ndarray
    synonyms: tuple[np.ndarray, np.ndarray]
    strings: np.ndarray
    table: tuple[np.ndarray, np.ndarray, np.ndarray]


def prepare(tokens: np.ndarray, starts: np.ndarray, spans: np.ndarray, span_offsets: np.ndarray, words: WordArrays,
            index: Mapping[str, np.ndarray]) -> Captions:
    """The captions in ``tokens`` and ``starts``, with ``words`` by word number and the arrays of `build`."""
    strings, *table = _present(spans[:, 2], index["block_offsets"], index["paraphrases"], index["ranks"])
    return Captions(tokens, starts, words.key[tokens], words.stem_key[tokens], len(words.key), spans, span_offsets,
                    _synonyms(tokens, words.synsets, words.synset_offsets), strings, (table[0], table[1], table[2]))


def find_matches(pairs: np.ndarray, captions: Captions) -> tuple[np.ndarray, np.ndarray]:
    """All matches of each pair, those of equal start2 in METEOR's order.

    ``pairs`` (P, 2) int64: candidate and reference, as indices of captions.  Returns matches (M, 5) int32 and offsets
    (P + 1,) int64.  If all keys of both sides are equal, there are exact matches only.  Raises TooManyMatches for
    captions so long and so similar that they have more than `layout.MOST`.
    """
    marked = np.full(captions.words, -1, dtype=np.int64)  # where a reference's word is that has this word as a synonym
    # Chains of a caption's spans with the same string, first to last; -1 where there is none.
    last, following = np.empty(len(captions.table[0]), dtype=np.int64), np.empty(len(captions.spans), dtype=np.int64)
    hits = np.empty((len(captions.spans) + 1, 2), dtype=np.int64)
    matches = np.empty((USUAL * (len(pairs) + 1), 5), dtype=np.int32)
    offsets = np.zeros(len(pairs) + 1, dtype=np.int64)
    done = 0
    while done < len(pairs):
        last.fill(-1)
        done = FIND_MATCHES(np.array([done]), pairs, captions.tokens, captions.starts, captions.spans,
                            captions.span_offsets, captions.key, captions.stem_key, *captions.synonyms,
                            captions.strings, *captions.table, marked, last, following, hits, matches, offsets)
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
    entries, order = sort_stably(entries)
    words = words[order]
    first, end = (np.searchsorted(entries, entries, side) for side in ("left", "right"))
    owner, at = expand(first, end - first)
    word, synonym = words[owner], words[at]
    other = word != synonym
    order = sort_stably(word[other])[1]
    found = np.bincount(word[other], minlength=len(synset_offsets) - 1)
    return synonym[other][order], np.concatenate([[0], np.cumsum(found)])


def _present(spans: np.ndarray, block_offsets: np.ndarray, paraphrases: np.ndarray,
             ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The part of the table that concerns strings found in these captions: small enough for the processor's cache.

    ``spans`` (S,): the strings.  Returns the number (S,) of each among the U distinct ones and, by these numbers, the
    table's offsets (U + 1,), paraphrases and ranks.
    """
    strings, number = find_distinct(spans)
    size = int((block_offsets[strings + 1] - block_offsets[strings]).sum())
    offsets, kept, kept_ranks = (np.empty(length, dtype=np.int64) for length in (len(strings) + 1, size, size))
    size = KEEP_PRESENT(strings, block_offsets, paraphrases, ranks, offsets, kept, kept_ranks)
    return number, offsets, kept[:size], kept_ranks[:size]
