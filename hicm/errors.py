"""The one exception for errors that a user can fix, and how a value looks in its message."""

import contextlib
import re
import reprlib
from collections.abc import Iterator
from typing import Any


class UserError(ValueError):
    """Bad input, settings or environment: one line naming file, item, what was expected and what to do.

    The command line prints it as ``hicm: error: ...`` and exits with status 2; everything else that is raised
    is a bug and keeps its traceback.  Line breaks in the message become blanks; other control characters and lone
    surrogates, which a terminal obeys or cannot print, become their escapes; a message of more than LONGEST characters
    loses its middle.

    ``stage``: the part of a long piece of work in which it was raised, for records of failures (`during`).
    """

    stage = ""

    def __init__(self, message: str) -> None:
        line = printable(message)
        super().__init__(line if len(line) <= LONGEST else f"{line[:LONGEST - 1000]} ... {line[-900:]}")


class Refused(UserError):
    """What was found cannot be written in a format; other formats can hold it."""


@contextlib.contextmanager
def during(stage: str) -> Iterator[None]:
    """A UserError that leaves the block tells its ``stage``: the innermost one."""
    try:
        yield
    except UserError as error:
        error.stage = error.stage or stage
        raise


def printable(text: str) -> str:
    """``text`` as one line that a terminal can show; line breaks become blanks, control characters their escapes.

    >>> printable("my\\nvideo\\x1b[2J.mp4")
    'my video\\\\x1b[2J.mp4'
    """
    return UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], " ".join(text.splitlines()))


UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
LONGEST = 4000  # characters of a message
_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 60


def brief(value: Any) -> str:
    """``repr(value)``, cut wherever it is long or deep, so that a message can show whatever a file holds.

    >>> brief(list(range(1000)))
    '[0, 1, 2, 3, 4, 5, ...]'
    """
    try:
        return _brief.repr(value)
    except ValueError:  # Python prints no whole number of more than 4300 digits
        return "a number of thousands of digits"


def reason(error: BaseException) -> str:
    """The first line of what a library says, at most 240 characters of it."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) <= 240 else f"{line[:236]} ..."
