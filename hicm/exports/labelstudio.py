"""A task of Label Studio, with the events as predictions to correct.  Levels are lost.

Times are rounded to frames of the nearest usual rate, counted from 1: first and last frame of an event.  The labelling
interface that the task belongs to is in docs/own_videos.md; it takes the frame rate from the task.  ``data.video`` is
the path of the file: replace it by the address under which Label Studio serves the video.
Format: https://labelstud.io/tags/timelinelabels
"""

import json
from typing import Any

from hicm.exports import Captioned
from hicm.exports.clock import cues, editor_rate, frames

SUFFIX = ".labelstudio.json"


def render(captioned: Captioned) -> str:
    """A list of one task; a region per event, with its sentence under the same id."""
    rate = editor_rate(captioned.picture.frame_rate)
    result: list[dict[str, Any]] = []
    for number, cue in enumerate(cues(captioned.events), start=1):
        first, last = frames(cue, rate, captioned.duration)
        where = {"ranges": [{"start": first + 1, "end": last + 1}]}
        region = {"id": f"event{number}", "to_name": "video"} | (
            {} if cue.event.score is None else {"score": cue.event.score})
        result += [region | {"from_name": "events", "type": "timelinelabels",
                             "value": where | {"timelinelabels": ["Event"]}},
                   region | {"from_name": "sentence", "type": "textarea", "value": where | {"text": [cue.text]}}]
    data = {"video": captioned.source, "id": captioned.id, "duration": captioned.duration, "fps": float(rate)}
    task = {"data": data, "predictions": [{"model_version": "hicm", "result": result}]}
    return json.dumps([task], indent=1, ensure_ascii=False) + "\n"
