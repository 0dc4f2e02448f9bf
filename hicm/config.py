"""Every setting, once: typed, explained, strict.

Order of force: defaults here < preset < ``configs/*.yaml`` < ``--set section.key=value``.  A preset that is itself
given by ``--set`` outweighs the file and yields only to other ``--set``.  An unknown key is an error that names the
nearest known one.
"""

import dataclasses
import hashlib
import json
import math
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hicm.errors import UserError
from hicm.files import atomic
from hicm.plugins import check_name
from hicm.strict import build, parse_yaml, read_yaml, to_yaml

HOLDOUT = "holdout"  # the split that data.holdout makes: data.select is then this


@dataclass(frozen=True)
class DataConfig:
    name: str = "dataset"  # names the folders of what is derived from this data
    annotations: dict[str, list[str]] = field(default_factory=dict)  # split -> json files; several = several annotators
    features: str = ""  # a .pth dict, a folder of .npy / .mp4.npy, or an HDF5 file
    feature_fps: float = 1.0  # rows a second in the features file; thinned to 1 a second when higher
    speech: str = ""  # ASR: a .pkl or .json file, or a folder of them; empty: no speech
    target: Literal["captions", "speech"] = "captions"  # what is learnt from the frames; speech: nothing is then heard
    train: str = "train"  # split that trains
    select: str = "val"  # split that chooses the best checkpoint; empty: none, with train.eval_every: 0
    report: str = "val"  # split whose scores are reported; empty: none
    frames: int = 100  # rows given to the model (HiCM2: 100)
    missing_features: Literal["refuse", "skip"] = "refuse"  # videos of a split without features
    holdout: float = 0.0  # share of the training videos that neither train nor fill the memory: they select
    holdout_seed: int = 0  # which ones

    def __post_init__(self) -> None:
        if self.holdout:
            object.__setattr__(self, "select", HOLDOUT)


@dataclass(frozen=True)
class MemoryConfig:
    path: str = ""  # folder of the bank; empty: presave/<data.name>/bank, or bank_holdout... under data.holdout
    source: list[str] = field(default_factory=lambda: ["train"])  # splits whose captions fill the memory
    encoder: str = "openclip:ViT-L-14/openai"  # or hf:<name or folder>, array:<npz>, hashing:<width>
    summariser: str = "medoid"  # who writes a node's text; or centroid, transformers:<name or folder>, openai:<model>
    hierarchy: Literal["finch", "agglomerative", "kmeans"] = "finch"  # how captions become a tree
    early_exit: bool = True  # finch: its first-level distance guard
    neighbours: Literal["auto", "exact", "approximate"] = "auto"  # finch: auto is approximate above 100,000 captions
    branching: int = 5  # agglomerative, kmeans: children a node on average
    top: int = 8  # agglomerative, kmeans: nodes of the coarsest level, at least
    seed: int = 0  # kmeans, and approximate neighbours


@dataclass(frozen=True)
class SummaryConfig:
    """How a language model is asked for summaries (memory.summariser transformers:... or openai:...)."""

    prompt: str = "one-sentence-v1"  # name in hicm/memory/prompts, or a yaml file of that form
    words: int = 20  # longest answer taken
    attempts: int = 3  # questions a node at most; then its medoid stands in
    members: int = 200  # texts in a question at most: those nearest to the node's mean
    max_tokens: int = 100  # new tokens an answer
    sample: bool = False  # nucleus sampling instead of the likeliest tokens
    temperature: float = 0.6
    top_p: float = 0.9
    seed: int = 0
    batch: int = 16  # transformers: questions at once
    precision: Literal["auto", "bf16", "float32"] = "auto"  # transformers: auto is bf16 on a GPU
    device_map: str = "auto"  # transformers: where the layers go (accelerate)
    endpoint: str = ""  # openai: base URL, e.g. http://localhost:8000/v1; empty: OPENAI_BASE_URL, or OpenAI's own
    key_variable: str = "OPENAI_API_KEY"  # openai: environment variable with the key; it is never written anywhere
    concurrency: int = 8  # openai: requests at once
    timeout: float = 60.0  # openai: seconds a request
    retries: int = 5  # openai: further tries, with growing pauses, when an answer does not come (429, 5xx, timeout)
    request: dict[str, Any] = field(default_factory=dict)  # openai: fields over ours in the request, null removes one


SEARCHES = {"package": "hicm.retrieval.search", "group": "hicm.searches", "what": "retrieval.search",
            "defines": "search"}  # for hicm.plugins
READS = {"package": "hicm.retrieval.reads", "group": "hicm.reads", "what": "retrieval.read", "defines": "read"}


@dataclass(frozen=True)
class RetrievalConfig:
    search: str = "descend"  # which nodes are kept: descend, top_only, flat, random, zero, none, or another package's
    read: str = "mean"  # what of them is handed over: mean (a vector per window), levels (one per window and level)
    select: Literal["top-k", "max", "similarity"] = "top-k"
    windows: int = 10  # queries per video, W (YC2: 10, ViTT: 30)
    top_k: int = 10  # nodes kept per level (YC2: 10, ViTT: 30)
    threshold: float = 0.7  # cosine a node needs under select=similarity
    levels: list[int] = field(default_factory=list)  # levels that are read, 1 = finest; empty: all
    flat_level: int = 1  # the level of search=flat; 0 = the captions themselves
    tail: Literal["spread", "drop"] = "spread"  # W nearly equal windows; or floor(T/W) rows each, the rest unused
    leave_own_out: bool = True  # in training, recall nothing that a video's own captions wrote
    mask_padding: bool = True  # padded rows take no part in a window's query; empty windows are masked out
    precision: Literal["float32", "stored"] = "float32"  # stored: round means to the bank's dtype, as released
    seed: int = 0  # of search=random

    def __post_init__(self) -> None:
        check_name(name=self.search, **SEARCHES)
        check_name(name=self.read, **READS)


@dataclass(frozen=True)
class CaptionerConfig:
    t5: str = "t5-base"  # hub name or folder; "scratch": random weights from t5_config
    t5_config: dict[str, Any] = field(default_factory=dict)  # T5Config values for t5: scratch
    tokenizer: str = ""  # hub name or folder; empty: as t5; "train": SentencePiece on the training captions
    vocabulary: int = 2000  # text pieces of tokenizer: train
    init: str = ""  # released .pth or a folder of ours to start from
    offline: bool = False  # never ask the hub
    time_bins: int = 100  # B, time tokens
    use_video: bool = True
    use_speech: bool = True
    visual_depth: int = 12
    visual_heads: int = 12
    visual_mlp: int = 2048
    visual_dropout: float = 0.1
    encoder_dropout: float = 0.1
    decoder_dropout: float = 0.1
    memory_projection: Literal["deep", "simple"] = "deep"
    memory_dropout: float = 0.5
    mask_padding: bool = True  # padded frames are not attended (released: attended)
    max_speech_tokens: int = 1000
    max_caption_tokens: int = 256


@dataclass(frozen=True)
class TrainConfig:
    epochs: int = 20
    batch: int = 2  # videos a process and step
    share: float = 1.0  # part of the training videos seen in an epoch, drawn anew (one of 8 released processes: 0.125)
    accumulate: int = 1  # steps whose gradients are summed before the optimiser acts
    lr: float = 3e-4
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = 0.1  # fraction of all steps
    schedule_lag: bool = False  # released: the rate is set one step late
    clip: float = 1.0  # largest global gradient norm
    label_smoothing: float = 0.1
    generative: float = 1.0  # loss weight: video + speech + memory -> events
    denoising: float = 1.0  # loss weight: corrupted speech -> spans
    denoising_memory: Literal["shared", "requeried"] = "shared"  # requeried: the released second pass
    noise_density: float = 0.25
    noise_span: float = 5.0
    rescale_time_tokens: bool = True  # after every step
    precision: Literal["no", "bf16"] = "no"
    workers: int = 0
    seed: int = 42
    log_every: int = 10  # steps
    checkpoint_every: int = 500  # steps; besides, at the end of every epoch
    eval_every: int = 1  # epochs; 0: never
    eval_start: int = 1  # first epoch (1-based) that is evaluated
    eval_epochs: list[int] = field(default_factory=list)  # just these epochs (1-based), whatever the two above say
    select_on: str = "CIDEr"  # metric of the select split; higher is better

    def is_evaluated(self, epoch: int) -> bool:
        """Whether the select split is scored after this epoch (1-based)."""
        if self.eval_epochs:
            return epoch in self.eval_epochs
        return self.eval_every > 0 and epoch >= self.eval_start and (
            epoch % self.eval_every == 0 or epoch == self.epochs)

    @property
    def evaluates(self) -> bool:
        """Whether any epoch is evaluated, so that a split must select."""
        return any(map(self.is_evaluated, range(1, self.epochs + 1)))


@dataclass(frozen=True)
class PredictConfig:
    batch: int = 8
    beams: int = 4
    max_tokens: int = 256  # new tokens
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    sample: bool = False  # nucleus sampling instead of beams
    top_p: float = 0.9
    temperature: float = 1.0
    grammar: bool = False  # allow only <start><end>text with end > start
    isolated_time_tokens: Literal["drop", "keep"] = "drop"  # keep: written into the caption, as released
    seed: int = 0


@dataclass(frozen=True)
class EvaluateConfig:
    protocol: str = "vidchapters"
    metrics: list[str] = field(default_factory=list)  # empty: all of the protocol


@dataclass(frozen=True)
class Config:
    preset: Literal["", "released"] = ""  # released: behave as the published code does, defects included
    data: DataConfig = field(default_factory=DataConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    summary: SummaryConfig = field(default_factory=SummaryConfig)
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    captioner: CaptionerConfig = field(default_factory=CaptionerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)

    @property
    def bank(self) -> Path:
        """Folder of the memory bank."""
        share, seed = self.data.holdout, self.data.holdout_seed
        bank = f"bank_holdout{share:g}_{seed}" if share else "bank"
        return Path(self.memory.path or f"presave/{self.data.name}/{bank}")


# What the published code does and the defaults here mend.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "released": {
        "retrieval": {"search": "top_only", "tail": "drop", "leave_own_out": False, "mask_padding": False,
                      "precision": "stored"},
        "captioner": {"mask_padding": False},
        "train": {"denoising_memory": "requeried", "schedule_lag": True},
        "predict": {"isolated_time_tokens": "keep"},
    },
}


# Smallest and largest value, where others would fail only when they are used.
LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("data.frames", "retrieval.windows", "retrieval.top_k", "captioner.vocabulary",
                     "captioner.max_speech_tokens", "captioner.max_caption_tokens", "train.batch", "train.accumulate",
                     "train.noise_span", "train.log_every", "train.checkpoint_every", "train.eval_start",
                     "predict.batch", "predict.beams", "predict.max_tokens", "memory.top", "summary.words",
                     "summary.attempts", "summary.max_tokens", "summary.batch", "summary.concurrency"), (1, math.inf)),
    **dict.fromkeys(("retrieval.seed", "train.seed", "predict.seed", "train.epochs", "train.workers",
                     "train.eval_every", "train.lr", "train.clip", "train.generative", "train.denoising",
                     "retrieval.flat_level", "memory.seed", "summary.seed", "summary.retries", "summary.temperature"),
                    (0, math.inf)),
    **dict.fromkeys(("captioner.visual_dropout", "captioner.encoder_dropout", "captioner.decoder_dropout",
                     "captioner.memory_dropout", "train.warmup", "train.label_smoothing", "train.noise_density",
                     "predict.top_p", "summary.top_p"), (0, 1)),
    **dict.fromkeys(("memory.branching", "summary.members"), (2, math.inf)),
    "summary.timeout": (0.1, math.inf),
    "data.holdout": (0, 0.5),
    "train.share": (1e-6, 1),
    "data.holdout_seed": (0, math.inf),
    "captioner.time_bins": (2, math.inf),
}


def load_config(path: str | Path | None = None, overrides: typing.Sequence[str] = ()) -> Config:
    """Defaults < preset < the yaml file < ``section.key=value`` overrides (a preset among them: over the file).

    Raises UserError on an unknown key (with the nearest known one), a value of the wrong type or outside its limits,
    or bad yaml.
    """
    where = str(path) if path is not None else "settings"
    given = {} if path is None else _sections(read_yaml(path), where)
    build(Config, given, where, LIMITS)
    asked = [_read_override(override) for override in overrides]
    chosen = [value for keys, value in asked if keys == ["preset"]]
    preset = PRESETS.get((chosen[-1] if chosen else given.get("preset")) or "", {})
    given = _merge(given, preset) if chosen else _merge(preset, given)
    for keys, value in asked:
        _put(given, keys, value)
    return build(Config, given, where, LIMITS)


def dump_config(config: Config) -> dict[str, Any]:
    """The resolved settings as plain data."""
    return dataclasses.asdict(config)


def config_text(config: Config) -> str:
    """The resolved settings as yaml."""
    return to_yaml(dump_config(config))


def save_config(config: Config, path: str | Path) -> None:
    """Write the resolved settings as yaml; `load_config` reads them back unchanged."""
    with atomic(path) as temporary:
        temporary.write_text(config_text(config), encoding="utf-8")


def digest(content: Any, length: int = 8) -> str:
    """Short hash of plain data: equal settings, equal name."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:length]


def _sections(content: Any, where: str) -> dict[str, Any]:
    """Sections by name; one with nothing in it is empty."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{where}: expected sections (data:, memory:, ...), found {type(content).__name__}")
    return {key: {} if value is None and key != "preset" else value for key, value in content.items()}


def _read_override(override: str) -> tuple[list[str], Any]:
    """``section.key=value`` as keys and value, checked like a settings file of this one line."""
    key, separator, text = override.partition("=")
    if not separator:
        raise UserError(f"--set {override}: expected section.key=value, e.g. --set train.lr=1e-4")
    keys, value = key.strip().split("."), parse_yaml(text, f"--set {override}")
    alone: dict[str, Any] = {}
    _put(alone, keys, value)
    build(Config, alone, f"--set {override}", LIMITS)
    return keys, value


def _put(settings: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        if not isinstance(settings.get(key), dict):
            settings[key] = {}
        settings = settings[key]
    settings[keys[-1]] = value


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Sections of both, key by key; neither argument is changed."""
    merged = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for key, value in over.items():
        if isinstance(value, dict):
            merged[key] = {**merged.get(key, {}), **value}
        else:
            merged[key] = value
    return merged
