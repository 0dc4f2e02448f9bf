"""Files of other programs that annotations are made of, and files of hicm's that are read on the way."""

import json
from pathlib import Path
from typing import NamedTuple

from hicm.data.imports import import_annotations
from hicm.exports.json import read
from hicm.stages.import_annotations import read_durations
from tests.fuzz.damage import Damage, damage_bytes, damage_json


class Imported(NamedTuple):
    """``form``: of `hicm.data.imports`, or what else reads the file."""

    form: str
    name: str
    text: str
    damage: Damage = damage_bytes


ELAN = '''<?xml version="1.0"?><ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"/><TIME_ORDER>
<TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="1500"/><TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="2000"/></TIME_ORDER><TIER>
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="a" TIME_SLOT_REF2="b"><ANNOTATION_VALUE>chop
</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>'''
TASKS = [{"id": 7, "data": {"video": "http://host/0a1b2c3d-my%20talk.mp4", "fps": "25", "duration": 60},
          "annotations": [{"was_cancelled": False, "result": [
              {"id": "x", "type": "timelinelabels", "value": {"ranges": [{"start": 26, "end": 50}]}},
              {"id": "x", "type": "textarea", "value": {"text": ["chop", "it"]}}]}]},
         {"data": {"video": "b.mp4", "fps": 25, "duration": 9}, "predictions": [{"result": []}]}]
CAPTIONS = {"video": "talk", "source": "talk.mp4", "duration": 12.5, "made_by": {"decided_by": {}},
            "picture": {"frame_rate": 25.0, "size": [64, 48], "sound": True},
            "events": [{"start": 0.0, "end": 4.5, "sentence": "chop", "score": 0.5, "level": 1}]}
IMPORTED = (
    Imported("subtitles", "talk.srt", "1\n00:00:01,000 --> 00:00:02,000\n<i>hello</i>\n"),
    Imported("elan", "talk.eaf", ELAN),
    Imported("csv", "talk.csv", "video,start,end,sentence,duration\ntalk,0,1.5,\"chop, then fry\",12.5\n"),
    Imported("label_studio", "tasks.json", json.dumps(TASKS), damage_json),
    Imported("durations", "durations.json", json.dumps({"talk": 12.5, "walk": {"duration": 3}}), damage_json),
    Imported("durations", "durations.csv", "video,duration\ntalk,12.5\nwalk,3\n"),
    Imported("captions", "talk.json", json.dumps(CAPTIONS), damage_json),
)


def read_imported(form: str, file: Path) -> None:
    """All of a file, looked at."""
    if form == "durations":
        assert all(isinstance(seconds, float) and seconds > 0 for seconds in read_durations(file).values())
    elif form == "captions":
        assert all(isinstance(event.text, str) for event in read(file).events)
    else:
        import_annotations(form, [file], file.with_name("made.json"), lambda video: None, overwrite=True)
