"""Export formats of a captioned video, each in a module of its own that is found by its name.

A format is a new module here, or a module of another package under the entry-point group ``hicm.exports``, with
``SUFFIX`` (of the file name) and ``render(captioned) -> str``; it may have ``check()``, which raises UserError when a
package that it needs is missing.  ``render`` raises `Refused` for events that the format cannot hold at all; what it
loses otherwise is documented in its module.  A file that links to the video has ``LINKS = True``, and is made by
``render(captioned, folder)``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from hicm.errors import Refused, UserError
from hicm.files import write_text
from hicm.plugins import find_module
from hicm.types import Event, RecalledPart

GROUP = "hicm.exports"
OWN = "json"  # the format that loses nothing


@dataclass(frozen=True)
class Picture:
    """Facts about a video file that editors need."""

    frame_rate: float | None = None  # frames per second, on average; None: not known
    size: tuple[int, int] | None = None  # width and height in pixels, as shown; None: not known
    sound: bool = False


@dataclass(frozen=True, eq=False)
class Captioned:
    """One video with its events, in order of time."""

    id: str  # name of the file without its ending
    source: str  # the video file
    duration: float  # seconds
    events: tuple[Event, ...]
    about: dict[str, Any] = field(default_factory=dict)  # how the events were made
    picture: Picture = Picture()
    speech: tuple[Event, ...] = ()  # transcribed segments
    recalled: tuple[RecalledPart, ...] = ()  # what was recalled from the memory


def check_formats(names: Iterable[str]) -> None:
    """UserError for the first name that is not a format, or whose package is missing."""
    for name in names:
        words = name.replace(",", " ").split()
        if len(words) > 1:
            raise UserError(f"--format {name}: expected names separated by blanks; write --format {' '.join(words)}")
        getattr(_format(name), "check", lambda: None)()


def write_all(captioned: Captioned, folder: Path, names: Iterable[str]) -> None:
    """`write` in several formats, one after the other.

    Raises Refused, once all others are written, with the reason of every format that cannot hold these events.
    """
    reasons = []
    for name in names:
        try:
            write(captioned, folder, name)
        except Refused as error:
            reasons.append(str(error))
    if reasons:
        raise Refused(f"{captioned.source}: {'; '.join(reasons)}")


def write(captioned: Captioned, folder: Path, name: str) -> Path:
    """Write ``folder/<id><suffix>`` in one format, atomically; returns the path.

    Raises Refused, naming the format, when it cannot hold these events; nothing is written then.
    """
    return write_text(path_of(captioned.id, folder, name), text_of(captioned, folder, name))


def text_of(captioned: Captioned, folder: Path, name: str) -> str:
    """The text that `write` writes.  Raises Refused, naming the format, when it cannot hold these events."""
    part = _format(name)
    try:
        text = part.render(captioned, folder) if getattr(part, "LINKS", False) else part.render(captioned)
    except Refused as error:
        raise Refused(f"not written as {name}: {error}") from error
    return text.encode("utf-8", "replace").decode("utf-8")  # a file may have a name that is not UTF-8


def path_of(video_id: str, folder: Path, name: str) -> Path:
    """The file of a video in one format."""
    return folder / f"{video_id}{_format(name).SUFFIX}"


def _format(name: str) -> ModuleType:
    return find_module(__name__, GROUP, name, "--format", "render")
