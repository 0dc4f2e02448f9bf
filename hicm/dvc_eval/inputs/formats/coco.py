"""Annotations of TimeChat and VTG-LLM: a list of videos or events whose ids are names of video files."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hicm.dvc_eval.inputs.reading import Reading
from hicm.errors import UserError
from hicm.source import Source

FORM = '{"annotations": [{"image_id": video file, "caption", "segments": [[start, end]] or "timestamp": [start, end]}]}'
SIDE = "references"


def matches(source: Source) -> bool:
    """Whether there are annotations with an image_id."""
    found = source.data.get("annotations") if isinstance(source.data, Mapping) else None
    return isinstance(found, Sequence) and len(found) > 0 and isinstance(found[0], Mapping) and "image_id" in found[0]


def read(source: Source, reading: Reading) -> None:
    """A video's captions are one text, whose sentences belong to its segments in turn."""
    reading.file_names = True
    for number, entry in enumerate(source.data["annotations"]):
        where = f"{source.where}: annotations[{number}]"
        if not isinstance(entry, Mapping) or not {"image_id", "caption"} <= entry.keys():
            raise UserError(f"{where}: expected {{'image_id', 'caption', ..}}")
        name = reading.video(str(entry["image_id"]).rpartition("/")[2], entry.get("duration"))
        if "segments" not in entry:
            reading.add(name, entry.get("timestamp"), entry["caption"])
            continue
        # The texts of YouCook2 are kept without speech under another name.
        sentences = _sentences(entry.get("pure_cap", entry["caption"]), where)
        if len(sentences) != len(entry["segments"]):
            raise UserError(f"{where}: video {name}: {len(entry['segments'])} segments but {len(sentences)} sentences")
        for span, sentence in zip(entry["segments"], sentences, strict=True):
            reading.add(name, span, sentence)


def _sentences(text: Any, where: str) -> list[str]:
    if not isinstance(text, str):
        raise UserError(f"{where}: the caption is {text!r:.40}, expected text")
    return [part.strip() for part in re.split(r"(?<=\.)\s+", text) if part.strip()]
