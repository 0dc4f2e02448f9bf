"""Read the memory for every video of a split, once, before training or prediction."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hicm.config import Config, DataConfig, RetrievalConfig, changes
from hicm.data.features import Features, sample_or_all
from hicm.data.samples import SplitSamples, open_samples
from hicm.errors import UserError
from hicm.files import plain, sha256
from hicm.memory.bank import bank_hash, load_bank
from hicm.retrieval.held_out import refuse_held_out
from hicm.retrieval.mean_frame import find_mean, make_reader
from hicm.retrieval.reader import Reader, needs_bank
from hicm.retrieval.records import Recalled
from hicm.retrieval.store import open_retrieved, save_retrieved
from hicm.retrieval.texts import WithTexts
from hicm.rooms import memory_need, reads_tokens

BATCH = 64  # videos read at once


def retrieve(config: Config, split: str, out: str | Path, training: bool = False, overwrite: bool = False,
             samples: SplitSamples | None = None, queries: Path | None = None) -> Path:
    """Write what each video of ``split`` recalls to ``out`` and return its path.

    ``training``: the videos will train a system, so ``retrieval.leave_own_out`` and ``leave_best_out`` apply.  Does
    nothing when ``out`` was made from the same settings, bank and features.  Raises UserError when it was made from
    others (unless ``overwrite``), when features are missing, or when bank and features do not fit.  ``samples``: those
    of the split, where they are open already; ``queries``: the file that their features are, where it was made to ask
    the memory: every row of it counts, and not only the few that tell extractions apart.
    """
    out, settings = Path(out), config.retrieval
    samples = samples or open_samples(config.data, split, captions=False)
    videos, features = samples.ids, samples.features
    leave_own_out = training and settings.leave_own_out
    best_out = training and settings.leave_best_out
    with_bank = needs_bank(settings)
    info = plain({"retrieval": changes(settings), "leave_own_out": leave_own_out, "split": split,
                  "videos": list(videos), "bank": bank_hash(config.bank) if with_bank else None,
                  "frames": _frames(config.data), "features": features.fingerprint(videos)})
    if queries is not None:
        info["queries"] = sha256(queries)
    mean = find_mean(config)
    if mean is not None:
        info["mean_frame"] = mean.digest
    if settings.leave_best_out:  # files of runs without it do not say so
        info["leave_best_out"] = best_out
    _refuse_input(out, config)
    if out.exists() and _is_same(out, info, dataclasses.asdict(settings), overwrite):
        return out
    bank = load_bank(config.bank) if with_bank else None
    if bank is not None:
        refuse_held_out(bank, config)
    if bank is not None and bank.width != features.width:
        raise UserError(f"{samples.where}: features are {features.width} wide and the memory bank {bank.width} "
                        f"({config.bank}); build the bank with the text encoder that belongs to the features "
                        "(memory.encoder)")
    reader = make_reader(bank, config)
    reads = _reads(reader, features, videos, config.data, leave_own_out, best_out, split)
    return save_retrieved(out, list(videos), reads, info)


def with_recall(config: Config, samples: SplitSamples, split: str, path: Path, training: bool = False,
                overwrite: bool = False, queries: Path | None = None) -> SplitSamples:
    """The samples of a split with what they recall, where the system reads that; ``path`` is made if absent.

    ``training``, ``queries``: as in `retrieve`.
    """
    if not reads_tokens(config):
        return samples
    tokens = open_retrieved(retrieve(config, split, path, training, overwrite, samples, queries)).tokens
    texts = memory_need(config) == "texts" and needs_bank(config.retrieval)
    return samples.with_recall(WithTexts(tokens, load_bank(config.bank)) if texts else tokens)


def _frames(data: DataConfig) -> int | str:
    """How rows become frames, as files of recalled vectors say it."""
    return data.frames if data.sampling == "even" or not data.frames else f"{data.frames} {data.sampling}"


def _reads(reader: Reader, features: Features, ids: Sequence[str], data: DataConfig, leave_own_out: bool,
           best_out: bool, split: str) -> Iterator[Recalled]:
    with tqdm(total=len(ids), desc=f"recall {split}", unit="video") as progress:
        size = BATCH if data.frames else 1  # windows of all rows differ in length from video to video
        for start in range(0, len(ids), size):
            batch = ids[start:start + size]
            rows, masks = zip(*(sample_or_all(features.read(video), data.frames, reader.settings.windows, data.sampling)
                                for video in batch), strict=True)
            yield reader.read(np.stack(rows), np.stack(masks), batch if leave_own_out else None, batch, best_out)
            progress.update(len(batch))


def _refuse_input(out: Path, config: Config) -> None:
    """UserError when ``out`` is a file that is read, by whatever links."""
    data = config.data
    annotations = (file for files in data.annotations.values() for file in files)
    inputs = [data.features, *(stream.path for stream in data.beside), data.speech, *annotations]
    for path in [*(Path(name) for name in inputs if name), *config.bank.glob("*")]:
        if out.exists() and path.is_file() and out.samefile(path):
            raise UserError(f"{out}: is the input {path}, which would be lost; choose another --out")


def _is_hdf5(path: Path) -> bool:
    """Whether a file begins like HDF5, however it goes on."""
    with open(path, "rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n"


def _is_same(out: Path, info: dict[str, Any], settings: dict[str, Any], overwrite: bool) -> bool:
    """Whether ``out`` was recalled from ``info``; UserError when from something else, unless that may be overwritten.

    False for a file of hicm 0.1.0 that was: it knew its features by path and time only, and is recalled again.
    """
    try:
        found = open_retrieved(out).info
    except UserError as error:  # damaged, or another file
        if overwrite and _is_hdf5(out):
            return False
        raise UserError(f"{error}, or choose another --out") from error
    former = isinstance(found.get("features"), dict)
    if former:  # it also listed the settings that stood at their defaults
        stated = found.get("retrieval") or {}
        found = found | {"retrieval": {name: value for name, value in stated.items() if name not in settings
                                       or value != plain(getattr(RetrievalConfig(), name))}}
    different = [key for key in info if found.get(key) != info[key] and not (former and key == "features")]
    if different and overwrite:
        return False
    if different:
        changed = "; ".join(_change(key, found.get(key), info[key]) for key in different)
        raise UserError(f"{out}: was recalled from something else ({changed}); choose another --out, or remove it to "
                        "recall again")
    if former:
        print(f"{out}: does not say from which features it was recalled; recalled again")
    return not former


def _change(key: str, there: Any, here: Any) -> str:
    if key == "videos":
        return f"videos: {len(there or [])} there, {len(here)} here"
    if key in ("features", "bank", "mean_frame", "queries"):
        return f"{key}: other content"
    if isinstance(there, dict):
        return ", ".join(f"{key}.{name}: {there.get(name, 'default')!r} there, {here.get(name, 'default')!r} here"
                         for name in {**there, **here} if there.get(name) != here.get(name))
    return f"{key}: {there!r} there, {here!r} here"
