"""SubRip (.srt) and WebVTT (.vtt) subtitles: a video per file, named by it, an event per cue.

Lines of a cue are joined by blanks; tags are left out.
"""

from pathlib import Path

from hicm.data.imports import Imported
from hicm.data.speech.cues import find_cues
from hicm.data.speech.formats import srt, vtt
from hicm.errors import UserError
from hicm.files import read_text
from hicm.types import Event, Span

TAGS = {".srt": srt.TAGS, ".vtt": vtt.TAGS}


def read(path: Path) -> list[Imported]:
    """One video.  Raises UserError naming the line of a cue that cannot be read."""
    kind = path.suffix.lower()
    if kind not in TAGS:
        raise UserError(f"{path}: expected subtitles as .srt or .vtt; convert the file, e.g. with ffmpeg -i")
    web = kind == ".vtt"
    cues = find_cues(read_text(path, "subtitle file"), path, TAGS[kind], ends_at_blank=web, entities=web)
    events = (Event(Span(cue.start, cue.end), " ".join(cue.lines)) for cue in cues)
    return [Imported(path.stem, tuple(events))]
