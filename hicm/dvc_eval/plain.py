"""Captions whose Penn Treebank tokens are certain without the tokeniser: letters, blanks, commas, a last full stop."""

import re

# Words that the tokeniser takes apart.
SPLIT = {"cannot": "can not", "gonna": "gon na", "gotta": "got ta", "wanna": "wan na", "gimme": "gim me",
         "lemme": "lem me"}
# Words that keep a full stop behind them.
ABBREVIATIONS = frozenset(re.findall(r"\w+", """
    al ala alex apr asst aug bhd cf co corp cos dec dr est etc ext feb fri ft ga gen hon inc ind jan jr jul jun lt mar
    md messrs mme mon mont mr mrs ms mt nov oct plc pres pte reps sep seq spc sq sr st tel tenn thu tue vs wed
    ark del ill la mass miss ore pa wash no nos fig figs art pp op prop
"""))
_PLAIN = re.compile(r"[A-Za-z ,]*(?:[A-Za-z]{2,}\. *)?")


def plain_tokens(caption: str) -> str | None:
    """The tokens, joined by blanks, or None where only the tokeniser knows.

    >>> plain_tokens("Add salt, stir and taste.")
    'add salt stir and taste'
    >>> plain_tokens("add 1/2 cup"), plain_tokens("salt, pepper, etc.")
    (None, None)
    """
    if not _PLAIN.fullmatch(caption):
        return None
    words = caption.lower().replace(",", " ").split()
    if words and words[-1].endswith("."):
        words[-1] = words[-1][:-1]
        if words[-1] in ABBREVIATIONS:
            return None
    return " ".join(SPLIT.get(word, word) for word in words)
