"""Captions as hicm caption keeps them and the viewer exports them."""

from pathlib import Path

from hicm.exports import path_of, text_of
from hicm.exports.json import read as read_captioned

CAPTIONS = {"video": "a", "source": "a.mp4", "duration": 9.5, "picture": {"frame_rate": 25.0, "size": [64, 48]},
            "events": [{"start": 0, "end": 4.5, "sentence": "boil ä", "score": 0.5, "level": 1}], "made_by": {"x": 1},
            "speech": [{"start": 0, "end": 1, "text": "now"}], "recalled": [{"start": 0, "end": 9, "nodes": [
                {"level": 2, "text": "cook", "lowest": 1, "below": [{"level": 0, "text": "boil", "score": 0.5}]}]}]}


def read_captions(file: Path) -> None:
    captioned = read_captioned(file)
    assert all(0 <= event.span.start <= event.span.end for event in (*captioned.events, *captioned.speech))
    for name in ("json", "html", "srt"):
        text_of(captioned, file.parent, name).encode()
    assert path_of(captioned.id, file.parent, "srt").parent == file.parent
