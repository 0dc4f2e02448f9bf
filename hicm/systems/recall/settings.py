"""Settings of the recall system; `objective.choose` finds values for four of them on the training split."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from hicm.errors import UserError
from hicm.strict import limited

QUOTES = True

Centring = Literal["none", "queries", "both"]


@dataclass(frozen=True)
class WritingSettings:
    """How a language model is asked for captions (writer.py)."""

    prompt: str = "captions-v1"  # name in hicm/systems/recall/prompts, or a yaml file of that form
    words: int = limited(25, 1)  # longest caption accepted
    texts: int = limited(5, 1)  # recalled captions that are shown per event, and of the whole video
    events: int = limited(30, 1)  # of a video in one question; further ones are asked for in further questions
    attempts: int = limited(3, 1)  # most questions per event; then the recalled caption is kept
    failures: float = limited(0.5, 0, 1)  # share of unusable captions above which the prediction stops (1: never)
    max_tokens: int = limited(2000, 1)  # most new tokens per answer
    sample: bool = False  # nucleus sampling instead of the likeliest tokens
    temperature: float = limited(0.6, 0)
    top_p: float = limited(0.9, 0, 1)
    seed: int = limited(0, 0)
    endpoint: str = ""  # base URL, e.g. http://localhost:8000/v1; empty: OPENAI_BASE_URL, or OpenAI's own
    key_variable: str = "OPENAI_API_KEY"  # environment variable with the key; it is never written anywhere
    concurrency: int = limited(8, 1)  # requests at once
    timeout: float = limited(60.0, 0.1)  # seconds per request
    retries: int = limited(5, 0)  # further tries, with growing pauses (429, 5xx, timeout)
    request: dict[str, Any] = field(default_factory=dict)  # fields over ours in the request, null removes one


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
    # openai:<model>: a language model that writes captions from what events recall; empty: they quote it
    writer: str = ""
    writing: WritingSettings = field(default_factory=WritingSettings)

    def __post_init__(self) -> None:
        if self.writer and not re.fullmatch(r"openai:\S.*", self.writer):
            raise UserError(f"recall.writer: expected openai:<model>, found {self.writer!r}; leave it empty to quote "
                            "what is recalled")


PREDICTION_ONLY = ("writer", "writing")  # settings are chosen by what is quoted
WITHOUT_EFFECT = ("writing.failures", "writing.endpoint", "writing.key_variable", "writing.concurrency",
                  "writing.timeout", "writing.retries")  # decide whether there are captions, and not which


def memory(config: Any) -> str:
    """The bank itself, whatever ``retrieval`` says."""
    return "bank"


def prediction_files(settings: Settings) -> dict[str, str]:
    """The file of the question, where it is one's own."""
    own = settings.writer and settings.writing.prompt.endswith((".yaml", ".yml"))
    return {"recall.writing.prompt": settings.writing.prompt} if own else {}
