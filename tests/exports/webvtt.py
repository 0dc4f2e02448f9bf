"""A strict reader of WebVTT: the syntax of https://www.w3.org/TR/webvtt1/#file-structure, and nothing more lenient."""

import re
from typing import NamedTuple

TIME = r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
TIMING = re.compile(rf"{TIME}[ \t]+-->[ \t]+{TIME}")
REFERENCES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}


class Cue(NamedTuple):
    """Milliseconds."""

    start: int
    end: int
    text: str


def read(content: bytes) -> list[Cue]:
    """The cues of a file without comments, styles and tags; AssertionError where it breaks a rule."""
    text = content.decode("utf-8").removeprefix("\ufeff")
    assert "\0" not in text and "\r" not in text
    head, *blocks = text.split("\n\n")
    assert re.fullmatch(r"WEBVTT(?:[ \t][^\n]*)?", head), "the first line, then an empty one"
    found: list[Cue] = []
    names = set()
    for block in filter(None, (block.strip("\n") for block in blocks)):
        name, *lines = block.split("\n")
        if "-->" in name:
            lines = [name, *lines]
        else:
            assert name not in names, "names are unique"
            names.add(name)
        times = TIMING.fullmatch(lines[0])
        assert times and "-->" not in "".join(lines[1:])
        cue = Cue(_milliseconds(times.groups()[:4]), _milliseconds(times.groups()[4:]), _plain("\n".join(lines[1:])))
        assert cue.start < cue.end and all(before.start <= cue.start for before in found)
        found.append(cue)
    return found


def _milliseconds(parts: tuple[str, ...]) -> int:
    hours, minutes, seconds, rest = (int(part or 0) for part in parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest


def _plain(text: str) -> str:
    assert "<" not in text and ">" not in text and all(found in REFERENCES for found in re.findall("&.{0,4}", text)
                                                       if found[:4] not in ("&lt;", "&gt;"))
    return re.sub("|".join(REFERENCES), lambda found: REFERENCES[found[0]], text)
