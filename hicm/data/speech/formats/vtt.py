"""WebVTT subtitles (W3C): header, then cues with settings and tags; notes, styles and regions are no speech."""

import re
from pathlib import Path

from hicm.data.speech.cues import find_cues, untangle
from hicm.data.speech.segments import Speech
from hicm.files import read_text

SUFFIXES = (".vtt",)
TAGS = re.compile(r"<[^<>]*>")


def read_file(path: Path) -> Speech:
    """The cues."""
    return untangle(find_cues(read_text(path, "speech file"), path, TAGS, ends_at_blank=True))
