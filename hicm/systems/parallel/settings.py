"""Settings of the parallel system: the section ``parallel`` of a settings file."""

from dataclasses import dataclass, field
from typing import Any, Literal

from hicm.errors import UserError
from hicm.strict import limited
from hicm.systems.parallel.start import checkpoint_folder, start_path
from hicm.systems.parallel.vocabulary import load_vocabulary


@dataclass(frozen=True)
class ObjectiveSettings:
    """Weights of the losses (losses.py); those of events and segments also weigh the costs of matching."""

    event: float = limited(2.0, 0)  # which queries are events
    iou: float = limited(4.0, 0)  # generalised IoU of the segments
    l1: float = limited(0.0, 0)  # distance of centres and lengths; 0: only shown
    count: float = limited(0.5, 0)  # the number of events
    caption: float = limited(2.0, 0)  # the words
    overlap: float = limited(0.0, 0)  # keeps segments apart (overlap.py); ROS-DVC: 0.5; 0: left out
    # what a matched query's event probability is trained towards: 1, as released, or its tIoU with the event
    quality: Literal["one", "tiou"] = "one"
    # how rare each number of events is, which weighs the loss of the counter: among the training videos, or, as
    # released, among those of ActivityNet Captions whatever the data
    counts: Literal["training", "activitynet"] = "training"


@dataclass(frozen=True)
class DecodeSettings:
    """How events are chosen (decode.py)."""

    batch: int = limited(8, 1)  # videos at once
    max_words: int = limited(30, 1)  # longest sentence
    caption_weight: float = limited(1.0, 0)  # of the words in the score that events are chosen by, beside the event's
    length_power: float = limited(2.0, 0)  # of the number of words, which divides the sentence's log-probability
    empty: Literal["drop", "keep"] = "drop"  # events without a word; keep: they count as the best ones, as released
    overlap: float = limited(1.0, 0, 1)  # largest tIoU of an event with a better one; 1: any, as released


@dataclass(frozen=True)
class Settings:
    """Settings of the model, its losses and its decoding."""

    init: str = ""  # weights to start from: a run or checkpoint folder of this system; its words are used, too
    vocabulary: str = ""  # json file of words, as PDVC has them; empty: those of the training captions
    rarest: int = limited(2, 1)  # times a word of the training captions must occur to be learnt
    max_words: int = limited(28, 1)  # of a training caption; the rest is not learnt
    queries: int = limited(100, 1)  # Q, the most events per video (ActivityNet: 10)
    max_events: int = limited(20, 1)  # largest number of events that the counter predicts
    width: int = limited(512, 32)  # d, a multiple of 32
    hidden: int = limited(512, 1)  # width of the feed-forward networks
    heads: int = limited(8, 1)
    levels: int = limited(4, 1)  # time scales, each half as long as the one before
    points: int = limited(4, 1)  # locations that are sampled, per head and scale
    encoder_layers: int = limited(2, 1)
    decoder_layers: int = limited(2, 1)
    self_attention: bool = True  # between the queries, as released
    dropout: float = limited(0.1, 0, 1)
    memory_dropout: float = limited(0.5, 0, 1)
    word_dropout: float = limited(0.5, 0, 1)
    query_dropout: float = limited(0.0, 0, 0.9)  # share of queries that are dropped in training
    weight_decay: float = limited(1e-4, 0)
    caption_lr: float = limited(1.0, 0)  # learning rate of the captioner, as a multiple of train.lr; published: 1
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    decode: DecodeSettings = field(default_factory=DecodeSettings)


FILES = ("model.safetensors", "vocabulary.json")
PREDICTION_ONLY = ("decode",)  # affects training only by which checkpoint scores best
AT_PREDICTION = ("decode",)
IN_WEIGHTS = ("queries", "max_events", "width", "hidden", "heads", "levels", "points", "encoder_layers",
              "decoder_layers", "self_attention")  # may not be changed

# How the published code reads frames and memory, weighs counts and chooses events.  What its weights need beside is
# the network itself.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "released": {
        "data": {"frames": 0},
        "retrieval": {"search": "flat", "flat_level": 0, "tail": "drop", "leave_own_out": False,
                      "leave_best_out": True},
        "parallel": {"objective": {"counts": "activitynet"}, "decode": {"empty": "keep"}},
    },
}


def memory(config: Any) -> str:
    """Tokens of every window, unless ``retrieval.search`` is none."""
    return "none" if config.retrieval.search == "none" else "tokens"


def start_files(settings: Settings) -> dict[str, str]:
    """The weights that training starts from, and the file of words, where they are named."""
    found = {"parallel.init": str(start_path(settings.init))} if settings.init else {}
    return found | ({"parallel.vocabulary": settings.vocabulary} if settings.vocabulary else {})


def check(config: Any) -> None:
    """Raise UserError when nothing can be learnt under these settings, before anything is read."""
    settings, objective = config.room, config.room.objective
    if config.data.target != "captions":
        raise UserError("data.target: speech: the system parallel learns events and captions; set data.target=captions")
    if config.data.sampling == "nearest" and not config.data.frames:
        raise UserError("data.sampling=nearest: resamples to data.frames rows, but data.frames=0 takes all rows as "
                        "stored; set data.frames (PDVC: 200 for YouCook2, 100 for ActivityNet), or data.sampling=even")
    if settings.width % 32 or settings.width % settings.heads:
        raise UserError(f"parallel.width={settings.width}: expected a multiple of 32 and of parallel.heads="
                        f"{settings.heads}")
    if not (objective.event and objective.caption and (objective.iou or objective.l1)):
        raise UserError("parallel.objective: event, caption and one of iou and l1 need a weight, or events without "
                        "words or places are learnt")
    if settings.vocabulary:
        load_vocabulary(settings.vocabulary)
    if settings.init:
        checkpoint_folder(settings.init, "parallel.init: ")
