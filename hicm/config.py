"""The settings that all systems share, and how settings are read: typed, explained, strict.

A system's own settings stand in ``hicm/systems/<name>/settings.py`` and, in a file, in the section of its name.  Later
ones win: defaults, those of the room, preset, ``configs/*.yaml``, ``--set section.key=value``.  A preset that is itself
given by ``--set`` wins over the file and yields only to other ``--set``.  An unknown key is an error that names the
nearest known one.
"""

import dataclasses
import hashlib
import json
import typing
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hicm.clock import Clock, Rows, Stream, timed_streams
from hicm.errors import UserError, brief
from hicm.files import atomic
from hicm.former import FORMER, renew
from hicm.packaged import packaged_config
from hicm.plugins import check_name
from hicm.rooms import is_room, presets, room_defaults, room_names, room_package, settings_class
from hicm.strict import build, limited, nearest, parse_yaml, read_yaml, setting_names, to_yaml

HOLDOUT = "holdout"  # the split that data.holdout makes: data.select is then this


@dataclass(frozen=True)
class DataConfig:
    name: str = "dataset"  # names the folders of what is derived from this data
    annotations: dict[str, list[str]] = field(default_factory=dict)  # split -> json files; several = several annotators
    features: str = ""  # a .pth, .npz or HDF5 file of all videos, or a folder with a file per video (.npy, .pt, ...)
    streams: list[str | Stream] = field(default_factory=list)  # more features beside those: paths, or {path, fps}
    feature_fps: float = 1.0  # rows per second in the features file
    feature_rows: Rows = "thinned"  # rows that are read: one per second at most; all; or spread: all, over the duration
    feature_array: str = ""  # name of the array to use, where a video has several (HDF5 groups, .npz)
    speech: str = ""  # ASR: a .pkl, .json or .jsonl file, or a folder with a file per video (also .srt, .vtt, .json3)
    target: Literal["captions", "speech"] = "captions"  # what is learnt from the frames; speech: nothing is then heard
    train: str = "train"  # split that trains
    select: str = "val"  # split that chooses the best checkpoint; empty: none, with train.eval_every: 0
    report: str = "val"  # split whose scores are reported; empty: none
    frames: int = limited(100, 0)  # rows given to the model (HiCM2: 100); 0: all, for systems that take any number
    sampling: Literal["even", "nearest"] = "even"  # how rows are resampled to frames; nearest: as PDVC does
    longest: float = limited(0.0, 0)  # seconds that `hicm predict` captions at once; longer videos are cut; 0: none are
    missing_features: Literal["refuse", "skip"] = "refuse"  # videos of a split without features
    holdout: float = limited(0.0, 0, 0.5)  # share of the training videos that select the checkpoint instead
    holdout_seed: int = limited(0, 0)  # which ones

    def __post_init__(self) -> None:
        if self.holdout:
            object.__setattr__(self, "select", HOLDOUT)
        timed_streams(self.streams, self.clock)  # refuses impossible ones

    @property
    def clock(self) -> Clock:
        """How feature rows are timed, and which are read."""
        return Clock(self.feature_fps, self.feature_rows)

    @property
    def beside(self) -> tuple[Stream, ...]:
        """The streams, each with its rows per second."""
        return timed_streams(self.streams, self.clock)


# For hicm.plugins: parts whose names are checked when settings are read.
HIERARCHIES = {"package": "hicm.memory.hierarchies", "group": "hicm.hierarchies", "what": "memory.hierarchy",
               "defines": "partition"}
SEARCHES = {"package": "hicm.retrieval.search", "group": "hicm.searches", "what": "retrieval.search",
            "defines": "search"}
SHAPES = {"package": "hicm.retrieval.shapes", "group": "hicm.window_shapes", "what": "retrieval.window_shape",
          "defines": "windows"}
READS = {"package": "hicm.retrieval.reads", "group": "hicm.reads", "what": "retrieval.read", "defines": "read"}


@dataclass(frozen=True)
class MemoryConfig:
    path: str = ""  # folder of the bank; empty: presave/<data.name>/bank, or bank_holdout... under data.holdout
    source: list[str] = field(default_factory=lambda: ["train"])  # splits whose captions fill the memory
    encoder: str = "openclip:ViT-L-14/openai"  # or hf:<name or folder>, array:<npz>, hashing:<width>
    summariser: str = "medoid"  # what writes a node's text; or centroid, transformers:<name or folder>, openai:<model>
    hierarchy: str = "finch"  # how captions become a tree: finch, agglomerative, kmeans, or another package's
    early_exit: bool = True  # finch: its first-level distance guard
    neighbours: Literal["auto", "exact", "approximate"] = "auto"  # finch: auto is approximate above 100,000 captions
    branching: int = limited(5, 2)  # agglomerative, kmeans: children per node on average
    top: int = limited(8, 1)  # agglomerative, kmeans: fewest nodes of the coarsest level
    seed: int = limited(0, 0)  # kmeans, and approximate neighbours

    def __post_init__(self) -> None:
        check_name(name=self.hierarchy, **HIERARCHIES)


@dataclass(frozen=True)
class SummaryConfig:
    """How a language model is asked for summaries (memory.summariser transformers:... or openai:...)."""

    prompt: str = "one-sentence-v1"  # name in hicm/memory/prompts, or a yaml file of that form
    words: int = limited(20, 1)  # longest answer accepted
    attempts: int = limited(3, 1)  # most questions per node; then its medoid is used
    failures: float = limited(0.5, 0, 1)  # share of unusable answers above which the build stops (1: never)
    members: int = limited(200, 2)  # most texts per question: those nearest to the node's mean
    max_tokens: int = limited(100, 1)  # most new tokens per answer
    sample: bool = False  # nucleus sampling instead of the likeliest tokens
    temperature: float = limited(0.6, 0)
    top_p: float = limited(0.9, 0, 1)
    seed: int = limited(0, 0)
    batch: int = limited(16, 1)  # transformers: questions at once
    precision: Literal["auto", "bf16", "float32"] = "auto"  # transformers: auto is bf16 on a GPU
    device_map: str = "auto"  # transformers: where the layers go (accelerate)
    endpoint: str = ""  # openai: base URL, e.g. http://localhost:8000/v1; empty: OPENAI_BASE_URL, or OpenAI's own
    key_variable: str = "OPENAI_API_KEY"  # openai: environment variable with the key; it is never written anywhere
    concurrency: int = limited(8, 1)  # openai: requests at once
    timeout: float = limited(60.0, 0.1)  # openai: seconds per request
    retries: int = limited(5, 0)  # openai: further tries, with growing pauses (429, 5xx, timeout)
    request: dict[str, Any] = field(default_factory=dict)  # openai: fields over ours in the request, null removes one


@dataclass(frozen=True)
class RetrievalConfig:
    search: str = "descend"  # which nodes are kept: descend, top_only, flat, random, zero, none, or another package's
    read: str = "mean"  # what of them is handed over: mean, weighted, levels, items, ...; docs/memory.md
    temperature: float = limited(0.1, 1e-6)  # read=weighted: a node counts as exp(cosine / temperature)
    select: Literal["top-k", "max", "similarity"] = "top-k"
    windows: int = limited(10, 1)  # queries per video, W (YC2: 10, ViTT: 30)
    window_shape: str = "uniform"  # where windows end: uniform (see tail), ward (where the picture changes), ...
    top_k: int = limited(10, 1)  # nodes kept per level (YC2: 10, ViTT: 30)
    threshold: float = 0.7  # cosine a node needs under select=similarity
    # What is moved to zero mean before cosines are taken: nothing; the queries, by the mean frame of the training
    # split; or also the memory, by the mean of its captions.  What is handed over is never moved.
    centring: Literal["none", "queries", "both"] = "none"
    # With select=similarity, a beam limits how many nodes are read above the lowest level, whatever the threshold.
    beam: int = limited(0, 0)  # search=descend: nodes kept per level on the way down; 0: those that select keeps
    levels: list[int] = field(default_factory=list)  # levels that are read, 1 = finest, 0 = captions; empty: all from 1
    flat_level: int = limited(1, 0)  # the level of search=flat; 0 = the captions themselves
    tail: Literal["spread", "drop"] = "spread"  # W nearly equal windows; or floor(T/W) rows each, the rest unused
    leave_own_out: bool = True  # in training, recall nothing that a video's own captions wrote
    leave_best_out: bool = False  # in training, leave out each window's best node of a level (CM2)
    mask_padding: bool = True  # padded rows take no part in a window's query; empty windows are masked out
    precision: Literal["float32", "stored"] = "float32"  # stored: round means to the bank's dtype, as released
    seed: int = limited(0, 0)  # of search=random

    def __post_init__(self) -> None:
        check_name(name=self.search, **SEARCHES)
        check_name(name=self.read, **READS)
        check_name(name=self.window_shape, **SHAPES)


@dataclass(frozen=True)
class TrainConfig:
    epochs: int = limited(20, 0)
    batch: int = limited(2, 1)  # videos per process and step
    share: float = limited(1.0, 1e-6, 1)  # of the training videos, seen per epoch (one of 8 released processes: 0.125)
    accumulate: int = limited(1, 1)  # steps whose gradients are summed before the optimiser acts
    lr: float = limited(3e-4, 0)
    schedule: Literal["cosine", "constant", "step"] = "cosine"
    warmup: float = limited(0.1, 0, 1)  # cosine: fraction of all steps
    decay_after: list[int] = field(default_factory=list)  # step: epochs (1-based), multiply the rate after each
    decay: float = limited(0.5, 0, 1)  # step: by this
    schedule_lag: bool = False  # released: the rate is set one step late
    clip: float = limited(1.0, 0)  # largest global gradient norm
    precision: Literal["no", "bf16", "auto"] = "no"  # auto: bf16 where this machine multiplies it faster than float32
    by_length: bool = False  # micro-batches of one step (accumulate, processes) hold videos of similar length
    workers: int = limited(0, 0)
    seed: int = limited(42, 0)
    log_every: int = limited(10, 1)  # steps
    checkpoint_every: int = limited(500, 1)  # steps; besides, at the end of every epoch
    eval_every: int = limited(1, 0)  # epochs; 0: never
    eval_start: int = limited(1, 1)  # first epoch (1-based) that is evaluated
    eval_epochs: list[int] = field(default_factory=list)  # just these epochs (1-based), whatever the two above say
    select_on: str = "CIDEr"  # metric of the select split, or a sum such as METEOR+soda_c; higher is better

    def __post_init__(self) -> None:
        if any(epoch < 1 for epoch in self.decay_after):
            raise UserError(f"train.decay_after: expected epochs from 1, found {self.decay_after}")
        if self.schedule == "step" and not self.decay_after:
            raise UserError("train.schedule=step: train.decay_after is empty; give the epochs after which the rate is "
                            "multiplied by train.decay, or set train.schedule=constant")

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
class EvaluateConfig:
    protocol: str = "vidchapters"
    metrics: list[str] = field(default_factory=list)  # empty: all of the protocol


@dataclass(frozen=True)
class Config:
    """All settings of a run.  ``room`` are those of the system: in files, the section of its name."""

    system: str = "captioner"  # which system trains and predicts: a folder in hicm/systems, or of another package
    preset: str = ""  # released: systems with published weights behave as their code does, defects included
    offline: bool = False  # never ask the hub
    data: DataConfig = field(default_factory=DataConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    summary: SummaryConfig = field(default_factory=SummaryConfig)
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    room: Any = None  # ``Settings`` of hicm/systems/<system>/settings.py

    def __post_init__(self) -> None:
        if self.room is None:
            object.__setattr__(self, "room", settings_class(self.system)())

    @property
    def bank(self) -> Path:
        """Folder of the memory bank."""
        share, seed = self.data.holdout, self.data.holdout_seed
        bank = f"bank_holdout{share:g}_{seed}" if share else "bank"
        return Path(self.memory.path or f"presave/{self.data.name}/{bank}")


SHARED = tuple(name for name in Config.__dataclass_fields__ if name != "room")  # sections and keys of every system


def load_config(path: str | Path | None = None, overrides: typing.Sequence[str] = ()) -> Config:
    """Defaults < the room's own < preset < the yaml file < ``section.key=value`` overrides.

    A preset among the overrides wins over the file.  ``path``: a file, or the name of a recipe that comes with hicm, as
    yc2.  A file may hold sections of several systems; only that of ``system`` is used, the others are checked.  Raises
    UserError on an unknown key (naming the nearest), a value of the wrong type or outside its limits, or bad yaml.
    """
    path = None if path is None else packaged_config(path)
    where = str(path) if path is not None else "settings"
    given, former = renew({} if path is None else _sections(read_yaml(path), where), where)
    if former and path is not None and not path.with_name("manifest.json").exists():
        _warn_of(former, where)
    asked = [_read_override(override) for override in overrides]
    system = _last(asked, "system") or given.get("system") or Config.system
    if not isinstance(system, str):
        raise UserError(f"{where}: system: expected a name, found {brief(system)}")
    room_package(system)  # refuses an unknown one
    _check(given, system, where)
    for override, keys, _ in asked:
        if keys[0] not in SHARED and keys[0] != system:
            raise UserError(f"--set {override}: the system is {system}, which does not read the section {keys[0]}; "
                            f"leave it out, or set system={keys[0]}")
    preset = _preset(system, _last(asked, "preset"), given.get("preset"), where)
    given = merge(given, preset) if any(keys == ["preset"] for _, keys, _ in asked) else merge(preset, given)
    given = merge(room_defaults(system), given)
    for _, keys, value in asked:
        _put(given, keys, value)
    return _build(given | {"system": system}, where)


def names_system(path: str | Path | None, overrides: typing.Sequence[str] = ()) -> bool:
    """Whether a settings file, as in `load_config`, or overrides name the system; if not, it is the default one."""
    given = {} if path is None else _sections(read_yaml(packaged_config(path)), str(path))
    return bool(given.get("system")) or any(keys == ["system"] for _, keys, _ in map(_read_override, overrides))


def dump_config(config: Config) -> dict[str, Any]:
    """The resolved settings as plain data: `SHARED`, then the system's section under its name."""
    shared = {name: getattr(config, name) for name in SHARED}
    return {name: _plain(value) for name, value in (shared | {config.system: config.room}).items()}


def _plain(value: Any) -> Any:
    section = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return dataclasses.asdict(value) if section else value


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


def changes(settings: Any) -> dict[str, Any]:
    """The settings of a dataclass that differ from its defaults, as plain data; nested ones under dotted names.

    >>> changes(RetrievalConfig(top_k=3))
    {'top_k': 3}
    """
    found: dict[str, Any] = {}
    default = type(settings)()
    for name in (item.name for item in dataclasses.fields(settings)):
        value = getattr(settings, name)
        if dataclasses.is_dataclass(value):
            found |= {f"{name}.{key}": inner for key, inner in changes(value).items()}
        elif value != getattr(default, name):
            found[name] = value
    return found


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Both mappings key by key, also within mappings; ``over`` outweighs ``base``, and neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        if value is None and isinstance(inner, dict):  # a section with nothing in it
            continue
        merged[key] = merge(inner if isinstance(inner, dict) else {}, value) if isinstance(value, dict) else value
    return {key: merge({}, value) if isinstance(value, dict) else value for key, value in merged.items()}


def _build(given: dict[str, Any], where: str) -> Config:
    """`Config` of sections that were checked, the system's among them."""
    system = given["system"]
    shared = {key: value for key, value in given.items() if key in SHARED}
    config = build(Config, shared, where)
    room = build(settings_class(system), given.get(system) or {}, where, f"{system}.")
    return dataclasses.replace(config, room=room)


def _check(given: dict[str, Any], system: str, where: str) -> None:
    """UserError for anything in ``given`` that is no setting, or has no possible value."""
    known = setting_names(settings_class(system), f"{system}.") | _shared_names()
    for key, value in given.items():
        if key in SHARED:
            build(Config, {key: value}, where, "", known)
        elif isinstance(key, str) and is_room(key):
            build(settings_class(key), value, where, f"{key}.", known)
        else:
            sections = {name: name for name in (*SHARED, *room_names())}
            raise UserError(f"{where}: unknown setting {key}; the nearest known one is "
                            f"{nearest(str(key), known | sections)}")


def _shared_names() -> dict[str, str]:
    return {name: full for name, full in setting_names(Config).items() if name != "room"}


def _preset(system: str, asked: Any, given: Any, where: str) -> dict[str, Any]:
    """What the chosen preset sets."""
    name, known = (asked if asked is not None else given) or "", presets(system)
    if name and name not in known:
        raise UserError(f"{where if asked is None else '--set preset=' + str(asked)}: preset: expected one of "
                        f"{', '.join(map(repr, ('', *known)))}, found {brief(name)}")
    return known.get(name, {})


def _last(asked: list[tuple[str, list[str], Any]], key: str) -> Any:
    """The last value that ``--set`` gives to a top-level key; None where it gives none."""
    return next((value for _, keys, value in reversed(asked) if keys == [key]), None)


def _sections(content: Any, where: str) -> dict[str, Any]:
    """Sections by name; one with nothing in it is empty."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{where}: expected sections (data:, memory:, ...), found {type(content).__name__}")
    plain_keys = [name for name in SHARED if not dataclasses.is_dataclass(typing.get_type_hints(Config)[name])]
    return {key: {} if value is None and key not in plain_keys else value for key, value in content.items()}


def _read_override(override: str) -> tuple[str, list[str], Any]:
    """``section.key=value`` as the words given, keys and value, checked like a settings file of this one line."""
    key, separator, text = override.partition("=")
    if not separator:
        raise UserError(f"--set {override}: expected section.key=value, e.g. --set train.lr=1e-4")
    keys, value = key.strip().split("."), parse_yaml(text, f"--set {override}")
    if value is None and keys == ["preset"]:
        value = ""
    if value is None and len(keys) == 1 and (is_room(keys[0]) or keys[0] in SHARED[3:]):
        raise UserError(f"--set {override}: expected section.key=value, found nothing after the section {keys[0]}")
    if key.strip() in FORMER:
        _warn_of([key.strip()], f"--set {override}")
        keys = FORMER[key.strip()].split(".")
    alone: dict[str, Any] = {}
    _put(alone, keys, value)
    _check(alone, keys[0] if is_room(keys[0]) else Config.system, f"--set {override}")
    return override, keys, value


def _warn_of(former: typing.Sequence[str], where: str) -> None:
    names = ", ".join(f"{name} is now {FORMER[name]}" for name in former)
    warnings.warn(f"{where}: former names of settings: {names}", stacklevel=4)


def _put(settings: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        if not isinstance(settings.get(key), dict):
            settings[key] = {}
        settings = settings[key]
    settings[keys[-1]] = value
