"""Penn Treebank tokens of English captions without Java: what CoreNLP 3.4.1 prints, punctuation dropped.

One caption alone, in lower case, as if followed by an empty line.  The shapes of tokens are in `ptb_rules`.
"""

import functools
import re

from hicm.dvc_eval.words.ptb_rules import BLANK, SPACE, rules_at

# Tokens that are dropped.  Brackets never are: in lower case they do not equal the toolkits' -LRB- and -RRB-.
DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])

# No token is looked for beyond this many characters, which keeps the time linear in the length of a caption.
REACH = 1000

_BLANKS = re.compile(f"(?:[{BLANK}][{SPACE}]*)?")
# Characters that the rules were compared on: ASCII, accented Latin letters, typographic signs.
_VERIFIED = re.compile("[\t\n -~\u00a0-\u00ac\u00ae-\u00b6\u00b8-\u012f\u0131-\u017e\u0180-\u024f"
                       "\u2013\u2014\u2018\u2019\u201c\u201d\u2022\u2026\u20ac\u2122\u2153\u2154]*")
# HTML entities but the few that the rules know, and words or tags that may be longer than the reach.
_UNKNOWN_ENTITY = re.compile(r"&(?!(?:(?i:amp|lt|gt)|quot|nbsp);)#?\w+;")
_LONG = re.compile(rf"[^{SPACE}]{{{REACH // 2}}}|<[A-Za-z/!?].{{{REACH // 2}}}", re.DOTALL)

# Words whose tokens do not depend on the words beside them: no digit (1 1/2), no tag, no single letter or number
# abbreviation with a full stop at the end (a capital T. The next).
_ALONE = re.compile(r"(?!.*(?<![A-Za-z])(?i:[a-z]|nos?|ca|figs?|prop|art|pp|op)\.\Z)(?!.*&#?\w+;)[!-/:;=-~]{1,60}")


def ptb_tokenise(caption: str) -> tuple[str, bool]:
    """Tokens of ``caption`` joined by blanks, and whether the rules are proven for all it holds.

    Where they are not (other alphabets, control characters, HTML entities, a word of 500 characters), the tokens are a
    best guess.  A line feed counts as a blank.  Source: the behaviour of CoreNLP 3.4.1's PTBTokenizer, observed.

    >>> ptb_tokenise("Don't add 1 1/2 cups (of salt), etc.")
    ("do n't add 1\\xa01/2 cups -lrb- of salt -rrb- etc.", True)
    """
    words = [_word(word) for word in caption.split(" ")]
    if None not in words:
        return " ".join(filter(None, words)), True
    tokens = _scan(caption.replace("\n", " "))
    return " ".join(tokens), _proven(caption)


@functools.lru_cache(maxsize=1 << 16)
def _word(word: str) -> str | None:
    """The tokens of a word that does not depend on its neighbours, else None."""
    return " ".join(_scan(word)) if not word or _ALONE.fullmatch(word) else None


def _scan(text: str) -> list[str]:
    """The tokens that are kept: at every place the longest one, that of the earlier rule on a tie."""
    end = len(text)
    text += "\n\n\n"  # the longest that a rule asks for behind a token at the end
    tokens = []
    place = _BLANKS.match(text).end()
    while place < end:
        farthest = best = write = None
        reach = place + REACH
        for match, written in rules_at(text[place]):
            found = match(text, place, reach)
            if found and (farthest is None or found.end() > farthest):
                farthest, best, write = found.end(), found, written
        token = write(best.group(1))
        if token and token not in DROPPED:
            tokens.append(token)
        place = _BLANKS.match(text, best.end(1)).end()
    return tokens


def _proven(caption: str) -> bool:
    return bool(_VERIFIED.fullmatch(caption)) and not _UNKNOWN_ENTITY.search(caption) and not _LONG.search(caption)
