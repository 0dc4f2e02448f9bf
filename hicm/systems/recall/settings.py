"""Settings of the recall system; `objective.choose` finds values for all but ``shortest`` on the training split."""

from dataclasses import dataclass
from typing import Any, Literal

from hicm.strict import limited

QUOTES = True

Centring = Literal["none", "queries", "both"]


@dataclass(frozen=True)
class Settings:
    # seconds of the video's average scatter that a boundary must explain: higher, fewer events; at 1 row per
    # second, values below about 1.5 cut noise
    penalty: float = limited(3.0, 0)
    # seconds, the shortest event; a shorter video is one event
    shortest: float = limited(3.0, 0)
    # what is moved to zero mean before cosines are taken: nothing; the queries, by the mean training row; or also the
    # captions, by theirs
    centring: Centring = "queries"
    # captions recalled per event, of which the most central one is quoted; 1: the nearest
    neighbours: int = limited(5, 1)
    # cosine below which nothing is quoted
    threshold: float = limited(0.1, -1, 1)


def memory(config: Any) -> str:
    """The bank itself, whatever ``retrieval`` says."""
    return "bank"
