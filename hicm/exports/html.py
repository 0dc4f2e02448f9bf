"""The viewer: a page to watch the video with its events and to correct them.  It loses nothing.

Everything is in the file but the video, which it links to.
"""

from pathlib import Path

from hicm.exports import Captioned
from hicm.viewer.content import Lane, View, address
from hicm.viewer.page import render as render_page

SUFFIX = ".html"
LINKS = True  # to the video: `render` gets the folder of the page


def render(captioned: Captioned, folder: Path | None = None) -> str:
    """The page, to be written to ``folder``; without one it has no path of the video, and asks for the file."""
    video = None if folder is None else address(captioned.source, folder)
    return render_page([view_of(captioned, video).to_json()], captioned.id)


def view_of(captioned: Captioned, video: str | None = None) -> View:
    """A captioned video as the viewer shows it; ``video``: its URL."""
    return View(captioned.id, captioned.duration, lanes_of(captioned), "", captioned.source, video,
                captioned.picture.frame_rate, captioned.picture.size, captioned.picture.sound, captioned.about)


def lanes_of(captioned: Captioned, name: str = "captions") -> tuple[Lane, ...]:
    """A lane of events, and one of speech if there is any."""
    said = (Lane("speech", "speech", captioned.speech),) if captioned.speech else ()
    return (Lane(name, "prediction", captioned.events, captioned.recalled), *said)
