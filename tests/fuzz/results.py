"""What hicm keeps of its results in json, and reads again from any file that is given."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hicm.dvc_eval.inputs.read import read_events
from hicm.report.runs import _read_metrics, read_predictions
from hicm.results.record import read_record
from hicm.stages.import_annotations import read_durations
from hicm.stages.systems_shown import read_systems
from tests.fuzz.captions import CAPTIONS

EVENTS = [{"timestamp": [0, 4.5], "sentence": "boil ä", "score": 0.5, "level": 1}]
PREDICTIONS = {"results": {"a": EVENTS, "b": []}, "checkpoint": {"name": "best", "step": 3},
               "decided_by": {"settings": {}}}


class Kept(NamedTuple):
    """The sound content of a file, and how it is read."""

    content: Any
    read: Callable[[Path], Any]
    slow: bool = True


def read_shown(file: Path) -> None:
    """As hicm view reads what it is given."""
    read = partial(read_events, ids=["a"], duration=lambda video: 9.0, warnings=[], format="")
    for system in read_systems([str(file)], read, ["a"], "", [])[0]:
        for captioned in system.videos.values():
            assert all(type(event.span.start) is float for event in captioned.events)


KEPT = {
    "predictions of hicm": Kept(PREDICTIONS, read_predictions),
    "shown predictions": Kept(PREDICTIONS, read_shown, False),
    "shown captions": Kept(CAPTIONS, read_shown),
    "metrics": Kept({"scores": {"CIDEr": 0.5}, "predictions": {"sha256": "x"}}, _read_metrics),
    "record": Kept({"dataset": "yc2", "name": "a", "run": "r", "signature": "s", "videos": 2, "missing": 0,
                    "scores": {"CIDEr": 0.5}, "intervals": {"CIDEr": [0.4, 0.6]}}, read_record),
    "durations": Kept({"a": 9.5, "b": {"duration": 3}}, read_durations),
}
