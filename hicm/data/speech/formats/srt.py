"""SubRip subtitles: counter, times, text, blank line.  There is no standard, so nearly everything is optional."""

import re
from pathlib import Path

from hicm.data.speech.cues import find_cues, untangle
from hicm.data.speech.segments import Speech
from hicm.files import read_text

SUFFIXES = (".srt",)
TAGS = re.compile(r"</?(?:b|i|u|s|c|v|font|ruby|rt|lang)\b[^<>]*>|\{\\[^{}]*\}", re.IGNORECASE)


def read_file(path: Path) -> Speech:
    """The cues; text after a blank line still belongs to its cue."""
    return untangle(find_cues(read_text(path, "speech file"), path, TAGS, ends_at_blank=False))
