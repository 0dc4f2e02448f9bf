"""Reads run folders.  Missing files become notes on the page; a folder that is not a run is an error."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from hicm.config import HOLDOUT, Config, load_config
from hicm.data.annotations import annotators as annotators_of
from hicm.data.annotations import read_annotations, split_references
from hicm.decisive import prediction_settings
from hicm.errors import UserError, brief
from hicm.files import plain, read_json, require, sha256
from hicm.memory.bank import OWN, TEXTS, Bank, bank_hash, load_bank
from hicm.retrieval.reader import needs_bank
from hicm.retrieval.store import Retrieved, open_retrieved
from hicm.retrieval.trees import Memory
from hicm.rooms import memory_need, quotes_memory, reads_tokens
from hicm.types import Event, RecalledPart, Span, Video

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Run:
    """The content of a run folder for one split; what is missing is empty or None, with the reason in ``notes``."""

    folder: Path
    id: str
    label: str  # short, unique within the report
    config: Config
    manifest: dict[str, Any]
    stats: list[dict[str, Any]] = field(default_factory=list)
    predictions: dict[str, list[Event]] = field(default_factory=dict)
    checkpoint: dict[str, Any] = field(default_factory=dict)  # name and step of the one that made the predictions
    metrics: dict[str, Any] = field(default_factory=dict)
    retrieved: Retrieved | None = None
    memory: Memory | None = None
    notes: tuple[str, ...] = ()


def read_runs(folders: Sequence[Path], split: str = "") -> tuple[list[Run], str]:
    """The runs and the split they are read for (``split`` empty: data.report of the first run).

    Raises UserError when no folder is given, a folder is not a run, or a folder is given twice.
    """
    if not folders:
        raise UserError("report: no run folder given; name one or more, the baseline first")
    configs = [load_config(_run_file(Path(folder), "config.yaml")) for folder in folders]
    manifests = [read_json(_run_file(Path(folder), "manifest.json"), "run manifest") for folder in folders]
    for folder, manifest in zip(folders, manifests, strict=True):
        if not isinstance(manifest, dict) or not isinstance(manifest.get("run"), str):
            raise UserError(f"{folder}/manifest.json: names no run; expected the manifest of a run folder")
    if len({Path(folder).resolve() for folder in folders}) < len(folders):
        raise UserError(f"report: a run folder is given twice: {', '.join(map(str, folders))}; name each once")
    split = split or configs[0].data.report
    labels = _labels(folders, configs, [manifest["run"] for manifest in manifests])
    runs = [_read_run(Path(folder), label, config, manifest, split)
            for folder, label, config, manifest in zip(folders, labels, configs, manifests, strict=True)]
    return runs, split


def read_references(config: Config, split: str) -> tuple[list[dict[str, Video]], list[str]]:
    """The videos of a split, one mapping per annotator, and notes on what could not be read."""
    annotators: list[dict[str, Video]] = []
    notes: list[str] = []
    parts: Sequence[Any] = []
    if config.data.annotations.get(split) or (split == HOLDOUT and config.data.holdout):
        parts = _attempt(lambda: split_references(config.data, split), notes) or []
    else:
        notes.append(f"The settings name no annotations for split {split}, so timelines have no references.")
    if parts and not isinstance(parts[0], dict):
        files = annotators_of(parts)
        parts = [_attempt(partial(read_annotations, file, durations=durations), notes) for file, durations in files]
    for found in parts:
        if found is not None:
            annotators.append(found)
    return annotators, notes


def _read_run(folder: Path, label: str, config: Config, manifest: dict[str, Any], split: str) -> Run:
    notes: list[str] = []
    untrained = (folder / "tried.json").exists()  # settings were chosen, by no training loop
    stats = [] if untrained else _attempt(lambda: _read_stats(folder / "stats.jsonl"), notes) or []
    predicted = _attempt(lambda: read_predictions(folder / f"predictions_{split}.json"), notes)
    predictions, checkpoint, decided = predicted or ({}, {}, {})
    metrics = _attempt(lambda: _read_metrics(folder / f"metrics_{split}.json"), notes) or {}
    if metrics.get("run") not in (None, manifest["run"]):
        notes.append(f"metrics_{split}.json was made from predictions of run {metrics['run']}, not of this one.")
    known = (metrics.get("predictions") or {}).get("sha256")
    if known and predicted is not None and known != sha256(folder / f"predictions_{split}.json"):
        notes.append(f"metrics_{split}.json holds scores of other predictions than predictions_{split}.json; they are "
                     "not shown, evaluate again.")
        metrics = {}
    notes += asked_otherwise(config, manifest, decided)
    retrieved = bank = None
    if quotes_memory(config.system):
        bank = _attempt(lambda: _quoted_bank(folder, config, decided), notes) if predictions else None
    elif memory_need(config) == "none":
        notes.append(f"System {config.system} recalls nothing from the memory.")
    elif memory_need(config) == "bank":
        notes.append(f"System {config.system} reads the memory bank itself; there is no recall per window to show.")
    elif memory_need(config) == "sentences":
        notes.append(f"System {config.system} searches the memory with sentences; there is no recall per window to "
                     "show.")
    elif not needs_bank(config.retrieval):
        notes.append(f"Search “{config.retrieval.search}” recalls nothing from the memory.")
    elif _in_parts(decided) and (folder / f"retrieved_{split}.parts.h5").exists():
        notes.append("Long videos were captioned in parts (data.longest); what their parts recalled is not shown.")
    else:
        retrieved = _attempt(lambda: _open_retrieved(folder, config, split), notes)
        bank = _attempt(lambda: _load_bank(folder, config, retrieved), notes) if retrieved is not None else None
    return Run(folder, manifest["run"], label, config, manifest, stats, predictions, checkpoint, metrics, retrieved,
               None if bank is None else Memory(config, bank), tuple(notes))


def recalled_by(run: Run, video: str, duration: float) -> tuple[list[RecalledPart], str]:
    """What a video of ``duration`` seconds recalled; if nothing, why, or an empty text for a run that recalls nothing.

    A run that quotes its memory has a part for each of its events, any other one for each window; those of a video of
    unknown duration (NaN) are not known.
    """
    if quotes_memory(run.config.system):
        return run.memory.quoted(run.predictions.get(video, ())) if run.memory is not None else [], ""
    if run.retrieved is None or math.isnan(duration):
        return [], ""
    if run.memory is None:
        return [], "the memory bank could not be read; see the notes at the top"
    try:
        visited, rows = run.retrieved.visited(video), run.retrieved.window_rows(video)
        own = video if run.retrieved.info.get("leave_own_out") else ""
        found = run.memory.windows(visited, duration, own, rows)
    except UserError as error:
        return [], str(error)
    return found, "" if found else "nothing was recalled"


def _attempt(read: Callable[[], Found], notes: list[str]) -> Found | None:
    """The result of ``read``; if it raises UserError, None, with the error message added to ``notes``."""
    try:
        return read()
    except UserError as error:
        notes.append(str(error))
        return None


def _run_file(folder: Path, name: str) -> Path:
    return require(folder / name, "run folder's file", f"{folder} is not a run folder; name one of `hicm train`")


def _labels(folders: Sequence[Path], configs: list[Config], ids: list[str]) -> list[str]:
    """What runs are called: their memory search or system where that tells them apart, else run id or folder."""
    kinds = [config.retrieval.search if reads_tokens(config) or config.system == Config.system
             else config.system for config in configs]
    for names in (kinds, ids, [Path(folder).name for folder in folders]):
        if len(set(names)) == len(names):
            return list(names)
    return [str(folder) for folder in folders]


def _read_stats(path: Path) -> list[dict[str, Any]]:
    """Lines of the log; incomplete lines, such as the last one after a crash, are skipped."""
    require(path, "training log", "train the run to see curves")
    lines = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):  # half a line, or thousands of digits or brackets
            continue
        if isinstance(entry, dict) and is_number(entry.get("step")):
            lines.append(entry)
    return lines


def asked_otherwise(config: Config, manifest: dict[str, Any], decided: dict[str, Any]) -> list[str]:
    """Notes if the predictions were made with settings or a memory bank that differ from those of the run."""
    found, own = decided.get("settings"), plain(prediction_settings(config))
    if not isinstance(found, dict):
        return []
    other = [f"{name}={found.get(name, 'its default')}" for name in sorted({**own, **found})
             if own.get(name) != found.get(name)]
    notes = [f"The predictions were made with {', '.join(other)}, unlike the run's own settings."] if other else []
    banks = [(place.get("inputs") or {}).get("memory bank") for place in (decided, manifest.get("decided_by") or {})]
    if None not in banks and banks[0] != banks[1]:
        notes.append("The predictions were made with another memory bank than the run was trained with.")
    return notes


def _in_parts(decided: dict[str, Any]) -> bool:
    """Whether predictions were made with `data.longest`."""
    found = decided.get("settings")
    return isinstance(found, dict) and "data.longest" in found


def read_predictions(path: Path) -> tuple[dict[str, list[Event]], dict[str, Any], dict[str, Any]]:
    """Events by video, the checkpoint that made them, and the settings that decided them (empty: not in the file).

    Of each query of moment retrieval the likeliest moment.
    """
    require(path, "predictions", "make them with `hicm predict`")
    content = read_json(path, "predictions")
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise UserError(f"{path}: expected an object with predictions by video under 'results'; predict again")
    checkpoint, decided = (found if isinstance(found := content.get(name), dict) else {}
                           for name in ("checkpoint", "decided_by"))
    read = _moment if content.get("task") == "moments" else _event
    events = {video: _events(found, f"{path}: video {brief(video)}", read) for video, found in results.items()}
    return events, checkpoint, decided


def _events(found: Any, where: str, read: Callable[[Any, str], Event]) -> list[Event]:
    if not isinstance(found, list):
        raise UserError(f"{where}: expected a list of events, found {brief(found)}; predict again")
    return [read(event, f"{where}, event {number}") for number, event in enumerate(found, start=1)]


def _moment(query: Any, where: str) -> Event:
    windows, text = (query.get(name) if isinstance(query, dict) else None for name in ("windows", "query"))
    best = windows[0] if isinstance(windows, list) and windows else None
    if not (isinstance(best, list) and len(best) == 3 and all(map(is_number, best)) and isinstance(text, str)):
        raise UserError(f"{where}: expected {{'query': text, 'windows': [[start, end, score], ...]}}, found "
                        f"{brief(query)}; predict again")
    return Event(Span(float(best[0]), float(best[1])), text, float(best[2]))


def _event(event: Any, where: str) -> Event:
    times, text = (event.get(name) if isinstance(event, dict) else None for name in ("timestamp", "sentence"))
    if not (isinstance(times, list) and len(times) == 2 and all(map(is_number, times)) and isinstance(text, str)):
        raise UserError(f"{where}: expected {{'sentence': text, 'timestamp': [start, end]}}, found {brief(event)}; "
                        "predict again")
    score, level = (event[name] if is_number(event.get(name)) else None for name in ("score", "level"))
    return Event(Span(float(times[0]), float(times[1])), text, score, level)


def _read_metrics(path: Path) -> dict[str, Any]:
    require(path, "metrics", "make them with `hicm evaluate`")
    content = read_json(path, "metrics")
    if not isinstance(content, dict) or not isinstance(content.get("scores"), dict):
        raise UserError(f"{path}: expected the scores that `hicm evaluate` writes; evaluate again")
    return content


def _open_retrieved(folder: Path, config: Config, split: str) -> Retrieved:
    path, training = folder / f"retrieved_{split}.h5", folder / "retrieved_training.h5"
    if split == config.data.train and not path.exists() and training.exists():
        path = training
    retrieved = open_retrieved(path)
    if retrieved.windows != config.retrieval.windows:
        raise UserError(f"{path}: holds {retrieved.windows} windows per video, the run's settings say "
                        f"{config.retrieval.windows}; retrieve again")
    return retrieved


def _bank_folder(run: Path, config: Config) -> Path:
    return run / OWN if (run / OWN / TEXTS).exists() else config.bank


def _quoted_bank(run: Path, config: Config, decided: dict[str, Any]) -> Bank:
    """The very bank whose captions the predictions are, since their paths in it are shown."""
    folder = _bank_folder(run, config)
    bank, known = load_bank(folder), (decided.get("inputs") or {}).get("memory bank")
    if known not in (None, bank_hash(folder)):
        raise UserError(f"{folder}: is not the memory bank that the predictions quote (was it built again since?); "
                        "what was recalled cannot be shown, predict again")
    return bank


def _load_bank(run: Path, config: Config, retrieved: Retrieved) -> Bank:
    """The very bank that was read, since its texts are printed as what was recalled."""
    folder = _bank_folder(run, config)
    bank = load_bank(folder)
    if retrieved.info.get("bank") != bank_hash(folder):
        raise UserError(f"{folder}: is not the memory bank that {retrieved.path} was recalled from (was it built "
                        "again since?); recalled texts cannot be shown, retrieve again")
    return bank


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether ``value`` is a finite number that a float can hold, and not a bool."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
