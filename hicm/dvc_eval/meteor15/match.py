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
def _synonyms(tokens, synsets, synset_offsets):
    """The words among ``tokens`` that share a synset with each word: offsets (W + 1,) and words, maybe twice."""
    present = np.zeros(len(synset_offsets) - 1, np.bool_)
    present[tokens] = True
    count = 0
    for word in range(len(present)):
        if present[word]:
            count += synset_offsets[word + 1] - synset_offsets[word]
    entries, words = np.empty(count, np.int64), np.empty(count, np.int64)
    count = 0
    for word in range(len(present)):
        if present[word]:
            for at in range(synset_offsets[word], synset_offsets[word + 1]):
                entries[count], words[count] = synsets[at], word
                count += 1
    order = np.argsort(entries)
    sizes = np.zeros(len(present) + 1, np.int64)
    found = np.empty(0, np.int64)
    for run in range(2):  # first the sizes, then the words
        first = 0
        while first < count:
            end = first
            while end < count and entries[order[end]] == entries[order[first]]:
                end += 1
            for one in range(first, end):
                for two in range(first, end):
                    if one != two:
                        word = words[order[one]]
                        if run == 0:
                            sizes[word + 1] += 1
                        else:
                            found[sizes[word]] = words[order[two]]
                            sizes[word] += 1
            first = end
        if run == 0:
            sizes = np.cumsum(sizes)
            found = np.empty(sizes[-1], np.int64)
    # Each word's place has run to the next word's: shift back.
    offsets = np.zeros(len(sizes), np.int64)
    offsets[1:] = sizes[:-1]
    return offsets, found


@njit
def _hits(first, end, paraphrases, ranks, last, following, hits):
    """Spans of a caption that are paraphrases in [first, end): (rank, span) into ``hits``, by rank; how many.

    ``last`` and ``following`` chain the caption's spans of a string, first to last; -1 where there is none.
    """
    found = 0
    for paraphrase in range(first, end):
        span = last[paraphrases[paraphrase]]
        while span != -1:
            rank = ranks[paraphrase]
            at = found
            while at > 0 and hits[at - 1, 0] > rank:
                hits[at, 0], hits[at, 1] = hits[at - 1, 0], hits[at - 1, 1]
                at -= 1
            hits[at, 0], hits[at, 1] = rank, span
            found += 1
            span = following[span]
    return found


@njit
def _chain(strings, first, end, last, following):
    """Chain the spans [first, end) by their string."""
    for span in range(end - 1, first - 1, -1):
        following[span] = last[strings[span]]
        last[strings[span]] = span


@njit
def _unchain(strings, first, end, last):
    for span in range(first, end):
        last[strings[span]] = -1


@njit
def _present(spans, block_offsets, paraphrases, ranks):
    """The part of the table that speaks of strings found in these captions alone: small enough to stay in the cache.

    Returns the number (S,) of each span's string among the present ones, and as in the table, by these numbers, offsets
    (U + 1,), paraphrases and ranks.
    """
    order = np.argsort(spans[:, 2])
    number = np.empty(len(spans), np.int64)
    strings = np.empty(len(spans), np.int64)
    count = 0
    for at in range(len(order)):
        string = spans[order[at], 2]
        if count == 0 or strings[count - 1] != string:
            strings[count] = string
            count += 1
        number[order[at]] = count - 1
    offsets = np.zeros(count + 1, np.int64)
    size = 0
    for own in range(count):
        size += block_offsets[strings[own] + 1] - block_offsets[strings[own]]
    kept, kept_ranks = np.empty(size, np.int64), np.empty(size, np.int64)
    size = 0
    for own in range(count):
        other = 0
        for at in range(block_offsets[strings[own]], block_offsets[strings[own] + 1]):
            wanted = np.int64(paraphrases[at])
            low, high = other, count  # both are sorted
            while low < high:
                middle = (low + high) >> 1
                if strings[middle] < wanted:
                    low = middle + 1
                else:
                    high = middle
            other = low
            if low < count and strings[low] == wanted:
                kept[size], kept_ranks[size] = low, ranks[at]
                size += 1
        offsets[own + 1] = size
    return number, offsets, kept[:size], kept_ranks[:size]


@njit(cache=True, nogil=True)
def find_matches(pairs, tokens, starts, spans, span_offsets, key, stem_key, synsets, synset_offsets, block_offsets,
                 paraphrases, ranks):
    """All matches of each pair; the order among matches of equal start2 is METEOR's.

    ``pairs`` (P, 2) int64 candidate and reference, as captions of ``tokens`` and ``starts``; ``spans`` and
    ``span_offsets`` as `phrases.find_phrases` gives them; the rest as in `build`, by word number.  Returns matches
    (M, 5) int32 and offsets (P + 1,) int64; the last is TOO_MANY when a pair has more than MOST.  Sides with equal
    keys throughout have exact matches only.
    """
    keys, stem_keys = key[tokens], stem_key[tokens]
    synonym_offsets, synonyms = _synonyms(tokens, synsets, synset_offsets)
    marked = np.full(len(key), -1, np.int64)  # the place of a reference's word whose synonym this word is
    matches = np.empty((64 * len(pairs) + 64, 5), np.int32)
    offsets = np.zeros(len(pairs) + 1, np.int64)
    hits = np.empty((len(spans) + 1, 2), np.int64)
    strings, block_offsets, paraphrases, ranks = _present(spans, block_offsets, paraphrases, ranks)
    last, following = np.full(len(block_offsets), -1, np.int64), np.empty(len(spans), np.int64)
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
            word2 = tokens[at2]
            with_synonyms = synonym_offsets[word2] < synonym_offsets[word2 + 1]
            for at in range(synonym_offsets[word2], synonym_offsets[word2 + 1]):
                marked[synonyms[at]] = at2
            for stage in range(EXACT, EXACT + 1 if same else PARAPHRASE if with_synonyms else SYNONYM):
                for at1 in range(first1, end1):
                    if stage == EXACT:
                        fits = keys[at1] == keys[at2]
                    elif stage == STEM:
                        fits = stem_keys[at1] == stem_keys[at2] and keys[at1] != keys[at2]
                    else:
                        fits = marked[tokens[at1]] == at2 and keys[at1] != keys[at2]
                    if fits:
                        matches[count, 0], matches[count, 1] = at2 - first2, 1
                        matches[count, 2], matches[count, 3] = at1 - first1, 1
                        matches[count, 4] = stage
                        count += 1
        # First from the reference's phrases to the candidate, then from the candidate's to the reference.
        for side in range(0 if same else 2):
            own, other = (two, one) if side == 0 else (one, two)
            _chain(strings, span_offsets[other], span_offsets[other + 1], last, following)
            for span in range(span_offsets[own], span_offsets[own + 1]):
                first, end = block_offsets[strings[span]], block_offsets[strings[span] + 1]
                found = _hits(first, end, paraphrases, ranks, last, following, hits)
                if count > offsets[pair] + MOST:
                    offsets[-1] = TOO_MANY
                    return matches[:0], offsets
                matches = _room(matches, count, found)
                for hit in range(found):
                    for field in range(2):
                        matches[count, 2 * side + field] = spans[span, field]
                        matches[count, 2 - 2 * side + field] = spans[hits[hit, 1], field]
                    matches[count, 4] = PARAPHRASE
                    count += 1
            _unchain(strings, span_offsets[other], span_offsets[other + 1], last)
        offsets[pair + 1] = count
    return matches[:count], offsets
