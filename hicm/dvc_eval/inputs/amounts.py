"""How many events each side has, and how many captions it repeats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hicm.dvc_eval.inputs.arrays import count_distinct
from hicm.dvc_eval.inputs.case import Case, Events


@dataclass(frozen=True)
class Amount:
    """The events of one side.

    ``videos``: how many it has (for references: of all annotators together); ``repeated``: captions that an earlier
    event of the same list has; ``texts``: the distinct captions.  Captions are the same but for case and blanks.
    """

    videos: int
    events: int
    repeated: int
    texts: frozenset[str]

    def __add__(self, other: "Amount") -> "Amount":
        """The amount of both, which have no video in common."""
        return Amount(self.videos + other.videos, self.events + other.events, self.repeated + other.repeated,
                      self.texts | other.texts)

    def to_json(self) -> dict[str, Any]:
        """Counts, events per video, and shares of repeated captions: within a video, and in the whole data set."""
        share = max(self.events, 1)
        return {"videos": self.videos, "events": self.events, "events_per_video": self.events / max(self.videos, 1),
                "repeated_in_video": self.repeated / share, "repeated": (self.events - len(self.texts)) / share}


def amounts(case: Case) -> dict[str, Amount]:
    """The amounts of the predictions and the references, over the videos of the references."""
    return {"predicted": _amount([case.predicted]), "reference": _amount(case.annotators)}


def _amount(sides: Sequence[Events]) -> Amount:
    numbers: dict[str, int] = {}
    events = repeated = 0
    for side in sides:
        text = np.array([numbers.setdefault(" ".join(caption.lower().split()), len(numbers))
                         for caption in side.captions], dtype=np.int64)
        events += len(text)
        repeated += len(text) - len(count_distinct(side.video * max(len(numbers), 1) + text)[0])
    return Amount(sum(int(side.present.sum()) for side in sides), events, repeated, frozenset(numbers))
