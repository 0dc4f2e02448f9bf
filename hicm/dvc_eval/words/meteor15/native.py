"""All steps of METEOR, for many pairs at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise

import numpy as np

from hicm.dvc_eval.inputs.arrays import block_ends
from hicm.dvc_eval.words.meteor15.align import align
from hicm.dvc_eval.words.meteor15.compiled import load_loops
from hicm.dvc_eval.words.meteor15.index import DATA, load_index
from hicm.dvc_eval.words.meteor15.match import TooManyMatches, find_matches, prepare
from hicm.dvc_eval.words.meteor15.normalise import CONTROLS, Prefixes, normalise
from hicm.dvc_eval.words.meteor15.phrases import find_phrases
from hicm.dvc_eval.words.meteor15.score import STATISTICS, scores, statistics
from hicm.dvc_eval.words.meteor15.words import Words
from hicm.errors import UserError

CELLS = 1 << 23  # words x words compared at a time: bounds the memory


class TooAlike(UserError):
    """Two captions, ``pair``, so long and so similar that METEOR's matches of their words would fill the memory."""

    def __init__(self, pair: tuple[str, str]) -> None:
        super().__init__("METEOR: two similar captions of thousands of words are compared (of "
                         f"{' and '.join(str(len(text.split())) for text in pair)} words); shorten or remove one")
        self.pair = pair


class NativeMeteor:
    """METEOR 1.5 without Java (see `hicm.dvc_eval.words.meteor.Meteor`).

    On first use on a machine the index of METEOR's data is built and the loops are compiled: about 20 s, with progress
    bars.  ``data`` is a digest of METEOR's data.  Raises Unavailable if the data are not installed, or if something
    has to be built or compiled and numba is missing.
    """

    name = "1.5-native"
    data = DATA

    def __init__(self) -> None:
        with ThreadPoolExecutor(1) as thread:
            index = thread.submit(load_index)  # its digest is verified while the loops are loaded
            load_loops()
            self._index = index.result()
        self._prefixes = Prefixes.parse(self._index["prefixes"].tobytes().decode())
        self._words = Words(self._index)

    def statistics(self, pairs: Sequence[tuple[str, str]], words: bool = False) -> np.ndarray:
        """Statistics (P, 23) float64 of (hypothesis, reference) pairs of captions, the same as the jar's.

        ``words``: captions are words separated by blanks, in any language, and are not normalised, which would take
        most scripts apart into letters; what is not English then matches by equality and by the English stemmer only.

        ``|||`` separates several references in one: the one with the highest score counts, on a tie the first.
        Raises TooAlike for two captions so long and so similar that their matches would fill the memory.
        """
        if words:
            return self._statistics(pairs, str.split)
        flat = [(one.replace("  ", " "), two) for one, two in pairs if "|||" not in one and "|||" not in two]
        if len(flat) == len(pairs):
            return self._statistics(flat, self._normalise)
        split = [split_pair(*pair) for pair in pairs]
        found = self._statistics([(candidate, reference) for candidate, references in split
                                  for reference in references], self._normalise)
        firsts = np.cumsum([0, *(len(references) for _, references in split)]).tolist()
        each = self.score(found)
        return found[[first + np.argmax(each[first:end]) for first, end in pairwise(firsts)]]

    def score(self, statistics: np.ndarray) -> np.ndarray:
        """Scores (S,) of statistics (S, 23), each of a pair or a sum over pairs (see `words.meteor.total`)."""
        return scores(np.asarray(statistics, dtype=np.float64))

    def _normalise(self, caption: str) -> list[str]:
        return normalise(caption, self._prefixes)

    def _statistics(self, pairs: Sequence[tuple[str, str]], split: Callable[[str], list[str]]) -> np.ndarray:
        """Statistics (P, 23) of pairs (candidate, reference), which ``split`` turns into words."""
        numbers = {caption: number for number, caption in enumerate(dict.fromkeys(chain.from_iterable(pairs)))}
        both = np.fromiter(map(numbers.__getitem__, chain.from_iterable(pairs)), np.int64).reshape(-1, 2)
        tokens, length = self._words.number(map(split, numbers))
        starts = np.concatenate([[0], np.cumsum(length)])
        words, index = self._words.arrays(), self._index
        spans, span_offsets = find_phrases(tokens, starts, words.hash, index["strings"], index["buckets"],
                                           index["begins"])
        read = prepare(tokens, starts, spans, span_offsets, words, index)
        found = np.zeros((len(pairs), STATISTICS))
        ends = block_ends(np.diff(starts)[both].prod(axis=1), CELLS)
        for block in map(slice, [0, *ends], ends):
            try:
                matches, offsets = find_matches(both[block], read)
            except TooManyMatches as error:
                raise TooAlike(pairs[block.start + error.pair]) from error
            chosen = align(both[block], starts, matches, offsets)
            owner = np.searchsorted(offsets, chosen, side="right") - 1
            found[block] = statistics(both[block], tokens, starts, words.function, matches[chosen], owner)
        return found


def split_pair(hypothesis: str, reference: str) -> tuple[str, list[str]]:
    """Candidate and references of a pair with ``|||``, as pycocoevalcap and the jar's line protocol split it.

    >>> split_pair("so   it|||", "a|||b")
    ('so  it', ['a', 'b'])
    """
    parts = f"{reference} ||| {hypothesis.replace('|||', '').replace('  ', ' ')}".split("|||")
    while not parts[-1]:
        parts.pop()
    *references, candidate = [part.strip(CONTROLS) for part in parts]
    return candidate, references
