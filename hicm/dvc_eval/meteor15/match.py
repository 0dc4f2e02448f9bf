"""Which words of a candidate can be matched with which words of a reference: exact, stem, synonym, paraphrase.

A match is a row start2, length2, start1, length1, stage: 1 is the candidate, 2 the reference, positions count from 0.
The compiled loops are kept together because a change in another file would not be noticed by numba's cache.
"""

import numpy as np
from numba import njit

EXACT, STEM, SYNONYM, PARAPHRASE = range(4)
MOST = 10_000_000  # matches of one pair: 3,000 times the same word on both sides.  The jar fails at a quarter of it
TOO_MANY = -1


@njit
def _room(matches, count, more):
    """``matches`` itself, or a larger copy where ``more`` rows do not fit."""
    if count + more <= len(matches):
        return matches
    larger = np.empty((2 * (count + more), 5), np.int32)
    for row in range(count):
        for field in range(5):
            larger[row, field] = matches[row, field]
    return larger


@njit
def _share(synsets, at, end, other, other_end):
    """Whether two sorted runs of ``synsets`` have a common member."""
    while at < end and other < other_end:
        if synsets[at] == synsets[other]:
            return True
        if synsets[at] < synsets[other]:
            at += 1
        else:
            other += 1
    return False


@njit
def _fits(stage, word1, word2, key, stem_key, synsets, synset_offsets):
    """Whether two words match at a stage; words of equal key match exactly and at no other stage."""
    if stage == EXACT or key[word1] == key[word2]:
        return stage == EXACT and key[word1] == key[word2]
    if stage == STEM:
        return stem_key[word1] == stem_key[word2]
    return _share(synsets, synset_offsets[word1], synset_offsets[word1 + 1], synset_offsets[word2],
                  synset_offsets[word2 + 1])


@njit
def _hits(others, first, end, paraphrases, ranks, hits):
    """Spans among ``others`` that are paraphrases in [first, end): (rank, span) into ``hits``, by rank; how many."""
    found = 0
    for other in range(len(others)):
        string = others[other, 2]
        low, high = first, end
        while low < high:
            middle = (low + high) >> 1
            if paraphrases[middle] < string:
                low = middle + 1
            else:
                high = middle
        if low < end and paraphrases[low] == string:
            rank = np.int64(ranks[low])
            at = found
            while at > 0 and hits[at - 1, 0] > rank:
                hits[at, 0], hits[at, 1] = hits[at - 1, 0], hits[at - 1, 1]
                at -= 1
            hits[at, 0], hits[at, 1] = rank, other
            found += 1
    return found


@njit(cache=True, nogil=True)
def find_matches(pairs, tokens, starts, spans, span_offsets, key, stem_key, synsets, synset_offsets, block_offsets,
                 paraphrases, ranks):
    """All matches of each pair; the order among matches of equal start2 is METEOR's.

    ``pairs`` (P, 2) int64 candidate and reference, as captions of ``tokens`` and ``starts``; ``spans`` and
    ``span_offsets`` as `phrases.find_phrases` gives them; the rest as in `build`, by word number.  Returns matches
    (M, 5) int32 and offsets (P + 1,) int64; the last is TOO_MANY when a pair has more than MOST.  Sides with equal
    keys throughout have exact matches only.
    """
    matches = np.empty((64 * len(pairs) + 64, 5), np.int32)
    offsets = np.zeros(len(pairs) + 1, np.int64)
    hits = np.empty((len(spans) + 1, 2), np.int64)
    count = 0
    for pair in range(len(pairs)):
        one, two = pairs[pair, 0], pairs[pair, 1]
        words1, words2 = tokens[starts[one]:starts[one + 1]], tokens[starts[two]:starts[two + 1]]
        same = len(words1) == len(words2)
        for at in range(len(words1)):
            same = same and key[words1[at]] == key[words2[at]]
        for j in range(len(words2)):
            if count > offsets[pair] + MOST:
                offsets[-1] = TOO_MANY
                return matches[:0], offsets
            matches = _room(matches, count, 3 * len(words1))
            for stage in range(EXACT, EXACT + 1 if same else PARAPHRASE):
                for i in range(len(words1)):
                    if _fits(stage, words1[i], words2[j], key, stem_key, synsets, synset_offsets):
                        matches[count, 0], matches[count, 1], matches[count, 2] = j, 1, i
                        matches[count, 3], matches[count, 4] = 1, stage
                        count += 1
        # First from the reference's phrases to the candidate, then from the candidate's to the reference.
        for side in range(0 if same else 2):
            own, other = (two, one) if side == 0 else (one, two)
            others = spans[span_offsets[other]:span_offsets[other + 1]]
            for span in range(span_offsets[own], span_offsets[own + 1]):
                string = spans[span, 2]
                first, end = np.int64(block_offsets[string]), np.int64(block_offsets[string + 1])
                found = _hits(others, first, end, paraphrases, ranks, hits)
                if count > offsets[pair] + MOST:
                    offsets[-1] = TOO_MANY
                    return matches[:0], offsets
                matches = _room(matches, count, found)
                for hit in range(found):
                    for field in range(2):
                        matches[count, 2 * side + field] = spans[span, field]
                        matches[count, 2 - 2 * side + field] = others[hits[hit, 1], field]
                    matches[count, 4] = PARAPHRASE
                    count += 1
        offsets[pair + 1] = count
    return matches[:count], offsets
