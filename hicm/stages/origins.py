"""What decides the result of a stage: settings that differ from their defaults, and digests of what it reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hicm.config import Config, changes
from hicm.data.annotations import split_files
from hicm.data.samples import SplitSamples, open_samples
from hicm.errors import UserError
from hicm.files import require, sha256
from hicm.memory.bank import bank_hash
from hicm.provenance import Origin
from hicm.retrieval import reader
from hicm.rooms import memory_need, room_module, start_files

# Of section data: names and places, which decide nothing (inputs are known by content), and what other stages read.
PLACES = ("name", "annotations", "features", "speech")
WRITING = ("workers", "log_every", "checkpoint_every")  # of section train: how fast, and how often it is written down


def training_origin(config: Config, splits: Sequence[str]) -> Origin:
    """What decides a training: settings, annotations, features, speech, memory bank and start weights.

    Raises UserError when one of them is missing.
    """
    inputs: dict[str, str] = {}
    for split in splits:
        inputs |= annotation_digests(config, split) | sample_digests(open_samples(config.data, split), split)
    for setting, path in start_files(config.system, config.room).items():
        inputs[setting] = path_digest(path, setting)
    return Origin(training_settings(config), inputs | bank_digest(config))


def prediction_origin(config: Config, checkpoint: Path, samples: SplitSamples, split: str) -> Origin:
    """What decides predictions: the model, what it is asked about, and how."""
    read = getattr(room_module(config.system, "settings"), "AT_PREDICTION", None)
    needs, room = memory_need(config), changes(config.room)
    data, retrieval = changes(config.data), changes(config.retrieval)
    settings = {"data": _without(data, *PLACES, "report", "train", "select", "holdout", "holdout_seed"),
                "retrieval": retrieval if needs == "tokens" else _only(retrieval, "search"),
                config.system: room if read is None else _only(room, *read)}
    durations = Origin({}, {video.id: repr(video.duration) for video in samples.videos}).identity
    inputs = {"model": path_digest(checkpoint, "checkpoint"), f"videos of {split}": durations}
    return Origin(_named(config, settings), inputs | sample_digests(samples, split) | bank_digest(config))


def training_settings(config: Config) -> dict[str, Any]:
    """The settings of `training_origin` alone: no input is read."""
    later = getattr(room_module(config.system, "settings"), "PREDICTION_ONLY", ())
    return _named(config, {
        "data": _without(changes(config.data), *PLACES, "report"), "retrieval": changes(config.retrieval),
        "train": _without(changes(config.train), *WRITING), config.system: _without(changes(config.room), *later)})


def annotation_digests(config: Config, split: str) -> dict[str, str]:
    """Digest of each annotation file of a split, by role."""
    return {f"annotations of {split}, file {number}": sha256(require(path, "annotation file", "correct "
                                                                     "data.annotations"))
            for number, path in enumerate(split_files(config.data, split), start=1)}


def sample_digests(samples: SplitSamples, split: str) -> dict[str, str]:
    """Digests of features and, where there is any, speech of a split's videos."""
    speech = {f"speech of {split}": samples.speech.fingerprint(samples.ids)} if samples.speech.path else {}
    return {f"features of {split}": samples.features.fingerprint(samples.ids)} | speech


def bank_digest(config: Config) -> dict[str, str]:
    """Digest of the memory bank, where the system reads one."""
    return {"memory bank": bank_hash(config.bank)} if needs_bank(config) else {}


def needs_bank(config: Config) -> bool:
    """Whether the system reads a memory bank under these settings."""
    needs = memory_need(config)
    return needs == "bank" or (needs == "tokens" and reader.needs_bank(config.retrieval))


def path_digest(path: str | Path, what: str) -> str:
    """Digest of a file, or of the names and contents of all files of a folder."""
    path = require(path, what, "correct the setting, or get the file")
    if not path.is_dir():
        return sha256(path)
    files = {str(file.relative_to(path)): sha256(file) for file in sorted(path.rglob("*")) if file.is_file()}
    if not files:
        raise UserError(f"{path}: {what}: the folder is empty")
    return Origin({}, files).identity


def _named(config: Config, settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Settings by full name."""
    system = {} if config.system == Config.system else {"system": config.system}
    return system | {f"{section}.{name}": value for section, values in settings.items()
                     for name, value in values.items()}


def _without(settings: dict[str, Any], *roots: str) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name.partition(".")[0] not in roots}


def _only(settings: dict[str, Any], *roots: str) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name.partition(".")[0] in roots}
