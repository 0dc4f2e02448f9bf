"""The mean frame of the training split, which ``retrieval.centring`` subtracts from every query.

It stands for what all frames share beside what they show.  In CLIP's space the embeddings of images and of texts lie
around two different means, and most of a cosine between the two kinds is the distance of these means (the modality gap:
Liang et al., "Mind the gap", NeurIPS 2022).

The mean is computed once for features and training split, and kept beside the bank, in ``mean_frame_<hash>.json``.  The
own bank of a run holds the one that it was trained with as ``mean_frame.json``, which is used whatever the features.
"""

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hicm.config import Config, digest
from hicm.data.features import Features
from hicm.data.splits import split_with_features
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.memory.bank import Bank
from hicm.retrieval.reader import Reader, needs_bank

OWN = "mean_frame.json"  # in the own bank of a run


@dataclass(frozen=True, eq=False)
class MeanFrame:
    """``mean`` float32 [D] of all rows of the training videos, and the digest of the features it comes from."""

    mean: np.ndarray
    features: str

    @property
    def digest(self) -> str:
        """Hash of the mean."""
        return hashlib.sha256(self.mean.astype("<f4").tobytes()).hexdigest()

    def save(self, path: Path) -> None:
        """Write it as json, atomically; the same mean gives the same bytes."""
        write_json(path, {"features": self.features, "mean": self.mean.tolist()}, indent=None)


def find_mean(config: Config) -> MeanFrame | None:
    """The mean frame that the settings ask for, computed and kept where there is none yet; None: they ask for none.

    Raises UserError when it is damaged, or when it is not there and cannot be computed.
    """
    if config.retrieval.centring == "none" or not needs_bank(config.retrieval):
        return None
    if (config.bank / OWN).exists():
        return load_mean(config.bank / OWN)
    try:
        videos, features = split_with_features(config.data, config.data.train, captions=False)
    except UserError as error:
        raise UserError(f"retrieval.centring={config.retrieval.centring}: needs the mean frame of split "
                        f"{config.data.train}, and its features are not there ({error}); use the bank of a run that "
                        f"was trained with it (memory.path=RUN/bank), copy RUN/bank/{OWN} into {config.bank}, or set "
                        "retrieval.centring=none") from error
    known = features.fingerprint(videos)
    path = config.bank / f"mean_frame_{digest(known)}.json"
    if path.exists():
        found = load_mean(path)
        if found.features == known:
            return found
    found = _compute(videos, features, known)
    try:
        found.save(path)
    except (OSError, UserError):  # a shared bank that may only be read: the mean is computed again next time
        warnings.warn(f"{path}: cannot be written; the mean frame is not kept", stacklevel=2)
    return found


def _compute(videos: Iterable[str], features: Features, known: str) -> MeanFrame:
    """The mean of all rows of the videos, which are read one at a time."""
    total, count = np.zeros(features.width), 0
    for video in tqdm(videos, desc="mean frame", unit="video"):
        rows = features.read(video)
        total += rows.sum(axis=0, dtype=np.float64)
        count += len(rows)
    return MeanFrame((total / count).astype(np.float32), known)


def load_mean(path: Path) -> MeanFrame:
    """What `MeanFrame.save` wrote.  Raises UserError when the file is damaged."""
    content: Any = read_json(path, "mean frame")
    try:
        mean = np.asarray(content["mean"], np.float32)
        if mean.ndim != 1 or not np.isfinite(mean).all():
            raise ValueError("mean: expected a list of finite numbers")
        return MeanFrame(mean, str(content["features"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: cannot be read as a mean frame ({type(error).__name__}: {error}); remove it, and it "
                        "is computed again where the training features are") from error


def make_reader(bank: Bank | None, config: Config) -> Reader:
    """The reader of a bank, with the mean frame that the settings ask for.  Raises UserError as both of them do."""
    found = find_mean(config)
    return Reader(bank, config.retrieval, None if found is None else found.mean)


def keep_mean(config: Config, folder: Path) -> None:
    """Put the mean frame that the settings ask for into ``folder``, the own bank of a run."""
    found = find_mean(config)
    if found is not None:
        found.save(folder / OWN)
