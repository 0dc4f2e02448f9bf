"""The words that the system knows, and sentences as their ids.

Id 0 begins and ends every sentence and pads it; words have ids 1 to V, and the last one stands for all unknown words.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from hicm.config import digest
from hicm.errors import UserError, brief
from hicm.files import read_json, require, write_json

UNKNOWN = "UNK"
BLANKS = str.maketrans(dict.fromkeys(',:!_;-.?/"\\', " "))


def split(text: str) -> list[str]:
    """The words of a text, as PDVC splits it.

    >>> split('Chop the onion,\\\\nfinely.')
    ['chop', 'the', 'onion', 'finely']
    """
    return text.replace("\\n", " ").translate(BLANKS).lower().split()


class Vocabulary:
    """V words in the order of their ids, which begin at 1; the last stands for unknown ones."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: place for place, word in enumerate(self.words, start=1)}

    def __len__(self) -> int:
        return len(self.words)

    @property
    def digest(self) -> str:
        """Tells vocabularies apart."""
        return digest(self.words, 16)

    def encode(self, text: str, most: int) -> list[int]:
        """The ids of the first ``most`` words of a text, between two zeros."""
        return [0, *(self._ids.get(word, len(self)) for word in split(text)[:most]), 0]

    def decode(self, ids: Iterable[int]) -> str:
        """The sentence of ids up to the first 0, with a full stop; empty without a word."""
        words = []
        for number in ids:
            if number == 0:
                break
            words.append(self.words[number - 1])
        return " ".join(words) + "." if words else ""

    def save(self, path: Path) -> None:
        """Write the json file that `load_vocabulary` reads; PDVC's has the same form."""
        named = {str(place): word for place, word in enumerate(self.words, start=1)}
        write_json(path, {"word_to_ix": {word: int(place) for place, word in named.items()}, "ix_to_word": named})


def build_vocabulary(texts: Iterable[str], rarest: int) -> Vocabulary:
    """The words that occur ``rarest`` times or more, frequent ones first, and `UNKNOWN`.

    Raises UserError when no word does: every caption would be learnt as unknown words.
    """
    counts = Counter(word for text in texts for word in split(text))
    words = sorted((word for word, count in counts.items() if count >= rarest), key=lambda word: (-counts[word], word))
    if not words:
        raise UserError(f"parallel.rarest={rarest}: no word of the training captions occurs so often (the commonest "
                        f"occurs {max(counts.values(), default=0)} times); lower it, or correct the captions")
    return Vocabulary([*words, UNKNOWN])


def load_vocabulary(path: str | Path) -> Vocabulary:
    """A vocabulary in PDVC's form: ``ix_to_word`` maps 1 to V, as text, to words, the last of them `UNKNOWN`.

    Raises UserError when the file is missing, or does not name one word for each of these ids and that one last.
    """
    content = read_json(require(path, "vocabulary", "give a file of words, as PDVC has them"), "vocabulary")
    words = content.get("ix_to_word") if isinstance(content, dict) else None
    if not isinstance(words, dict) or not words:
        raise UserError(f"{path}: expected a vocabulary, a mapping with ix_to_word, found {brief(content)}")
    for place in range(1, len(words) + 1):
        if not isinstance(words.get(str(place)), str):
            raise UserError(f"{path}: ix_to_word: expected a word for each id from 1 to {len(words)}, found none for "
                            f"{place}; is the file complete?")
    found = [words[str(place)] for place in range(1, len(words) + 1)]
    if len(set(found)) < len(found):
        twice = Counter(found).most_common(1)[0][0]
        raise UserError(f"{path}: ix_to_word: {twice!r} has several ids; every word needs one")
    if found[-1] != UNKNOWN:
        raise UserError(f"{path}: ix_to_word: expected {UNKNOWN}, which stands for all unknown words, under the last "
                        f"id {len(found)}, found {found[-1]!r}; is the file complete?")
    return Vocabulary(found)
