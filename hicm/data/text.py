"""The normal form of captions and speech segments for the model."""

from hicm.errors import UserError


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
