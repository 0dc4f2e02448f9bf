"""Penn Treebank tokens of English captions without Java: the output of CoreNLP 3.4.1 with punctuation dropped.

One caption at a time, in lower case, as if followed by an empty line.  The shapes of tokens are in `ptb_rules`.
"""

import functools
import re
from collections.abc import Callable

from hicm.dvc_eval.words.ptb_rules import ABBREVIATION, BLANK, SPACE, rules_at

# Tokens that are dropped.  Brackets never are: the toolkits drop -LRB- and -RRB-, but have them in lower case.
DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])

# Tokens are at most this many characters long, which keeps the time linear in the length of a caption.
REACH = 1000

# Words of letters alone that are several tokens.  All others, if short, are one.
CUT = frozenset(["cannot", "gonna", "gotta", "lemme", "gimme", "wanna"])
SHORT = 60

_BLANKS = re.compile(f"(?:[{BLANK}][{SPACE}]*)?")
# Characters on which the rules were compared: ASCII, accented Latin letters, typographic signs.
_VERIFIED = re.compile("[\t\n -~\u00a0-\u00ac\u00ae-\u00b6\u00b8-\u012f\u0131-\u017e\u0180-\u024f"
                       "\u2013\u2014\u2018\u2019\u201c\u201d\u2022\u2026\u20ac\u2122\u2153\u2154]*")
# HTML entities other than the few that the rules know, and words or tags that may be too long.
_UNKNOWN_ENTITY = re.compile(r"&(?!(?:(?i:amp|lt|gt)|quot|nbsp);)#?\w+;")
_LONG = re.compile(rf"[^{SPACE}]{{{REACH // 2}}}|<[A-Za-z/!?].{{{REACH // 2}}}", re.DOTALL)

# Words whose tokens do not depend on neighbouring words: no digit (1 1/2), no tag, and at the end no full stop after a
# single letter or an abbreviation for numbers (a capital T. The next).
_ALONE = re.compile(r"(?!.*(?<![A-Za-z])(?i:[a-z]|nos?|ca|figs?|prop|art|pp|op)\.\Z)(?!.*&#?\w+;)[!-/:;=-~]{1,60}")


def ptb_tokenise(caption: str) -> tuple[str, bool]:
    """Tokens of ``caption`` joined by blanks, and whether the rules were verified on everything in it.

    If they were not (other alphabets, control characters, HTML entities, a word of 500 characters), the tokens are a
    best guess.  A line feed counts as a blank.  Source: the observed behaviour of CoreNLP 3.4.1's PTBTokenizer.

    >>> ptb_tokenise("Don't add 1 1/2 cups (of salt), etc.")
    ("do n't add 1\\xa01/2 cups -lrb- of salt -rrb- etc.", True)
    """
    words = [_word(word) for word in caption.split(" ")]
    if None not in words:
        return " ".join(filter(None, words)), True
    tokens = _scan(caption.replace("\n", " "), _word_among_others)
    return " ".join(filter(None, tokens)), _proven(caption)


@functools.lru_cache(maxsize=1 << 16)
def _word(word: str) -> str | None:
    """The tokens of a word that does not depend on its neighbours, otherwise None."""
    letters = word[:-1] if word.endswith((",", ".")) and len(word) > 2 else word
    if letters.isalpha() and letters.isascii() and len(word) <= SHORT and letters.lower() not in CUT and (
            not word.endswith(".") or not ABBREVIATION.fullmatch(letters)):
        return letters.lower()
    return " ".join(_scan(word)) if not word or _ALONE.fullmatch(word) else None


def _word_among_others(word: str) -> str | None:
    """The same in a caption of which other words do depend: full stops with blanks between them are one token."""
    return None if "." in word else _word(word)


def _scan(text: str, known: Callable[[str], str | None] = lambda word: None) -> list[str]:
    """The tokens that are kept; ``known`` gives those of a word, between blanks, where no rule is needed."""
    end = len(text)
    text += "\n\n\n"  # as much as any rule asks for behind the last token
    tokens = []
    place = _skip_blanks(text, 0)
    while place < end:
        if not place or text[place - 1] == " ":
            blank = text.find(" ", place, end)
            word = text[place:blank if blank >= 0 else end]
            done = known(word)
            if done is not None:
                tokens.append(done)
                place = _skip_blanks(text, place + len(word))
                continue
        found, write = _longest(text, place)
        token = write(found.group(1))
        if token and token not in DROPPED:
            tokens.append(token)
        place = _skip_blanks(text, found.end(1))
    return tokens


def _longest(text: str, place: int) -> tuple[re.Match[str], Callable[[str], str]]:
    """The match that reaches farthest, of equal ones that of the first rule, and how its token is written."""
    tried = ((match(text, place, place + REACH), write) for match, write in rules_at(text[place]))
    return max(((found, write) for found, write in tried if found), key=lambda one: one[0].end())


def _skip_blanks(text: str, place: int) -> int:
    blanks = _BLANKS.match(text, place)
    return blanks.end() if blanks else place


def _proven(caption: str) -> bool:
    return bool(_VERIFIED.fullmatch(caption)) and not _UNKNOWN_ENTITY.search(caption) and not _LONG.search(caption)
