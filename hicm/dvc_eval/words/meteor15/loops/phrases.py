"""The loops of `hicm.dvc_eval.words.meteor15.phrases`, and the one that hashes the lines of the paraphrase table."""

import numpy as np
from numba import njit

from hicm.dvc_eval.words.meteor15.layout import BEGIN_BITS, BUCKET_BITS, FNV_PRIME, FNV_START, LONGEST

WORD_START, WORD_PRIME = np.uint64(FNV_START), np.uint64(FNV_PRIME)
ROUND_1, ROUND_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # the finaliser of SplitMix64
NEW_LINE, BLANK = 10, 32


@njit
def mix(phrase, word):
    """Hash of a phrase (uint64, 0 for an empty one) with one more word added."""
    value = (phrase + np.uint64(1)) * WORD_PRIME ^ word
    value = (value ^ (value >> np.uint64(30))) * ROUND_1
    value = (value ^ (value >> np.uint64(27))) * ROUND_2
    return value ^ (value >> np.uint64(31))


@njit
def begin_of(phrase):
    """The place in ``begins`` of a phrase's hash: byte and bit."""
    place = np.int64(phrase >> np.uint64(64 - BEGIN_BITS))
    return place >> 3, np.uint8(1 << (place & 7))


@njit
def scan_table(text, groups, slots):
    """Hashes of the table's lines, and where its words are.

    ``text`` (bytes,) uint8: ``groups`` times three lines: probability, phrase, paraphrase.  Returns hashes
    (groups, 2) uint64 of phrase and paraphrase; words (n, 2) int64: start and end in ``text`` of the first occurrence
    of each distinct word, in order; and ``begins`` of `build`.  ``slots``: a power of two above twice the number of
    words.
    """
    hashes = np.zeros((groups, 2), np.uint64)
    seen = np.zeros(slots, np.uint64)
    words = np.zeros((slots // 2, 2), np.int64)
    begins = np.zeros(1 << (BEGIN_BITS - 3), np.uint8)
    count = 0
    at = 0
    for group in range(groups):
        while text[at] != NEW_LINE:
            at += 1
        at += 1
        for side in range(2):
            phrase = np.uint64(0)
            while text[at] != NEW_LINE:
                start = at
                word = WORD_START
                while text[at] != BLANK and text[at] != NEW_LINE:
                    word = (word ^ np.uint64(text[at])) * WORD_PRIME
                    at += 1
                phrase = mix(phrase, word)
                byte, bit = begin_of(phrase)
                begins[byte] |= bit
                slot = np.int64(word & np.uint64(slots - 1))
                while seen[slot] != 0 and seen[slot] != word:
                    slot = (slot + 1) & (slots - 1)
                if seen[slot] == 0:
                    seen[slot] = word
                    words[count, 0], words[count, 1] = start, at
                    count += 1
                if text[at] == BLANK:
                    at += 1
            hashes[group, side] = phrase
            at += 1
    return hashes, words[:count], begins


@njit
def find_phrases(tokens, starts, hashes, strings, buckets, begins, spans, offsets):
    """Fill ``spans``, which is large enough, and ``offsets``; returns the number of spans."""
    shift = np.uint64(64 - BUCKET_BITS)
    count = 0
    offsets[0] = 0
    for caption in range(len(starts) - 1):
        first, end = starts[caption], starts[caption + 1]
        for start in range(first, end):
            phrase = np.uint64(0)
            for at in range(start, min(start + LONGEST, end)):
                phrase = mix(phrase, hashes[tokens[at]])
                byte, bit = begin_of(phrase)
                if not begins[byte] & bit:
                    break
                bucket = np.int64(phrase >> shift)
                for string in range(buckets[bucket], buckets[bucket + 1]):
                    if strings[string] == phrase:
                        spans[count, 0] = start - first
                        spans[count, 1] = at - start + 1
                        spans[count, 2] = string
                        count += 1
                        break
        offsets[caption + 1] = count
    return count
