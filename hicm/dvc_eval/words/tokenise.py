"""Penn Treebank tokenisation of captions as in the toolkits: CoreNLP 3.4.1, lower case, punctuation dropped.

Each caption is tokenised alone, as if an empty line followed.  The toolkits tokenise a whole batch as one text, where a
caption's last full stop can depend on the next caption, and so on the order of the captions.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from hicm.dvc_eval.words.java import PTB_JAR, Unavailable, find_jar, run
from hicm.dvc_eval.words.ptb import DROPPED, ptb_tokenise

LINE_BREAKS = re.compile("[\r\v\f\u2028\u2029]")
# A line between two captions.  It ends every token and look-ahead that begins in the caption before, even a tag with
# an open quote and a single letter with a full stop, which depends on how the next sentence begins.
BETWEEN = "\"'."


class Tokeniser(Protocol):
    """Turns captions into tokens joined by single blanks, one result per caption."""

    name: str  # in signatures
    unproven: Sequence[str]  # captions of the last call with text that the rules were not compared with the jar on

    def tokenise(self, captions: list[str]) -> list[str]:
        """Tokenised ``captions``, in their order.  Raises Unavailable if it cannot work here."""
        ...


class PtbTokeniser:
    """By rule, without Java (`hicm.dvc_eval.words.ptb`)."""

    name = "ptb3.4.1-native"

    def __init__(self) -> None:
        self.unproven: Sequence[str] = ()

    def tokenise(self, captions: list[str]) -> list[str]:
        """See `Tokeniser`; never raises."""
        found = [ptb_tokenise(caption) for caption in captions]
        self.unproven = [caption for caption, (_, proven) in zip(captions, found, strict=True) if not proven]
        return [tokens for tokens, _ in found]


class JarTokeniser:
    """The CoreNLP jar of pycocoevalcap, in one Java process: only for comparison."""

    name = "ptb3.4.1-jar"
    unproven: Sequence[str] = ()

    def tokenise(self, captions: list[str]) -> list[str]:
        """See `Tokeniser`.  Captions may hold no line break but LF, which counts as a blank."""
        jar = find_jar(PTB_JAR)
        text = "".join(caption.replace("\n", " ") + f"\n\n{BETWEEN}\n" for caption in captions)
        output = run(["-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase",
                      "-encoding", "UTF-8"], text, timeout=120 + len(text) / 10_000, what="the PTB tokeniser")
        lines = output.split("\n")
        if len(lines) != 3 * len(captions) + 1 or any(lines[1::3]):
            raise Unavailable(f"the PTB tokeniser (Java) gave {len(lines)} lines for {len(captions)} captions; "
                              "is a line break inside a caption?")
        return [" ".join(token for token in line.split(" ") if token and token not in DROPPED)
                for line in lines[:-1:3]]


def tokeniser_of(tok: str, ptb: Tokeniser) -> Tokeniser:
    """The tokeniser that the rule ``tok`` names: "unicode", or the given one for "ptb"."""
    if tok != "unicode":
        return ptb
    from hicm.dvc_eval.words.unicode_words import UnicodeTokeniser  # needed by few

    return UnicodeTokeniser()


def clean(captions: Sequence[str], ascii_only: bool = True) -> list[str]:
    """Captions on one line: every line break, and with ``ascii_only`` every character outside ASCII, becomes a blank.

    In the toolkits, a line break other than LF shifts all later captions of the batch.

    >>> clean(["café"])
    ['caf ']
    """
    odd = re.compile(r"[^\x00-\x7f]|[\r\v\f\n]" if ascii_only else "[\r\v\f\n\u2028\u2029]")
    return [caption if is_plain(caption) else odd.sub(" ", caption) for caption in captions]


def is_plain(caption: str) -> bool:
    """Whether a caption is all printable ASCII, as most are: then it is read exactly as written."""
    return caption.isascii() and caption.isprintable()
