"""The shapes of Penn Treebank tokens in English captions, as CoreNLP 3.4.1 cuts them.

Every rule is a regular expression: its first group is the token, the rest is text that must follow.  Of all rules that
match at a place, the one that reaches farthest wins (with the text that must follow), on a tie the first one.  The
table was written from observation: the tokeniser was run on single words, on all strings of up to six characters over
small alphabets, and on random strings; the comments give what was seen.
"""

import functools
import re
from collections.abc import Callable
from typing import NamedTuple

NBSP = "\u00a0"  # stands for a blank inside a token: 1 1/2, (555) 123-4567, <b class="x">

# Text that is rewritten.  Quotes, dashes and dots are dropped afterwards, so their exact form rarely matters.
REWRITTEN = {
    "(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-", '"': "''",
    "---": "--", "----": "--", "\u2013": "--", "\u2014": "--", "\u2015": "--", "\u2026": "...",
    "\u00a3": "#", "\u20ac": "$", "\u00a4": "$", "\u00a2": "cents",
    "\u00bc": "1/4", "\u00bd": "1/2", "\u00be": "3/4", "\u2153": "1/3", "\u2154": "2/3",
    "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": "''", "&nbsp;": "",
}
_CURLY = str.maketrans({"\u2018": "`", "\u201b": "`", "\u2039": "`", "\u2019": "'", "\u203a": "'",
                        "\u201c": "``", "\u00ab": "``", "\u201d": "''", "\u00bb": "''"})


def _as_it_is(token: str) -> str:
    return token.lower().replace(" ", NBSP)


def _symbol(token: str) -> str:
    return REWRITTEN.get(token.lower(), token)


def _round_brackets(token: str) -> str:
    return _as_it_is(token).replace("(", "-lrb-").replace(")", "-rrb-")


def _straight(token: str) -> str:
    return token.lower().translate(_CURLY)


def _nothing(token: str) -> str:
    return ""


def _ampersand(token: str) -> str:
    return token.lower().replace("&amp;", "&")


class Rule(NamedTuple):
    """One shape of tokens.

    ``first``: the characters a token can begin with, as inside a regular expression's brackets.  Group 1 of ``pattern``
    is the token; ``write`` turns it into what is printed, in lower case.
    """

    first: str
    pattern: str
    write: Callable[[str], str]

    @property
    def match(self) -> Callable[..., re.Match | None]:
        """Matches at a place; compiled when first needed, as most captions need few rules."""
        return _compiled(self.pattern)


@functools.cache
def _compiled(pattern: str) -> Callable[..., re.Match | None]:
    return re.compile(pattern, re.ASCII).match


# --- pieces

ASCII = "A-Za-z"
LETTER = ASCII + "\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02c1\u0300-\u036f"
ALNUM = LETTER + "0-9"
BLANK = " \t\n"
SPACE = BLANK + NBSP
_CURLY_QUOTES = "`\u2018\u2019\u201b\u2039\u203a\u201c\u201d\u00ab\u00bb"
_CLITIC_QUOTE = "['\u2019]"  # it's
_WORD_QUOTE = "['`\u2018\u2019\u201b]"  # o'clock, o`clock

# o'clock, d'Arcy-Smith, jack_o_lantern, x2, 5th, but not ab-12.5
_PART = f"(?:[dDoOlL]{_WORD_QUOTE}[{ALNUM}][{ALNUM}]|[{ALNUM}])[{ALNUM}]*"
_HYPHENATED = f"{_PART}(?:[-_]{_PART})*"
# hello.world, hello!world, Dr.Who: later parts must begin with a letter
_DOTTED = f"[{LETTER}][{ALNUM}]*(?:[.!?][{LETTER}][{ALNUM}]*)+"
# 1.5-inch, U.S.-based, non-U.S., ab,-cd
_MIXED = rf"[{ASCII}0-9][{ASCII}0-9.,]*+(?:-(?:[{ASCII}]\.(?:[{ASCII}]\.)+|[{ASCII}0-9]+))+"
# and/or, 1/2-inch, 12/10/2014: two slashes and two hyphens a part at most
_SLASH_PART = f"[{ASCII}0-9]+(?:-[{ASCII}]+){{0,2}}"
_SLASHED = rf"{_SLASH_PART}(?:\\?/{_SLASH_PART}){{1,2}}"
_JOINED = "[A-Z]+(?:(?:&amp;|[&+])[A-Z]+)+"  # AT&T

_NAME = rf"[{ASCII}][{ASCII}0-9_:.\-]*"
_ATTRIBUTE = rf"""{_NAME}(?: *= *(?:"[^"]*"|'[^']*'))?"""
TAG = rf"<(?:{_NAME}(?: +{_ATTRIBUTE})* */? *|/{_NAME} *|[!?][{ASCII}\-][^>]*)>"

_NOT_URL = r' \t\n\r\v\f"()<>|'
_URL_PATH = rf"/[^{_NOT_URL}]+[^{_NOT_URL}.,!?{{}}\-]"
_URL_PART = rf"[^{_NOT_URL}.,!?{{}}]+"
_WEB_HOST = rf"[wW]{{3}}\.(?:{_URL_PART}\.)%s[{ASCII}]{{2,4}}"
_COM_HOST = "^ \t\n\r\v\f!\"$'-),-`{-}"
_DOT_COM = rf"(?:[{_COM_HOST}]++\.)%s(?i:com|net|org|edu)"

_NOT_MAIL = rf"{_NOT_URL}{{}}{NBSP}"
_MAIL = rf"(?:<|&lt;)?[{ASCII}0-9][^{_NOT_MAIL}]*@(?:[^{_NOT_MAIL}.]+\.)*[^{_NOT_MAIL}.]+>?"

_EYE = r"[=~<>'^x\-]"
_FILE_TYPES = ("docx|html|java|jpeg|bat|bmp|cgi|cpp|dll|doc|exe|gif|htm|jar|jpg|mov|mp3|pdf|php|png|ppt|sql|tar|txt|"
               "wav|xml|zip|gz|pl|ps|py|c|h|x")

# --- words with a full stop

# These always keep their full stop.
_TITLES = """
    adj adm adv alex asst assoc atty attys ave brig capt cf cie cmdr col comdr cpl dept det dr drs elec ens ft gen gov
    govs hon insp invt jos lieut lt maj messrs [mM]f[gG] mlle mme mr mrs ms msgr mt [mM]t[gG] natl pfc ph pres prof
    profs pvt rep reps rev sen sens sfc sgt spc st ste supt supts treas vs wm
"""
# These keep their full stop too, but `etc.x' is two tokens where `dr.x' is one.
_ENDINGS = r"""
    al ala apr ariz A(?i:rk) assn aug A(?i:z) bhd bldg blvd bros calif co colo conn corp cos ct dak dec D(?i:el) esq est
    etc ext feb fla fri ga I(?i:ll) inc ind intl jan jr jul jun kan kans ky L(?i:a) ltd mar M(?i:ass) md mich minn
    M(?i:iss) mo mon mont neb nev nov oct okla O(?i:re) P(?i:a) penn plc [pP]{1,2}[tT](?:e|y)[sS]? rd rt sep sept seq sq
    sr sys tel tenn T(?i:ex) thu thurs tue tues univ va vt W(?i:ash) wed wis wisc wyo ph\.d ed\.d
"""
# These keep a full stop if a number follows.
_NUMBERED = "no nos ca fig figs prop art pp op"
# After a single letter and a full stop these begin a new sentence: the full stop does not belong to the letter.
_STARTERS = r"""
    mr\. ms\. a an as at he if in it so we but her now one our she the yet you here last many more once some such that
    then they this what when about according additionally after earlier however other since their there these while
"""


def _any_of(words: str) -> str:
    """Matches lower-case words in any case; words with other characters are patterns themselves."""
    plain = [word for word in words.split() if re.fullmatch(r"[a-z]+(?:\\\.[a-z])?", word)]
    return "|".join([f"(?i:{'|'.join(plain)})", *(word for word in words.split() if word not in plain)])


# Words that may keep the full stop behind them.
ABBREVIATION = re.compile("|".join(map(_any_of, (_TITLES, _ENDINGS, _NUMBERED))))

_STARTER = "|".join(f"{word[0].upper()}(?i:{word[1:]})" for word in _STARTERS.split())

# Words in other alphabets: a guess, not verified.
_FOREIGN = "\u0370-\u1fff\u2c00-\ud7ff"
# Other line breaks, control characters and characters beyond 16 bits (emoji) give no token.
_UNPRINTED = "\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\U00010000-\U0010ffff"

# --- the table

_RULES = [
    # cannot, gonna, gotta, lemme, gimme, wanna; 'tis, 'twas
    (ASCII, "((?i:can(?=not)|gon(?=na)|got(?=ta)|lem(?=me)|gim(?=me)|wan(?=na)))(?i:not|na|ta|me)", _as_it_is),
    # it's, Dr.Who's: the word, then 's 'd 'm 'll 're 've
    (LETTER, f"({_DOTTED}|[{LETTER}]+){_CLITIC_QUOTE}(?i:[smd]|ll|re|ve)", _as_it_is),
    (ALNUM, f"({_HYPHENATED})", _as_it_is),
    ("'", "((?i:'t))(?i:is|was)", _as_it_is),
    ("<", f"({TAG})", _as_it_is),
    # do n't, but not 1n't and not ann't
    (ASCII, f"([{ASCII}]*[A-MO-Za-mo-z])[nN]{_WORD_QUOTE}[tT]", _as_it_is),
    ("'", f"('(?i:[smd]|ll|re|ve))[^{ASCII}]", _as_it_is),
    ("\u2019", "(\u2019(?i:[smd]|ll|re|ve))", _straight),
    ("nN", f"([nN]{_WORD_QUOTE}[tT])", _straight),
    (ASCII, "((?i:ev'ry|li'l|nat'l|c'mon|s'mores|nor'easter|e'er))", _as_it_is),
    ("oO", f"([oO]{_WORD_QUOTE}[oO])", _as_it_is),
    (ASCII, f"((?i:cap{_CLITIC_QUOTE}n|c{_CLITIC_QUOTE}est|(?:ol|dunkin|somethin){_CLITIC_QUOTE}))", _as_it_is),
    ("'\u2019", f"({_CLITIC_QUOTE}(?i:n{_CLITIC_QUOTE}|em|cause|till?))", _as_it_is),
    ("'", f"('[nN])[{SPACE}]", _as_it_is),
    ("\u2019", "(\u2019[nN])", _as_it_is),
    ("dDjJlL", f"([dDjJlL]{_CLITIC_QUOTE})", _as_it_is),
    ("yY", f"([yY]{_CLITIC_QUOTE})[{LETTER}]", _as_it_is),
    ("'\u2019", f"({_CLITIC_QUOTE}[2-9]0[sS])", _as_it_is),
    ("'\u2019", rf"({_CLITIC_QUOTE}\d\d)[{SPACE}]", _as_it_is),
    # addresses
    ("hH", rf"((?i:https?)://[^{_NOT_URL}{{}}]+[^{_NOT_URL}{{}}.,!?\-])", _as_it_is),
    ("wW", f"({_WEB_HOST % '+?'}{_URL_PATH})", _as_it_is),
    ("wW", f"({_WEB_HOST % '+'})", _as_it_is),
    (_COM_HOST, f"({_DOT_COM % '+?'}{_URL_PATH})", _as_it_is),
    (_COM_HOST, f"({_DOT_COM % '+'})", _as_it_is),
    (f"<&{ASCII}0-9", f"({_MAIL})", _as_it_is),
    ("@", f"(@[{ASCII}_][{ASCII}0-9_]*)", _as_it_is),
    ("#", f"(#[{LETTER}]+)", _as_it_is),
    # numbers: 3.5 1,000 12:30 -5 .5; dates; 1 1/2; telephones
    (r"0-9+\-.:,", r"([-+]?(?:\d*(?:[.:,]\d+)+|\d+))", _as_it_is),
    ("0-9", r"(\d{1,2}[-/]\d{1,2}[-/]\d{2,4})", _as_it_is),
    ("0-9", rf"((?:\d{{1,4}}[- {NBSP}])?\d{{1,4}}\\?/\d{{1,4}})", _as_it_is),
    ("(", rf"(\(\d{{2,3}}\)[ {NBSP}]?\d{{3,4}}[- {NBSP}]?\d{{3,5}})", _round_brackets),
    ("0-9+", rf"(\+{{0,2}}\d{{2,4}}[- {NBSP}](?:\d{{2,4}}[- {NBSP}])?\d{{3,4}}[- {NBSP}]?\d{{3,5}})", _as_it_is),
    ("+", r"(\+\+\d{2,4}\.\d{2,4}\.\d{3,4}\.\d{3,5})", _as_it_is),
    # words with points and apostrophes
    (ASCII, rf"((?:[{ASCII}]\.)+)", _as_it_is),
    ("A-HJ-XZn", f"([A-HJ-XZn]{_WORD_QUOTE}[{LETTER}]{{2,}})", _as_it_is),
    (LETTER, f"([{LETTER}]+[aeiouyAEIOUY]{_WORD_QUOTE}[aeiouA-Z][{LETTER}]*)", _as_it_is),
    (LETTER, f"({_DOTTED})", _as_it_is),
    (ASCII, rf"((?:{_any_of(_ENDINGS)})\.)(?s:..)", _as_it_is),
    (ASCII, rf"((?:{_any_of(_NUMBERED)})\.)[ \t{NBSP}]?\d", _as_it_is),
    (ASCII, rf"((?:{_any_of(_TITLES)})\.)", _as_it_is),
    (ALNUM, rf"([{ALNUM}]+(?:\.[{ALNUM}]+)*\.(?i:{_FILE_TYPES}))[{SPACE}.?!,]", _as_it_is),
    (ASCII, rf"([{ASCII}])\.[{SPACE}]+(?:{_STARTER}|{TAG})[{SPACE}]", _as_it_is),
    # any word keeps its full stop before , ; :
    *((ALNUM, rf"({word}\.)[,;:]", _as_it_is) for word in (_JOINED, _DOTTED, _HYPHENATED, _MIXED)),
    (ASCII + "0-9", f"({_MIXED})", _as_it_is),
    (ASCII + "0-9", f"({_SLASHED})", _as_it_is),
    ("A-Z", f"({_JOINED})", _ampersand),
    ("A-Z", r"([A-Z]+\$)", _as_it_is),
    ("cCfF", r"((?i:c\+\+|[cf]#))", _as_it_is),
    ("pPaA", "((?i:pro-|anti-))", _as_it_is),
    # symbols
    ("&", "(&(?:(?i:amp|lt|gt)|quot|nbsp|#[0-9]+);)", _symbol),
    ("<>:;=", rf"([<>]?[:;=]['*o\-]?[()DPdpO@\[\]{{|\\])[^{ASCII}0-9]", _round_brackets),
    (r"=~<>'^x\-", f"({_EYE}_{_EYE})", _as_it_is),
    ("(", rf"(\({_EYE}[_.]?{_EYE}\)|\([=~<>'^x]-[=~<>'^x`]\))", _round_brackets),
    (r"!?*#@_<>\\", r"([!?]+|\*+|#+|@+|_+|<<|>>|(?:\\\*)+)", _symbol),
    (r"\-", "(-+)", _symbol),
    (".", r"(\.{3,5}|(?:\.[ \u00a0]){2,4}\.)", _nothing),
    ("'", "('')", _symbol),
    (_CURLY_QUOTES, f"([{_CURLY_QUOTES}]{{1,2}})", _straight),
    ("\u00b2\u00b3\u00b9", "([\u00b2\u00b3\u00b9]+)", _symbol),
    (_FOREIGN, f"([{_FOREIGN}]+)", _as_it_is),
    (_UNPRINTED, f"([{_UNPRINTED}])", _nothing),
    (NBSP, f"({NBSP}[{SPACE}]*)", _nothing),
    (f"^{SPACE}", f"([^{SPACE}])", _symbol),
]
RULES = tuple(Rule(*rule) for rule in _RULES)


@functools.lru_cache(maxsize=4096)
def rules_at(character: str) -> tuple[tuple[Callable[..., re.Match | None], Callable[[str], str]], ...]:
    """``match`` and ``write`` of the rules that can match a token that begins with ``character``, in their order."""
    return tuple((rule.match, rule.write) for rule in RULES if re.match(f"[{rule.first}]", character))
