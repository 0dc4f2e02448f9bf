"""Read the memory for every video of a split, once, before training or prediction."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hicm.config import Config, RetrievalConfig
from hicm.data.annotations import held_out
from hicm.data.features import Features, sample
from hicm.data.ids import youtube_id
from hicm.data.splits import split_with_features
from hicm.errors import UserError
from hicm.memory.bank import Bank, bank_hash, load_bank, plain
from hicm.retrieval.reader import Reader, needs_bank
from hicm.retrieval.records import Recalled
from hicm.retrieval.store import open_retrieved, save_retrieved

BATCH = 64  # videos read at once


def retrieve(config: Config, split: str, out: str | Path, training: bool = False, overwrite: bool = False) -> Path:
    """Write what each video of ``split`` recalls to ``out`` and return its path.

    ``training``: the videos will train the captioner, so ``retrieval.leave_own_out`` applies.  Does nothing when
    ``out`` was made from the same settings, bank and features.  Raises UserError when it was made from others
    (unless ``overwrite``), when features are missing, or when bank and features do not fit.
    """
    out, settings = Path(out), config.retrieval
    videos, features = split_with_features(config.data, split)
    leave_own_out = training and settings.leave_own_out
    with_bank = needs_bank(settings)
    info = _describe(config, split, list(videos), leave_own_out, bank_hash(config.bank) if with_bank else None)
    if out.exists() and not overwrite and _is_same(out, info):
        return out
    bank = load_bank(config.bank) if with_bank else None
    if bank is not None and config.data.holdout:
        _refuse_held_out(bank, config)
    if bank is not None and bank.width != features.width:
        raise UserError(f"{config.data.features}: features are {features.width} wide and the memory bank {bank.width} "
                        f"({config.bank}); build the bank with the text encoder that belongs to the features "
                        "(memory.encoder)")
    reader = Reader(bank, settings)
    reads = _reads(reader, features, list(videos), config.data.frames, leave_own_out, split)
    return save_retrieved(out, list(videos), reads, info)


def _refuse_held_out(bank: Bank, config: Config) -> None:
    """UserError when the memory holds, or may hold, captions of the videos that are to select the checkpoint."""
    remedy = "build it again under these settings, or set data.holdout=0"
    if bank.leaves is None:
        raise UserError(f"{config.bank}: does not say whose captions it was built from, so data.holdout cannot be kept "
                        f"to; {remedy}")
    known = sorted(held_out(config.data) & set(map(youtube_id, bank.leaves.videos)))
    if known:
        raise UserError(f"{config.bank}: was built with captions of {len(known)} held-out videos ({known[0]}, ...); "
                        f"{remedy}")


def _reads(reader: Reader, features: Features, ids: list[str], frames: int, leave_own_out: bool,
           split: str) -> Iterator[Recalled]:
    with tqdm(total=len(ids), desc=f"recall {split}", unit="video") as progress:
        for start in range(0, len(ids), BATCH):
            batch = ids[start:start + BATCH]
            rows, masks = zip(*(sample(features.read(video), frames) for video in batch), strict=True)
            yield reader.read(np.stack(rows), np.stack(masks), batch if leave_own_out else None, batch)
            progress.update(len(batch))


def _describe(config: Config, split: str, ids: list[str], leave_own_out: bool, bank: str | None) -> dict[str, Any]:
    """What decides the file, as plain data."""
    path = Path(config.data.features)
    state = path.stat()
    return plain({"retrieval": dataclasses.asdict(config.retrieval), "leave_own_out": leave_own_out, "bank": bank,
                  "split": split, "videos": ids, "frames": config.data.frames,
                  "features": {"path": str(path), "size": state.st_size, "changed": state.st_mtime_ns,
                               "fps": config.data.feature_fps}})


def _is_same(out: Path, info: dict[str, Any]) -> bool:
    found = open_retrieved(out).info
    found["retrieval"] = {**dataclasses.asdict(RetrievalConfig()), **found.get("retrieval", {})}  # settings added since
    different = [key for key in info if found.get(key) != info[key]]
    if different:
        changes = "; ".join(_change(key, found.get(key), info[key]) for key in different)
        raise UserError(f"{out}: was recalled from something else ({changes}); remove it to recall again, or choose "
                        "another output")
    return True


def _change(key: str, there: Any, here: Any) -> str:
    if key == "videos":
        return f"videos: {len(there or [])} there, {len(here)} here"
    if isinstance(there, dict):
        return ", ".join(f"{key}.{name}: {there.get(name)!r} there, {value!r} here" for name, value in here.items()
                         if there.get(name) != value)
    return f"{key}: {there!r} there, {here!r} here"
