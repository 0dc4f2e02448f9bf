"""The loops of `hicm.dvc_eval.words.meteor15.match`."""

import numpy as np
from numba import njit

from hicm.dvc_eval.words.meteor15.layout import EXACT, MOST, PARAPHRASE, STEM, SYNONYM


@njit
def keep_present(strings, block_offsets, paraphrases, ranks, offsets, kept, kept_ranks):
    """The part of the table that concerns only ``strings``; returns its size.  See `match._present`."""
    size = 0
    offsets[0] = 0
    for own in range(len(strings)):
        other = 0
        for at in range(block_offsets[strings[own]], block_offsets[strings[own] + 1]):
            wanted = np.int64(paraphrases[at])
            low, high = other, len(strings)  # both are sorted
            while low < high:
                middle = (low + high) >> 1
                if strings[middle] < wanted:
                    low = middle + 1
                else:
                    high = middle
            other = low
            if low < len(strings) and strings[low] == wanted:
                kept[size], kept_ranks[size] = low, ranks[at]
                size += 1
        offsets[own + 1] = size
    return size


@njit
def _hits(first, end, paraphrases, ranks, last, following, hits):
    """Puts (rank, span) of a caption's spans that are paraphrases in [first, end) into ``hits``, by rank; their number.

    ``last`` and ``following`` chain the caption's spans with the same string, first to last; -1 where there is none.
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
def find_matches(done, pairs, tokens, starts, spans, span_offsets, keys, stem_keys, synonyms, synonym_offsets, strings,
                 block_offsets, paraphrases, ranks, marked, last, following, hits, matches, offsets):
    """Continue from pair ``done[0]`` until ``matches`` is full.

    Returns the first pair that is not done, or -1 - the pair that has more than MOST matches.
    """
    for pair in range(done[0], len(pairs)):
        count = offsets[pair]
        one, two = pairs[pair, 0], pairs[pair, 1]
        first1, end1, first2, end2 = starts[one], starts[one + 1], starts[two], starts[two + 1]
        same = end1 - first1 == end2 - first2
        for at in range(end1 - first1):
            same = same and keys[first1 + at] == keys[first2 + at]
        for at2 in range(first2, end2):
            if count > offsets[pair] + MOST:
                return -1 - pair
            if count + 3 * (end1 - first1) > len(matches):
                return pair
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
                    return -1 - pair
                if count + found > len(matches):
                    return pair
                for hit in range(found):
                    for field in range(2):
                        matches[count, 2 * side + field] = spans[span, field]
                        matches[count, 2 - 2 * side + field] = spans[hits[hit, 1], field]
                    matches[count, 4] = PARAPHRASE
                    count += 1
            _unchain(strings, span_offsets[other], span_offsets[other + 1], last)
        offsets[pair + 1] = count
    return len(pairs)
