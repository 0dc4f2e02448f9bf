"""What a language model answers for several events: a sentence by number, in json of nearly any form.

Wanted is ``{"1": "Chop an onion.", "2": ...}``.  Also read are such objects within text, code or other objects, lists
of objects with a number and a sentence each, and what is complete of an answer that was cut off.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

LONGEST = 1 << 16  # characters of an answer that are looked at, the last ones
STARTS = 1000  # brackets in it at which json is tried, the last ones

_NUMBERS, _SENTENCES = ("index", "event", "number", "id", "key"), ("sentence", "caption", "text", "description")
_KEY = re.compile(r"\s*(?:(?:event|index|number)[\s_#-]*|#)?0{0,3}([0-9]{1,6})\s*", re.IGNORECASE)
_PAIR = re.compile(r'"([^"\\]{1,20})"\s*:\s*("(?:[^"\\]|\\.)*")')


def sentences_in(answer: str, wanted: Collection[int]) -> dict[int, str]:
    """The sentences of an answer by number, those of ``wanted`` at least; none that it gives two for.

    Of several json objects the one with the most of ``wanted`` counts, and of equals the last one: models think first.
    """
    text = answer[-LONGEST:]
    best: dict[int, str] = {}
    for content in _contents(text):
        found = _read(content)
        if _hits(found, wanted) >= max(1, _hits(best, wanted)):
            best = found
    return best or _read(_Pairs((key, json.loads(value, strict=False)) for key, value in _PAIR.findall(text)
                                if _is_text(value)))


class _Pairs(list[tuple[str, Any]]):
    """A json object with its keys as they stand there, repeated ones too."""


def _hits(found: dict[int, str], wanted: Collection[int]) -> int:
    return sum(number in found for number in wanted)


def _contents(text: str) -> Iterator[Any]:
    """What json reads at each opening bracket, in order; objects within others are given once more."""
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs, strict=False)
    for start in [match.start() for match in re.finditer(r"[{\[]", text)][-STARTS:]:
        try:
            yield decoder.raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            continue


def _is_text(value: str) -> bool:
    try:
        return isinstance(json.loads(value, strict=False), str)
    except ValueError:  # half an escape
        return False


def _read(content: Any) -> dict[int, str]:
    """The sentences of one json value."""
    if isinstance(content, _Pairs):
        pairs = [(_number(key), _sentence(value)) for key, value in content]
    elif isinstance(content, list):
        pairs = [(_number(_first(one, _NUMBERS)), _sentence(one)) for one in content if isinstance(one, _Pairs)]
    else:
        return {}
    found: dict[int, str] = {}
    twice = set()
    for number, sentence in pairs:
        if number is not None and sentence is not None and found.setdefault(number, sentence) != sentence:
            twice.add(number)
    return {number: sentence for number, sentence in found.items() if number not in twice}


def _number(key: Any) -> int | None:
    match = _KEY.fullmatch(str(key)) if isinstance(key, str | int) and not isinstance(key, bool) else None
    return int(match[1]) if match else None


def _sentence(value: Any) -> str | None:
    found = _first(value, _SENTENCES) if isinstance(value, _Pairs) else value
    return found if isinstance(found, str) else None


def _first(pairs: _Pairs, names: Collection[str]) -> Any:
    return next((value for key, value in pairs if key.lower() in names), None)
