"""Which words of a candidate can be matched with which words of a reference: exact, stem, synonym, paraphrase.

A match is a row start2, length2, start1, length1, stage: 1 is the candidate, 2 the reference, positions count from 0.
The compiled loops are kept together because a change in another file would not be noticed by numba's cache.
"""

import numpy as np
from numba import njit

EXACT, STEM, SYNONYM, PARAPHRASE = range(4)
MOST = 10_000_000  # matches of one pair: 3,000 times the same word on both sides; the jar's memory ends before
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
def _marks(synsets, synset_offsets):
    """64 bits a word, by its synsets: words without a common bit have no common synset."""
    marks = np.zeros(len(synset_offsets) - 1, np.uint64)
    for word in range(len(marks)):
        for at in range(synset_offsets[word], synset_offsets[word + 1]):
            marks[word] |= np.uint64(1) << np.uint64(synsets[at] % 61)
    return marks


@njit
def _share(word1, word2, synsets, synset_offsets):
    """Whether two words have a common synset; those of a word are sorted."""
    at, end = synset_offsets[word1], synset_offsets[word1 + 1]
    other, other_end = synset_offsets[word2], synset_offsets[word2 + 1]
    while at < end and other < other_end:
        if synsets[at] == synsets[other]:
            return True
        if synsets[at] < synsets[other]:
            at += 1
        else:
            other += 1
    return False


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
    keys, stem_keys, marks = key[tokens], stem_key[tokens], _marks(synsets, synset_offsets)[tokens]
    matches = np.empty((64 * len(pairs) + 64, 5), np.int32)
    offsets = np.zeros(len(pairs) + 1, np.int64)
    hits = np.empty((len(spans) + 1, 2), np.int64)
    count = 0
    for pair in range(len(pairs)):
        one, two = pairs[pair, 0], pairs[pair, 1]
        first1, end1, first2, end2 = starts[one], starts[one + 1], starts[two], starts[two + 1]
        same = end1 - first1 == end2 - first2
        for at in range(end1 - first1):
            same = same and keys[first1 + at] == keys[first2 + at]
        for at2 in range(first2, end2):
            if count > offsets[pair] + MOST:
                offsets[-1] = TOO_MANY
                return matches[:0], offsets
            matches = _room(matches, count, 3 * (end1 - first1))
            for stage in range(EXACT, EXACT + 1 if same else PARAPHRASE):
                for at1 in range(first1, end1):
                    if stage == EXACT:
                        fits = keys[at1] == keys[at2]
                    elif stage == STEM:
                        fits = stem_keys[at1] == stem_keys[at2] and keys[at1] != keys[at2]
                    else:
                        fits = (marks[at1] & marks[at2] != 0 and keys[at1] != keys[at2]
                                and _share(tokens[at1], tokens[at2], synsets, synset_offsets))
                    if fits:
                        matches[count, 0], matches[count, 1] = at2 - first2, 1
                        matches[count, 2], matches[count, 3] = at1 - first1, 1
                        matches[count, 4] = stage
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
