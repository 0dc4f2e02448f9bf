"""Captions and speech segments: mended when they are read, in a normal form for the model."""

import re

from hicm.errors import UserError

# Control characters that are no white space; halves of characters (surrogates).  No tokenizer reads them as words.
BROKEN = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def mend(text: str) -> str:
    """``text`` with a blank for each control character and for each half of a character without its other half.

    >>> mend("chop\\x00it \\ud83d"), mend("\\ud83d\\ude00") == "\\U0001f600"
    ('chop it  ', True)
    """
    if not BROKEN.search(text):
        return text
    whole = PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    return BROKEN.sub(" ", whole)


def normalise(text: str) -> str:
    """Stripped, the first letter in upper case and all others in lower case, with a final full stop (Vid2Seq).

    Half a character (a lone surrogate, which tokenizers refuse) becomes the replacement character U+FFFD.  Raises
    UserError on blank text.

    >>> normalise(" add SALT to the Pan ")
    'Add salt to the pan.'
    """
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip().capitalize()
    if not text:
        raise UserError("empty text: expected a caption; remove it or fill it in ('hicm data check' lists empty ones)")
    return text if text.endswith(".") else f"{text}."
