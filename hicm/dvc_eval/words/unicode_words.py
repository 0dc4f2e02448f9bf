"""Words of captions in any language, by the classes of Unicode's characters: for captions that are not English.

Text is read in compatibility form (NFKC) and lower case.  A word is a run of letters, digits and their marks; an
apostrophe between letters (don't) and a full stop or comma between digits (1,000.5) belong to it.  In scripts that put
no blanks between words (Han, kana, bopomofo, Thai, Lao, Burmese, Khmer) every character is a word of its own, with the
marks on it.  Punctuation and symbols are dropped, format characters (soft hyphen, joiners) are ignored.  This is a
simple part of Unicode's word segmentation (UAX 29); dictionaries are not used.
"""

import functools
import re
import unicodedata
from collections.abc import Sequence

# Blocks of the scripts without blanks between words.
_ALONE = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u30ff"
                    "\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f"
                    "\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U000323af]")
# Of the classes that `_class` gives: a character that stands alone, or a word.
_WORD = re.compile("am*|[ld][ldm]*(?:(?:(?<=[lm])'(?=l)|(?<=d)[.](?=d))[ldm]+)*")
_APOSTROPHES = str.maketrans("\u2019\u02bc", "''")


class UnicodeTokeniser:
    """The rule above (see `hicm.dvc_eval.words.tokenise.Tokeniser`)."""

    name = "unicode-words1"
    unproven: Sequence[str] = ()

    def tokenise(self, captions: list[str]) -> list[str]:
        """Tokens joined by blanks; never raises."""
        return [" ".join(unicode_words(caption)) for caption in captions]


def unicode_words(text: str) -> list[str]:
    """The words of a text, in lower case.

    >>> unicode_words("Don't add 1,000 g of crème, 加盐!")
    ["don't", 'add', '1,000', 'g', 'of', 'crème', '加', '盐']
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower()).translate(_APOSTROPHES)
    text = "".join(character for character in text if _class(character))
    classes = "".join(map(_class, text))
    return [text[word.start():word.end()] for word in _WORD.finditer(classes)]


@functools.cache
def _class(character: str) -> str:
    """l: letter, a: one that stands alone, d: digit, m: mark, an apostrophe or full stop, '': ignored, or a blank."""
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    if category[0] == "L" or category == "Nl":
        return "a" if _ALONE.match(character) else "l"
    return {"N": "d", "M": "m"}.get(category[0], {"'": "'", ".": ".", ",": "."}.get(character, " "))
