"""Settings of the moments system: the section ``moments`` of a settings file."""

import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hicm.config import RetrievalConfig
from hicm.data.queries import is_durations
from hicm.decisive import OF_WINDOWS
from hicm.errors import UserError
from hicm.strict import limited


@dataclass(frozen=True)
class ObjectiveSettings:
    """Weights of the losses (objective.py); those of windows also weigh the costs of matching."""

    span: float = limited(10.0, 0)  # distance of centres and lengths
    giou: float = limited(1.0, 0)  # generalised IoU
    label: float = limited(4.0, 0)  # which windows are found; published: 6 for TACoS
    background: float = limited(0.1, 0)  # of windows that match nothing, within label
    saliency: float = limited(4.0, 0)  # which rows fit the query; published: 1 for TACoS and QVHighlights
    rank: float = limited(12.0, 1)  # what the ranking loss is divided by, within saliency; published: 1 for TACoS
    triplet: bool = False  # a margin between drawn rows, within saliency; published: true for TACoS, QVHighlights
    margin: float = limited(0.2, 0)  # of the triplet loss
    words: float = limited(0.1, 0)  # masked words; published: 0.5 for QVHighlights; 0: left out
    sentences: float = limited(0.1, 0)  # segments and sentences; 0: left out
    same: float = limited(0.9, 0, 1)  # generalised IoU from which two moments of a video count as one, in sentences


@dataclass(frozen=True)
class DecodeSettings:
    """What is predicted (decode.py)."""

    batch: int = limited(8, 1)  # videos at once
    moments: int = limited(10, 1)  # likeliest windows that are kept of every query
    # how windows are made to fit: they are cut to the video; or, as MESM submits them, clamped and rounded to a grid
    fit: Literal["video", "grid"] = "video"
    clamp: float = limited(150.0, 0)  # fit=grid: seconds at which windows end at the latest; TACoS: 1000; 0: anywhere
    grid: float = limited(0.0, 0)  # fit=grid: they begin and end at multiples of it, in seconds; 0: anywhere


@dataclass(frozen=True)
class Settings:
    """Settings of the network, its losses and its predictions."""

    # where word vectors come from (words/): clip:<model>/<pretrained>, hf:<name or folder>, glove:<text file>,
    # glove_pickle:<pickle> or each:<encoder>
    words: str = "clip:ViT-B-32/openai"
    tags: str = ""  # parts of speech, as hicm data tag-words writes them; empty: all words are masked alike
    sentences: int = limited(10, 1)  # queries of a video, at most, in a training item; a video with more makes several
    windows: int = limited(0, 0)  # moments of a query, at most, drawn anew for every epoch; 0: all; QVHighlights: 5
    surplus: Literal["pool", "cut"] = "pool"  # rows beyond data.frames: pool all, or cut off the rest (QVHighlights)
    max_words: int = limited(16, 3)  # L, tokens of a query that are read; QVHighlights: 32
    classes: int = limited(1111, 1)  # words that masked words are predicted among: the most frequent ones
    counts: str = ""  # a count file, whose first words they are (hicm data count-words); empty: of the training split
    width: int = limited(256, 8)  # d
    hidden: int = limited(1024, 1)  # width of the feed-forward networks
    heads: int = limited(8, 1)
    queries: int = limited(10, 1)  # Q, windows per query
    # frames that attend to words, and masked words to frames, before the aligner; 0: left out, as in QD-DETR
    word_layers: int = limited(2, 0)
    shared_feed: bool = True  # both directions share a feed-forward network; TACoS: false
    sentence_layers: int = limited(4, 1)  # of the segment-sentence token
    # what the aligner reads beside the words of a sentence: nothing; the segment-sentence token; texts of the memory,
    # which the sentence recalls as the section retrieval says; or both
    context: Literal["none", "token", "recalled", "both"] = "token"
    recalled: int = limited(8, 1)  # texts that a sentence recalls, at most
    aligner_layers: int = limited(2, 1)
    encoder_layers: int = limited(2, 1)
    decoder_layers: int = limited(2, 1)
    dropout: float = limited(0.1, 0, 1)
    input_dropout: float = limited(0.5, 0, 1)  # of features and word vectors
    weight_decay: float = limited(1e-4, 0)
    # whose moments are compared by the loss of sentences: those of one video; or, as published for QVHighlights, of all
    # clips of one YouTube video, although times within different clips say nothing of each other
    grouping: Literal["video", "youtube"] = "video"
    mixed_padding: bool = False  # attention heads of one query use the padding of another, as in the published code
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    decode: DecodeSettings = field(default_factory=DecodeSettings)


WORD_FILES = ("glove:", "glove_pickle:", "clip:local-dir:")  # what a file or folder of word vectors follows
MODELS = ("hf:", "each:hf:")  # what a folder follows, or the name of a model on the hub
FILES = ("model.safetensors", "vocabulary.json")
PREDICTION_ONLY = ("decode",)  # affects training only by which checkpoint scores best
AT_PREDICTION = ("decode", "recalled")
IN_WEIGHTS = ("width", "hidden", "heads", "queries", "word_layers", "shared_feed", "sentence_layers", "context",
              "aligner_layers", "encoder_layers", "decoder_layers")  # may not be changed

DEFAULTS: dict[str, dict[str, Any]] = {"train": {"select_on": "mAP"}, "evaluate": {"protocol": "hicm"}}

# What the published code does with padding and with what it found (README.md).
PRESETS: dict[str, dict[str, dict[str, Any]]] = {"released": {"moments": {"mixed_padding": True,
                                                                          "decode": {"fit": "grid"}}}}


def reach(config: Any) -> float:
    """The seconds of a video that are read: inf, all of it, but where surplus rows are cut off."""
    cut = config.room.surplus == "cut" and config.data.frames
    return config.data.frames / config.data.clock.rate if cut else math.inf


def start_files(settings: Settings) -> dict[str, str]:
    """Parts of speech, counts and word vectors, where files are named."""
    files = {"moments.tags": settings.tags, "moments.counts": settings.counts}
    return {setting: file for setting, file in files.items() if file} | prediction_files(settings)


def prediction_files(settings: Settings) -> dict[str, str]:
    """The file or folder of the word vectors, where one is named."""
    words = settings.words
    named = {kind: words.removeprefix(kind) for kind in (*WORD_FILES, *MODELS) if words.startswith(kind)}
    file = next((file for kind, file in named.items() if kind in WORD_FILES or Path(file).is_dir()), "")
    return {"moments.words": file} if file else {}


def reads_token(settings: Settings) -> bool:
    """Whether the segment-sentence token is read."""
    return settings.context in ("token", "both")


def recalls(settings: Settings) -> bool:
    """Whether texts of the memory are read."""
    return settings.context in ("recalled", "both")


def memory(config: Any) -> str:
    """What sentences recall, where texts are read, unless ``retrieval.search`` is none."""
    return "sentences" if recalls(config.room) and config.retrieval.search != "none" else "none"


def check(config: Any) -> None:
    """Raise UserError when nothing can be learnt under these settings, before anything is read."""
    settings, objective = config.room, config.room.objective
    for split, files in config.data.annotations.items():
        own = [file for file in files if Path(file).exists() and not is_durations(file)]
        if len(own) > 1:
            raise UserError(f"data.annotations: split {split} has {len(own)} files of sentences ({', '.join(own)}), "
                            "and only the first would be read; put them into one, or give each a split of its own")
    if settings.width % 2 or settings.width % settings.heads:
        raise UserError(f"moments.width={settings.width}: expected an even multiple of moments.heads={settings.heads}")
    reach(config)  # refuses rows without a fixed length
    if settings.grouping != "video":
        raise UserError(f"moments.grouping={settings.grouping}: training compares the moments of one video; leave the "
                        "setting out")
    if not (objective.label and (objective.span or objective.giou)):
        raise UserError("moments.objective: label and one of span and giou need a weight, or no windows are learnt")
    if objective.words and not settings.word_layers:
        raise UserError("moments.word_layers=0: masked words cannot be predicted from frames without these layers; set "
                        "moments.objective.words=0, or word_layers to 1 or more")
    unread = [name for name in OF_WINDOWS if getattr(config.retrieval, name) != getattr(RetrievalConfig, name)]
    if unread and memory(config) == "sentences":
        warnings.warn(f"without effect where sentences search the memory: retrieval.{', retrieval.'.join(unread)}",
                      stacklevel=3)
