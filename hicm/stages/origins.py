"""What decides the result of a stage: settings that differ from their defaults, and digests of what it reads."""

from collections.abc import Mapping
from pathlib import Path

from hicm.config import Config
from hicm.data.annotations import split_files
from hicm.data.samples import SplitSamples, open_samples
from hicm.data.speech import open_speech
from hicm.decisive import prediction_settings, training_settings
from hicm.errors import UserError
from hicm.files import require, sha256
from hicm.memory.bank import bank_hash
from hicm.moments.dense import queries_of
from hicm.provenance import Origin
from hicm.retrieval import reader
from hicm.retrieval.mean_frame import find_mean
from hicm.rooms import memory_need, prediction_files, reads_tokens, searches_memory, start_files


def training_origin(config: Config, samples: Mapping[str, SplitSamples]) -> Origin:
    """What decides a training on these samples (by split): settings, data, memory bank and start weights.

    Raises UserError when one of them is missing.
    """
    inputs: dict[str, str] = {}
    for split, own in samples.items():
        inputs |= annotation_digests(config, split) | sample_digests(own, split)
    for setting, path in start_files(config.system, config.room).items():
        inputs[setting] = path_digest(path, setting)
    return Origin(training_settings(config), inputs | bank_digest(config))


def training_samples(config: Config, *splits: str) -> dict[str, SplitSamples]:
    """The samples of the training split and of others, each split once."""
    speech = open_speech(config.data.speech)
    return {split: open_samples(config.data, split, speech=speech)
            for split in dict.fromkeys([config.data.train, *splits])}


def prediction_origin(config: Config, checkpoint: Path, samples: SplitSamples, split: str,
                      memory_of: Mapping[str, str] | None = None, queries: Path | None = None) -> Origin:
    """What decides predictions: the model, what it is asked about, and how.

    ``memory_of``: by video, the one whose recall it reads, where that is not its own; ``queries``: what asks the
    memory, where it is not the features.
    """
    durations = Origin({}, {video.id: repr(video.duration) for video in samples.videos}).identity
    inputs = {"model": path_digest(checkpoint, "checkpoint"), f"videos of {split}": durations} | file_digests(config)
    inputs |= query_digest(config, samples, split)
    if memory_of is not None:
        read = {video: str(memory_of.get(video)) for video in samples.ids}
        inputs["videos whose memory is read"] = Origin({}, read).identity
    if queries is not None:
        inputs["queries to the memory"] = path_digest(queries, "queries")
    return Origin(prediction_settings(config),
                  inputs | given_digest(samples, split) | sample_digests(samples, split) | bank_digest(config))


def query_digest(config: Config, samples: SplitSamples, split: str) -> dict[str, str]:
    """Digest of the ids and sentences of a split's queries, where the system seeks their moments."""
    from hicm.systems.base import find_system

    if not find_system(config.system).needs_sentences:
        return {}
    asked = {video.id: repr([(query.id, query.text) for query in queries_of(video)]) for video in samples.videos}
    return {f"queries of {split}": Origin({}, asked).identity}


def file_digests(config: Config) -> dict[str, str]:
    """Digests of the files that predictions of the system read beside its model, by setting."""
    return {setting: path_digest(path, setting) for setting, path in
            prediction_files(config.system, config.room).items()}


def given_digest(samples: SplitSamples, split: str) -> dict[str, str]:
    """Digest of the events that a split's videos are given, where they are: of their times, in whatever form."""
    if samples.given is None:
        return {}
    times = {video: repr([(span.start, span.end) for span in samples.given[video]]) for video in samples.ids}
    return {f"events given for {split}": Origin({}, times).identity}


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
    """Digests of the memory bank and of the mean frame (``retrieval.centring``), where the system reads them."""
    found = {"memory bank": bank_hash(config.bank)} if needs_bank(config) else {}
    mean = find_mean(config) if reads_tokens(config) else None
    return found | ({} if mean is None else {"mean frame": mean.digest})


def needs_bank(config: Config) -> bool:
    """Whether the system reads a memory bank under these settings."""
    return memory_need(config) == "bank" or (searches_memory(config) and reader.needs_bank(config.retrieval))


def path_digest(path: str | Path, what: str) -> str:
    """Digest of a file, or of the names and contents of all files of a folder."""
    path = require(path, what, "correct the setting, or get the file")
    if not path.is_dir():
        return sha256(path)
    files = {str(file.relative_to(path)): sha256(file) for file in sorted(path.rglob("*")) if file.is_file()}
    if not files:
        raise UserError(f"{path}: {what}: the folder is empty")
    return Origin({}, files).identity
