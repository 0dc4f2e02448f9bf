"""Chunks with timestamps, as the speech recognition of Transformers returns them."""

import math
from typing import Any

from hicm.data.speech.segments import Speech, is_list, make_speech
from hicm.errors import UserError

FORM = "{chunks: [{timestamp: [s, s], text}, ...]}"


def matches(entry: Any) -> bool:
    """Whether there are chunks."""
    return isinstance(entry, dict) and "chunks" in entry


def read(entry: Any, where: str) -> Speech:
    """The segments.  One without an end lasts until the next one starts, the last one until the video ends."""
    chunks = entry["chunks"]
    if not is_list(chunks) or not all(isinstance(chunk, dict) and is_list(chunk.get("timestamp"))
                                      and len(chunk["timestamp"]) == 2 for chunk in chunks):
        raise UserError(f"{where}: chunks: expected a list of {{timestamp: [start, end], text}}; transcribe with "
                        "return_timestamps=True")
    starts, ends = ([chunk["timestamp"][side] for chunk in chunks] for side in (0, 1))
    ends = [following if end is None else end for end, following in zip(ends, [*starts, math.inf][1:], strict=True)]
    return make_speech(starts, ends, [chunk.get("text") for chunk in chunks], where)
