"""Settings of the captioner: the section ``captioner`` of a settings file."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hicm.config import READS
from hicm.errors import UserError
from hicm.plugins import find_module
from hicm.strict import limited
from hicm.systems.captioner.start import refuse_no_start, start_path
from hicm.systems.captioner.t5_settings import T5Values, t5_values


@dataclass(frozen=True)
class ObjectiveSettings:
    """The two losses (objective.py) and the update after every optimiser step."""

    generative: float = limited(1.0, 0)  # loss weight: video + speech + memory -> events
    denoising: float = limited(1.0, 0)  # loss weight: corrupted speech -> spans
    denoising_memory: Literal["shared", "requeried"] = "shared"  # requeried: the released second pass
    saliency: float = limited(0.0, 0)  # loss weight: which frames lie in events; 0: the model has no such scores
    label_smoothing: float = limited(0.1, 0, 1)
    word_dropout: float = limited(0.0, 0, 1)  # generative loss: share of the words before that the decoder does not see
    noise_density: float = limited(0.25, 0, 1)  # share of speech tokens that are masked
    noise_span: float = limited(5.0, 1)  # tokens per masked span on average
    rescale_time_tokens: bool = True  # after every step, to the mean norm of the text tokens


@dataclass(frozen=True)
class DecodeSettings:
    """How captions are generated (decode.py)."""

    batch: int = limited(8, 1)  # videos at once; halved when out of memory
    precision: Literal["float32", "bf16", "auto"] = "float32"  # auto: bf16 on a GPU that has it
    beams: int = limited(4, 1)
    max_tokens: int = limited(256, 1)  # new tokens
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeats: int = limited(0, 0)  # a caption says no so many tokens in a row twice; 0: it may
    sample: bool = False  # nucleus sampling instead of beams
    top_p: float = limited(0.9, 0, 1)
    temperature: float = 1.0
    grammar: bool = False  # allow only <start><end>text, with end > start
    isolated_time_tokens: Literal["drop", "keep"] = "drop"  # keep: written into the caption, as released
    event_bias: float = 0.0  # taken from the score of ending the sequence: above 0 more events, below 0 fewer
    word_bias: float = 0.0  # from those of full stop and end of a caption: above 0 longer, below 0 shorter
    confidence: Literal["none", "words", "times", "both"] = "none"  # score of each event: how probable its tokens are
    min_confidence: float = limited(0.0, 0, 1)  # events below it are left out, but not given ones
    seed: int = limited(0, 0)

    def unread(self) -> list[str]:
        """The settings that were changed from their defaults and have no effect beside the others."""
        idle = ["beams", "length_penalty"] if self.sample else ["top_p", "temperature", "seed"]
        if self.beams == 1:  # one beam is what sampling has
            idle = [name for name in [*idle, "length_penalty"] if name != "beams"]
        default = DecodeSettings()
        return [name for name in dict.fromkeys(idle) if getattr(self, name) != getattr(default, name)]


@dataclass(frozen=True)
class Settings:
    """Settings of the model, its losses and its decoding."""

    t5: str = "t5-base"  # hub name or folder; "scratch": random weights from t5_config
    t5_config: dict[str, Any] = field(default_factory=dict)  # for t5: scratch; t5_settings.py has its values
    tokenizer: str = ""  # hub name or folder; empty: same as t5; "train": SentencePiece on the training captions
    vocabulary: int = limited(2000, 1)  # text pieces for tokenizer: train
    init: str = ""  # weights to start from: a released .pth, or a run or checkpoint folder of hicm
    time_bins: int = limited(100, 2)  # B, number of time tokens
    use_video: bool = True
    use_speech: bool = True
    visual_depth: int = limited(12, 0)
    visual_heads: int = limited(12, 1)
    visual_mlp: int = limited(2048, 1)
    visual_dropout: float = limited(0.1, 0, 1)
    encoder_dropout: float = limited(0.1, 0, 1)
    decoder_dropout: float = limited(0.1, 0, 1)
    memory_projection: Literal["deep", "simple"] = "deep"
    memory_dropout: float = limited(0.5, 0, 1)
    memory_as: Literal["vectors", "text"] = "vectors"  # text: recalled sentences, read before the speech
    memory_sentences: int = limited(16, 1)  # memory_as text: those with the highest cosines
    memory_sample: int = limited(0, 0)  # recalled items per window: in training any, then the nearest; 0: all of them
    memory_swap: float = limited(0.0, 0, 1)  # in training: the chance of each recalled item to become a random one
    memory_positions: bool = False  # memory_as vectors: tokens carry time, level, rank and cosine
    memory_gate: bool = False  # memory_as vectors: tokens are multiplied by a learned number that begins at 0
    memory_drop: float = limited(0.0, 0, 1)  # memory_as text, in training: the chance of each sentence to be left out
    memory_drop_all: float = limited(0.0, 0, 1)  # and that of all of a video, so that the model also captions without
    video_drop: float = limited(0.0, 0, 1)  # in training: the chance of a video's frames to be hidden
    video_drop_share: float = limited(1.0, 0, 1)  # how many of its frames are hidden then, in a row
    video_drop_grows: bool = False  # the chance grows over the epochs, from 0 to video_drop
    event_heads: int = limited(0, 0)  # cross-attention heads of each layer that see only the event that is being worded
    point_times: bool = False  # a time token's score also depends on the frame at that time
    copy_words: bool = False  # words can be taken from the text that is read: recalled sentences and speech
    standardise: bool = False  # frame features: less the mean of the training split, divided by their deviation
    mask_padding: bool = True  # padded frames are not attended (released: attended)
    checkpointing: bool = False  # training: layers are computed again in the backward pass; less memory, more time
    max_speech_tokens: int = limited(1000, 1)
    max_caption_tokens: int = limited(256, 1)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    decode: DecodeSettings = field(default_factory=DecodeSettings)

    @property
    def points(self) -> bool:
        """Whether the output points at frames or at text."""
        return (self.point_times and self.use_video) or (self.copy_words and self.reads_text)

    @property
    def scores_frames(self) -> bool:
        """Whether the model scores frames, and reads the scores."""
        return self.objective.saliency > 0 and self.use_video

    @property
    def uses_times(self) -> bool:
        """Whether the model uses the times of its encoder states."""
        return self.points or self.event_heads > 0

    @property
    def reads_text(self) -> bool:
        """Whether the T5 encoder is used."""
        return self.use_speech or self.memory_as == "text"


FILES = ("model.safetensors",)
PREDICTION_ONLY = ("decode",)  # affects training only by which checkpoint scores best
AT_PREDICTION = ("decode", "use_speech", "mask_padding", "max_speech_tokens")  # may be changed after training
IN_WEIGHTS = ("t5_config", "time_bins", "use_video", "visual_depth", "visual_heads", "visual_mlp",
              "memory_projection", "memory_as", "memory_positions", "memory_gate", "event_heads", "point_times",
              "copy_words", "standardise")  # may not be changed

# The behaviour of the published code, including the defects that the defaults correct.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "released": {
        "retrieval": {"search": "top_only", "tail": "drop", "leave_own_out": False, "mask_padding": False,
                      "precision": "stored"},
        "train": {"schedule_lag": True},
        "captioner": {"mask_padding": False, "objective": {"denoising_memory": "requeried"},
                      "decode": {"isolated_time_tokens": "keep"}},
    },
}


def speech(config: Any) -> bool:
    """As ``captioner.use_speech`` says, where captions are what is learnt."""
    return config.room.use_speech and config.data.target == "captions"


def memory(config: Any) -> str:
    """Tokens of every window, or texts, unless ``retrieval.search`` is none."""
    if config.retrieval.search == "none":
        return "none"
    return "texts" if config.room.memory_as == "text" else "tokens"


def reads_items(config: Any) -> bool:
    """Whether what the memory hands over stands for single nodes."""
    return memory(config) != "none" and getattr(find_module(name=config.retrieval.read, **READS), "OF_NODES", False)


def check_items(config: Any) -> None:
    """Warn of settings of recalled items that have no effect; UserError where they contradict others."""
    settings, retrieval = config.room, config.retrieval
    noise = [name for name in ("memory_sample", "memory_swap") if getattr(settings, name)]
    tokens = [name for name in ("memory_positions", "memory_gate") if getattr(settings, name)]
    if noise and not reads_items(config):
        warnings.warn(f"without effect where recalled items are not kept apart (retrieval.read=items does): captioner."
                      f"{', captioner.'.join(noise)}", stacklevel=3)
    if tokens and not (memory(config) == "tokens" and settings.use_video):
        warnings.warn(f"without effect where no vectors are recalled: captioner.{', captioner.'.join(tokens)}",
                      stacklevel=3)
    levels = 1 if retrieval.search == "flat" else len(retrieval.levels)  # 0: all of the bank
    if settings.memory_sample >= retrieval.top_k * levels > 0 and reads_items(config):
        warnings.warn(f"captioner.memory_sample={settings.memory_sample}: windows recall no more than that, so nothing "
                      "is sampled; set retrieval.top_k to about three times as many", stacklevel=3)
    if settings.objective.denoising_memory == "requeried" and memory(config) == "tokens" and (
            again := [name for name in (*noise, *tokens) if name != "memory_gate"]):
        raise UserError("captioner.objective.denoising_memory: requeried reads the memory a second time, without "
                        f"captioner.{', captioner.'.join(again)}; set it to shared, or leave these out")


def start_files(settings: Settings) -> dict[str, str]:
    """The local files and folders that training starts from, by setting: weights, T5 and tokenizer."""
    found = {"captioner.init": str(start_path(settings.init))} if settings.init else {}
    named = {"captioner.t5": settings.t5, "captioner.tokenizer": settings.tokenizer}
    words = ("", "scratch", "train")  # no folders, whatever lies in the current one
    return found | {name: path for name, path in named.items() if path not in words and Path(path).is_dir()}


def warn_of_unread(decode: DecodeSettings) -> None:
    """Warn of decoding settings that have no effect beside the others."""
    if idle := decode.unread():
        names = ", ".join(f"captioner.decode.{name}={getattr(decode, name)}" for name in idle)
        why = "with decode.sample=true" if decode.sample else f"with decode.sample=false and {decode.beams} beam(s)"
        warnings.warn(f"without effect {why}: {names}", stacklevel=3)


def require_input(settings: Settings) -> None:
    """Raise UserError when video and speech are both switched off."""
    if not (settings.use_video or settings.use_speech):
        raise UserError("captioner: use_video and use_speech are both off; nothing is left to caption, set one to true")


def require_confidence(decode: DecodeSettings) -> None:
    """Raise UserError when events are to be left out by a confidence that they do not get."""
    if decode.min_confidence and decode.confidence == "none":
        raise UserError(f"captioner.decode.min_confidence: {decode.min_confidence:g}, but events get no confidence; "
                        "set captioner.decode.confidence=both (or words, or times)")


def check(config: Any) -> None:
    """Raise UserError when nothing can be learnt under these settings, before anything is read."""
    settings, objective = config.room, config.room.objective
    require_input(settings)
    if not config.data.frames:
        raise UserError("data.frames: 0, all rows, is not for the captioner, which has a position for each row; give "
                        "their number")
    warn_of_unread(settings.decode)
    require_confidence(settings.decode)
    text = memory(config) == "texts"
    if not settings.use_video:
        idle = [name for name in ("point_times", "standardise", "video_drop") if getattr(settings, name)]
        if idle:
            warnings.warn(f"without effect with captioner.use_video=false: captioner.{', captioner.'.join(idle)}",
                          stacklevel=2)
    if objective.saliency and not settings.use_video:
        warnings.warn("without effect with captioner.use_video=false: captioner.objective.saliency", stacklevel=2)
    if objective.saliency and config.data.target != "captions":
        raise UserError("captioner.objective.saliency: is learnt from annotated events, which data.target="
                        f"{config.data.target} does not read; set it to 0")
    if settings.video_drop and settings.use_video and memory(config) == "none" and not (
            settings.use_speech and config.data.speech):
        warnings.warn("captioner.video_drop: without speech and memory nothing is left of a video that is hidden",
                      stacklevel=2)
    if not settings.video_drop and (settings.video_drop_grows or settings.video_drop_share != 1):
        warnings.warn("without effect with captioner.video_drop=0: captioner.video_drop_share and video_drop_grows",
                      stacklevel=2)
    if settings.video_drop and settings.use_video and not round(settings.video_drop_share * config.data.frames):
        warnings.warn(f"without effect: captioner.video_drop, as captioner.video_drop_share="
                      f"{settings.video_drop_share:g}: hides no frame of {config.data.frames}; raise it, or set "
                      "video_drop=0", stacklevel=2)
    if settings.copy_words and settings.memory_as == "vectors" and not config.data.speech:
        warnings.warn("captioner.copy_words: without data.speech and captioner.memory_as=text there is nothing to copy",
                      stacklevel=2)
    if objective.word_dropout and not objective.generative:
        warnings.warn("without effect with captioner.objective.generative=0: captioner.objective.word_dropout",
                      stacklevel=2)
    if settings.points and not objective.generative:
        raise UserError("captioner.objective.generative: 0, but point_times and copy_words are learnt from captions; "
                        "give it a weight, or set both to false")
    heads = settings.t5_config.get("num_heads", T5Values.num_heads) if settings.t5 == "scratch" else None
    if isinstance(heads, int) and settings.event_heads > heads:
        raise UserError(f"captioner.event_heads: {settings.event_heads}, but the T5 has {heads} heads; give "
                        "that number or a smaller one")
    if settings.copy_words and not settings.reads_text:
        raise UserError("captioner.copy_words: there is no text to copy from; set captioner.memory_as=text or "
                        "captioner.use_speech=true, or copy_words=false")
    if text and objective.denoising_memory == "requeried":
        warnings.warn("captioner.objective.denoising_memory=requeried has no effect with captioner.memory_as=text",
                      stacklevel=2)
    requeried, centring = objective.denoising_memory == "requeried", config.retrieval.centring
    if requeried and memory(config) == "tokens" and centring != "none":
        raise UserError("captioner.objective.denoising_memory: requeried reads the memory by rows of T5, which the "
                        f"mean frame of retrieval.centring={centring} does not fit; set it to shared, or centring to "
                        "none")
    if idle := [name for name in ("memory_drop", "memory_drop_all") if getattr(settings, name) and not text]:
        warnings.warn(f"without effect where no texts are recalled: captioner.{', captioner.'.join(idle)}",
                      stacklevel=2)
    check_items(config)
    if text and not reads_items(config):
        raise UserError(f"captioner.memory_as: text needs a read that keeps nodes apart, found retrieval.read="
                        f"{config.retrieval.read}; set retrieval.read=items")
    if settings.t5 == "scratch":
        t5_values(settings.t5_config)
        if not settings.tokenizer:
            raise UserError("captioner.tokenizer: a T5 from scratch has no tokenizer; name one, or set it to 'train'")
    elif settings.t5_config:
        warnings.warn(f"captioner.t5_config is for a T5 from scratch and has no effect with captioner.t5={settings.t5}",
                      stacklevel=2)
    if settings.init:
        refuse_no_start(settings.init, "captioner.init: ")
    if not (objective.generative or objective.denoising):
        raise UserError("captioner.objective: generative and denoising are both 0, so nothing is learnt; give one of "
                        "them a weight")
    if not objective.generative and not (config.data.speech and settings.use_speech):
        raise UserError("captioner.objective: generative is 0, and denoising learns from speech, of which there is "
                        "none; set data.speech and captioner.use_speech, or give generative a weight")
