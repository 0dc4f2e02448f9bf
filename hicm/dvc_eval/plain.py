"""Captions whose Penn Treebank tokens are certain without the tokeniser.

The class was found by asking CoreNLP 3.4.1 for every word of up to five letters and 115,000 dictionary words in thirty
places each, and is checked against it on all captions of YouCook2 and ActivityNet Captions and on random strings
(tests/dvc_eval/test_tokenise_java.py).  What it does not know, it leaves to the tokeniser.
"""

import functools
import re

# Words that the tokeniser takes apart.
SPLIT = {"cannot": "can not", "gonna": "gon na", "gotta": "got ta", "wanna": "wan na", "gimme": "gim me",
         "lemme": "lem me"}
# Words that keep a full stop behind them, in one spelling of case or another or before some caption.
ABBREVIATIONS = frozenset(re.findall(r"\w+", """
    adj adm adv al ala alex apr ariz ark art assn assoc asst atty attys aug ave az bancorp bhd bldg blvd brig bros
    calif capt cf cie cmdr co col colo comdr conn corp cos cpl ct dak dec del dept det dr drs elec ens esq est etc ext
    feb fig figs fla fri ft ga gen gov govs hon ill inc ind insp intl invt jan jos jr jul jun kan kans ky la lieut lt
    ltd maj mar mass md messrs mfg mich minn miss mlle mme mo mon mont mr mrs ms msgr mt mtg natl neb nev no nos nov
    oct okla op ore pa penn pfc ph plc pp ppte pptes ppty pptys pres prof profs prop pte ptes pty ptys pvt rd rep reps
    rev rt sen sens sep sept seq sfc sgt spc sq sr st ste supt supts sys tel tenn tex thu thurs treas tue tues univ va
    vs vt wash wed wis wisc wm wyo
"""))

# What may stand between gaps (blanks, commas, double quotes), and its tokens.
_PIECES = tuple((re.compile(pattern), tokens) for pattern, tokens in (
    (r"([a-z]+(?:[-/][a-z]+)*)", r"\1"),  # a word, words joined by hyphen or slash
    (r"([a-z]+(?:[-/][a-z]+)*)('s)", r"\1 \2"),  # their possessive
    (r"([a-z]+)('(?:m|d|re|ve|ll))|([a-z]*[a-mo-z])(n't)", r"\1\3 \2\4"),  # contractions
    (r"([a-z]+s)'", r"\1"),
    (r"(\d{1,4}[a-z]*|[a-z]+\d{1,2}|\d{1,2}x\d{1,2})", r"\1"),  # a number, a quantity, a size
    (r"(\d{1,3}[-/]\d{1,3}|\d{1,2}(?:/\d)?-[a-z]+)", r"\1"),  # a range, a fraction, 5-minute
    (r"(\d{1,4})(%)", r"\1 \2"),
    (r"(&)", r"\1"),
    (r"(?!anti-|pro-)([a-z]+|\d{1,2})-|-", r"\1"),  # a dash
))
_GAP = re.compile('([ ,"]+)')
_LAST_STOP = re.compile(r'(?<![,.])\.("? *)$')
# Two numbers in a row may be one token: a mixed fraction, a telephone number.  Not these.
_SHORT_NUMBER = re.compile(r"\d{1,2}(?:-\d{0,2})?[a-z]*")


def plain_tokens(caption: str) -> str | None:
    """The tokens, joined by blanks, or None where only the tokeniser knows.

    >>> plain_tokens("Add the chef's 1/2 cup of well-cooked rice, and stir.")
    "add the chef 's 1/2 cup of well-cooked rice and stir"
    >>> plain_tokens("add 1 1/2 cups"), plain_tokens("salt, pepper, etc.")
    (None, None)
    """
    if not caption.isascii():
        return None
    text, stopped = _LAST_STOP.subn("", caption.lower())
    parts = _GAP.split(text)  # piece, gap, piece, .., piece; the first and the last may be empty
    last = parts[-1]
    if stopped and (last in ABBREVIATIONS or (len(last) == 1 and last.isalpha()) or last.endswith("-")):
        return None
    tokens, previous = [], ""
    for at in range(0, len(parts), 2):
        piece = parts[at]
        if not piece:
            continue
        known = _piece_tokens(piece)
        if known is None:
            return None
        before, after = parts[at - 1] if at else " ", parts[at + 1] if at + 1 < len(parts) else " "
        if piece[0].isdigit():
            if not _stands_free(before, after):
                return None
            if previous[:1].isdigit() and not (_SHORT_NUMBER.fullmatch(previous) and _SHORT_NUMBER.fullmatch(piece)):
                return None
        if "-" in piece and (set(before) == {","} or (piece.endswith("-") and after[0] != " ")):
            return None  # one,two-three is one token
        if known:
            tokens.append(known)
        previous = piece
    return " ".join(tokens)


def _stands_free(before: str, after: str) -> bool:
    """Whether a blank, or a comma and a blank, keeps a number from its neighbours."""
    return before.endswith(" ") and (after == "," or after.startswith((" ", ", ")))


@functools.lru_cache(maxsize=50_000)  # captions repeat their words
def _piece_tokens(piece: str) -> str | None:
    """Tokens of what stands between two gaps; empty for a dash; None if unknown."""
    if piece.removesuffix("-") in SPLIT:
        return SPLIT[piece.removesuffix("-")]
    for pattern, tokens in _PIECES:
        match = pattern.fullmatch(piece)
        if match:
            return match.expand(tokens)
    return None
