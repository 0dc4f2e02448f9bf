"""What a captioned video is written as, each format in a module of its own that is found by its name.

A format is a new module here, or a module of another package under the entry-point group ``hicm.exports``, with
``SUFFIX`` (of the file name) and ``render(captioned) -> str``.  What a format cannot hold is said in its module.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hicm.files import write_text
from hicm.plugins import check_name, find_module
from hicm.types import Event

GROUP = "hicm.exports"


@dataclass(frozen=True, eq=False)
class Captioned:
    """One video with its events, in order of time."""

    id: str  # name of the file without its ending
    source: str  # the video file
    duration: float  # seconds
    events: tuple[Event, ...]
    about: dict[str, Any] = field(default_factory=dict)  # how the events were made


def check_formats(names: tuple[str, ...]) -> None:
    """UserError for the first name that is no format; imports none."""
    for name in names:
        check_name(__name__, GROUP, name, "--format", "render")


def write(captioned: Captioned, folder: Path, name: str) -> Path:
    """Write ``folder/<id><suffix>`` in one format, atomically; returns the path."""
    module = find_module(__name__, GROUP, name, "--format", "render")
    return write_text(folder / f"{captioned.id}{module.SUFFIX}", module.render(captioned))
