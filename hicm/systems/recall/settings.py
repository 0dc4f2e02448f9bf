"""Settings of the recall system; `objective.choose` finds values for all but ``shortest`` on the training split."""

import math
from dataclasses import dataclass, field
from typing import Literal

Centring = Literal["none", "queries", "both"]


@dataclass(frozen=True)
class Settings:
    # seconds of the video's average scatter that a boundary must explain: higher, fewer events; at 1 row per
    # second, values below about 1.5 cut noise
    penalty: float = field(default=3.0, metadata={"limits": (0, math.inf)})
    # seconds, the shortest event; a shorter video is one event
    shortest: float = field(default=3.0, metadata={"limits": (0, math.inf)})
    # what is moved to zero mean before cosines are taken: nothing; the queries, by the mean training row; or also the
    # captions, by theirs
    centring: Centring = "queries"
    # captions recalled per event, of which the most central one is quoted; 1: the nearest
    neighbours: int = field(default=5, metadata={"limits": (1, math.inf)})
    # cosine below which nothing is quoted
    threshold: float = field(default=0.1, metadata={"limits": (-1, 1)})
