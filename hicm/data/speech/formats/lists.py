"""Lists of starts, ends and texts, as VidChapters has them."""

from typing import Any

from hicm.data.speech.segments import Speech, is_list, make_speech
from hicm.errors import UserError

FORM = "{start: [s], end: [s], text: [...]}"
KEYS = ("start", "end", "text")


def matches(entry: Any) -> bool:
    """Whether there is a start or an end, or the text is a list; it is one in no other form."""
    return isinstance(entry, dict) and ("start" in entry or "end" in entry or is_list(entry.get("text")))


def read(entry: Any, where: str) -> Speech:
    """The segments."""
    for key in KEYS:
        if not is_list(entry.get(key)):
            raise UserError(f"{where}: {key}: expected a list; see data/README.md for the format")
    return make_speech(entry["start"], entry["end"], entry["text"], where)
