"""The results file of the ActivityNet challenge, which ``hicm evaluate`` reads.  Scores and levels are lost.

Numbers are not rounded.  One video per file; official servers look at 1000 events of a video at most.
Format: https://github.com/ranjaykrishna/densevid_eval
"""

import json

from hicm.exports import Captioned

SUFFIX = ".activitynet.json"


def render(captioned: Captioned) -> str:
    """``{"version", "results": {id: [{"sentence", "timestamp": [start, end]}]}, "external_data"}``."""
    events = [{"sentence": event.text, "timestamp": [event.span.start, event.span.end]} for event in captioned.events]
    return json.dumps({"version": "VERSION 1.0", "results": {captioned.id: events},
                       "external_data": {"used": False, "details": ""}}, indent=1, ensure_ascii=False) + "\n"
