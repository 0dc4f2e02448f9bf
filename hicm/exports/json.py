"""hicm's own form, which loses nothing: times in seconds, scores, levels, and how the events were made."""

import json

from hicm.exports import Captioned

SUFFIX = ".json"


def render(captioned: Captioned) -> str:
    """One object; numbers are not rounded."""
    events = [{"start": event.span.start, "end": event.span.end, "sentence": event.text}
              | ({} if event.score is None else {"score": event.score})
              | ({} if event.level is None else {"level": event.level}) for event in captioned.events]
    return json.dumps({"video": captioned.id, "source": captioned.source, "duration": captioned.duration,
                       "events": events, "made_by": captioned.about}, indent=1, ensure_ascii=False) + "\n"
