"""Files that count words (``moments.counts``): their first words are the classes of masked words.

Two forms, a line for each word, as MESM's authors publish them; the word that is counted most often stands first:

    clip    NUMBER COUNT         pieces of words, as CLIP numbers them
    glove   WORD NUMBER COUNT    lower-cased words without punctuation; numbers count from 2 in alphabetical order

Also read is the ``counter`` of a pickle of word vectors (`hicm.systems.moments.words.glove_pickle`).
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from hicm.errors import UserError, brief
from hicm.files import read_pickle, read_text, require
from hicm.systems.moments.words.clip import piece_of, split_pieces

PICKLES = (".pkl", ".pickle")
LINES = {"clip": "NUMBER COUNT", "glove": "WORD NUMBER COUNT"}
KINDS = {"clip": "pieces of words as CLIP numbers them", "glove": "words"}
MARKS = 2  # of a sentence's ends, which CLIP's tokens include and which are not counted
_NUMBER = re.compile("[0-9]{1,18}")
_BLANKS = str.maketrans(dict.fromkeys(string.punctuation, " "))


def count_pieces(sentences: Iterable[str], most: int) -> str:
    """The count file of CLIP's pieces; ``most``: tokens of a sentence that are read, its two marks included."""
    counts = Counter(number for text in sentences for number, _ in split_pieces(text)[:most - MARKS])
    return "".join(f"{number} {count}\n" for number, count in counts.most_common())


def count_words(sentences: Iterable[str], most: int) -> str:
    """The count file of words; sentences are counted whole, whatever ``most`` is, as published."""
    counts = Counter(word for text in sentences for word in text.lower().translate(_BLANKS).split())
    numbers = {word: number for number, word in enumerate(sorted(counts), start=2)}
    return "".join(f"{word} {numbers[word]} {count}\n" for word, count in counts.most_common())


FORMS: dict[str, Callable[[Iterable[str], int], str]] = {"clip": count_pieces, "glove": count_words}


def read_counts(path: str | Path, splitting: str) -> tuple[str, ...]:
    """The words of a count file in its order; those of a pickle by falling count.

    ``splitting``: how sentences are split (`hicm.systems.moments.words`); "clip" needs pieces, all others words.
    Raises UserError naming file and line for damage, and for counts of the other kind.
    """
    path = require(path, "counts of words", "correct moments.counts, or leave it empty")
    needed = "clip" if splitting == "clip" else "glove"
    if path.suffix.lower() in PICKLES:
        form, found = "glove", _from_pickle(path)
    else:
        rows = {number: line.split() for number, line in enumerate(read_text(path, "counts of words").split("\n"), 1)
                if line.strip()}
        form = next(map(_form, rows.values()), needed)
        found = [_word(row, form, f"{path}: line {number}") for number, row in rows.items()]
    if form != needed:
        raise UserError(f"{path}: counts {KINDS[form]}, but moments.words needs {KINDS[needed]}; hicm data count-words "
                        f"--words {needed} counts those")
    if not found:
        raise UserError(f"{path}: counts no words; hicm data count-words --words {needed} writes such a file")
    if len(set(found)) < len(found):
        twice = next(word for word, count in Counter(found).items() if count > 1)
        raise UserError(f"{path}: counts {twice!r:.40} twice; keep one")
    return tuple(found)


def _form(row: Sequence[str]) -> str:
    """What a line counts: pieces are known by their number alone."""
    return "clip" if len(row) == 2 and _NUMBER.fullmatch(row[0]) else "glove"


def _word(row: Sequence[str], form: str, where: str) -> str:
    """The word of a line."""
    if len(row) != len(LINES[form].split()) or not all(map(_NUMBER.fullmatch, row[1:])) or not int(row[-1]):
        raise UserError(f"{where}: {' '.join(row)!r:.60}, expected {LINES[form]}")
    if form == "glove":
        return row[0]
    piece = piece_of(int(row[0])) if _NUMBER.fullmatch(row[0]) else None
    if piece is None:
        raise UserError(f"{where}: {row[0]!r:.40} is the number of no piece of CLIP's")
    return piece


def _from_pickle(path: Path) -> list[str]:
    content = read_pickle(path, "counts of words")
    counts = content.get("counter") if isinstance(content, dict) else None
    if not isinstance(counts, dict):
        raise UserError(f"{path}: expected a dict with counter {{word: count}}; is it the glove.pkl of CPL?")
    for word, count in counts.items():
        if not isinstance(word, str) or not isinstance(count, int) or count < 1:
            raise UserError(f"{path}: counter: {brief(word)}: {brief(count)}, expected words and their counts")
    return sorted(counts, key=lambda word: -counts[word])
