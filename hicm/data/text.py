"""The one spelling that captions and speech segments have for the model."""

from hicm.errors import UserError


def normalise(text: str) -> str:
    """Stripped, first letter upper case and all others lower, with a final full stop (Vid2Seq).

    Raises UserError on blank text, which has no such form.

    >>> normalise(" add SALT to the Pan ")
    'Add salt to the pan.'
    """
    text = text.strip().capitalize()
    if not text:
        raise UserError("empty text: expected a caption; remove or fill it (hicm data check lists where they are)")
    return text if text.endswith(".") else f"{text}."
