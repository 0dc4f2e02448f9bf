"""METEOR 1.5's normaliser for English (``-norm``): a caption in, lower-case tokens out.

Substitutions run over the whole text one after the other, left to right.  A character that was the right context of
one match cannot be the left context of the next: "a-b-c" loses one hyphen.  The order of the steps affects the score.
"""

import re
from dataclasses import dataclass

ALPHA = ("A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017e\u0178\u0400-\u0527\ua640-\ua66e\ua67e-\ua697"
         "\u1d00-\u1d7f")
ALNUM = ALPHA + "0-9"
BLANKS = " \t\n\r\f"  # what separates words; the vertical tab does not
CONTROLS = "".join(map(chr, range(0x21)))  # what is stripped from the ends of a line

UNTOUCHED = re.compile(r"[a-z0-9 ]*")
OTHERS = re.compile(rf"([^{ALNUM} \t\n\v\f\r.'`,\-\u2018\u2019])")
# Runs of dots are spelled out in letters until the other steps are done.
DOTS = re.compile(r"\.{2,}")
LAST_DOT = re.compile(r"DOTMULTI\.([^.])")
SPELLED_DOTS = re.compile(r"((?:DOT)+)MULTI")
STEPS = [(re.compile(pattern), new) for pattern, new in [
    # A comma is kept only between two digits.
    (r"([^0-9]),([^0-9])", r"\1 , \2"),
    (r"([0-9]),([^0-9])", r"\1 , \2"),
    (r"([^0-9]),([0-9])", r"\1 , \2"),
    (r"[`\u2018\u2019]", "'"),
    (r"[\u201c\u201d]|''", ' " '),
    (r"\u2013", "-"),
    (r"--", "-"),
    (rf"([{ALNUM}.])-([{ALNUM}])", r"\1 \2"),
    (rf"([^{ALPHA}])'([^{ALPHA}])", r"\1 ' \2"),
    (rf"([^{ALNUM}])'([{ALPHA}])", r"\1 ' \2"),
    (rf"([{ALPHA}])'([^{ALPHA}])", r"\1 ' \2"),
    (rf"([{ALPHA}])'([{ALPHA}])", r"\1 '\2"),
    (r"([0-9])'(s)", r"\1 '\2"),
]]
WORD = re.compile(f"[^{BLANKS}]+")
HAS_ALPHA = re.compile(f"[{ALPHA}]")
WIDE_BLANKS = re.compile("[ \u2000-\u200a\u202f\u205f\u3000\u00a0]+")


@dataclass(frozen=True)
class Prefixes:
    """Words that keep a full stop: ``always``, or ``before_digits`` when the next word starts with a digit."""

    always: frozenset[str]
    before_digits: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> "Prefixes":
        """From METEOR's list: one word per line, ``#`` starts a comment, a second field marks the numeric ones."""
        entries = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        return cls(always=frozenset(entry[0] for entry in entries if len(entry) == 1),
                   before_digits=frozenset(entry[0] for entry in entries if len(entry) > 1))


def normalise(text: str, prefixes: Prefixes) -> list[str]:
    """Tokens of one line, in lower case.

    >>> normalise("It's 1,000 kg, Mr. Smith...", Prefixes.parse("Mr"))
    ['it', "'s", '1,000', 'kg', ',', 'mr.', 'smith', '...']
    """
    if UNTOUCHED.fullmatch(text):
        return text.split()
    text = f" {text.strip(CONTROLS)} "
    text = _spell_dots(OTHERS.sub(r" \1 ", text))
    for pattern, new in STEPS:
        text = pattern.sub(new, text)
    text = _full_stops(WORD.findall(text), prefixes)
    text = SPELLED_DOTS.sub(lambda match: "." * (len(match[1]) // 3), text)
    return WORD.findall(WIDE_BLANKS.sub(" ", text).strip(CONTROLS).lower())


def _spell_dots(text: str) -> str:
    """Put blanks around runs of dots and spell them: two as DOTDOTMULTI."""
    if "DOTMULTI" not in text:
        return DOTS.sub(lambda match: f" {'DOT' * len(match[0])}MULTI ", text)
    # The word itself is in the text: then METEOR's own loop has side effects, repeated here.
    text = DOTS.sub(lambda match: f" DOTMULTI{match[0][1:]}", text)
    while "DOTMULTI." in text:
        text = LAST_DOT.sub(r"DOTDOTMULTI \1", text).replace("DOTMULTI.", "DOTDOTMULTI")
    return text


def _full_stops(words: list[str], prefixes: Prefixes) -> str:
    """Cut off the full stops that end a sentence; "U.S." becomes "US"."""
    done = []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        stem = word[:-1]
        if len(word) < 2 or not word.endswith("."):
            done.append(word)
        elif "." in stem and HAS_ALPHA.search(stem):
            done.append(word.replace(".", ""))
        elif (stem in prefixes.always or "a" <= following[:1] <= "z"
              or (stem in prefixes.before_digits and "0" <= following[:1] <= "9")):
            done.append(word)
        else:
            done += [stem, "."]
    return "".join(f"{word} " for word in done)
