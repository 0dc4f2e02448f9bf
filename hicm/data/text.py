"""The normal form of captions and speech segments for the model."""

from hicm.errors import UserError


def normalise(text: str) -> str:
    """Stripped, the first letter in upper case and all others in lower case, with a final full stop (Vid2Seq).

    Raises UserError on blank text.

    >>> normalise(" add SALT to the Pan ")
    'Add salt to the pan.'
    """
    text = text.strip().capitalize()
    if not text:
        raise UserError("empty text: expected a caption; remove it or fill it in ('hicm data check' lists empty ones)")
    return text if text.endswith(".") else f"{text}."
