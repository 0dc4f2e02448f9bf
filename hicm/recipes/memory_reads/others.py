"""Another video for every video of a split, and what it shows under the wrong name."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from hicm.config import DataConfig
from hicm.data.features import Features, write_features
from hicm.data.ids import youtube_id
from hicm.data.samples import SplitSamples
from hicm.errors import UserError
from hicm.provenance import Origin


def by_hash(ids: Sequence[str]) -> list[str]:
    """Ids in an order that depends on nothing but themselves, each YouTube id once."""
    return sorted({youtube_id(name): name for name in sorted(ids, reverse=True)}.values(),
                  key=lambda name: hashlib.sha256(youtube_id(name).encode()).hexdigest())


def other_videos(ids: Sequence[str]) -> dict[str, str]:
    """For every video another one: the next in a cycle through all, ordered by a hash of their ids.

    No video gets itself, nor the same video under the id of another annotator; with three or more, applying it twice
    gives a third one.  Raises UserError for fewer than two videos.
    """
    order = by_hash(ids)
    if len(order) < 2:
        raise UserError(f"{len(order)} video in the split: there is no other one to exchange it with")
    following = {youtube_id(name): order[(place + 1) % len(order)] for place, name in enumerate(order)}
    return {name: following[youtube_id(name)] for name in ids}


def exchanged_features(samples: SplitSamples, of: Mapping[str, str], folder: Path) -> Path:
    """A features file in ``folder`` in which every video has the rows of ``of[video]``; made once for equal content.

    Rows are those that the stage reads (`exchanged_settings`).
    """
    ids = samples.ids
    name = Origin({}, {"features": samples.features.fingerprint(ids), **of}).identity
    path = folder / f"exchanged_features_{name}.h5"
    return path if path.exists() else write_features(path, _Rows(samples.features, of, ids))


def exchanged_settings(data: DataConfig, path: Path) -> list[str]:
    """The settings with which `exchanged_features` are read."""
    return [f"data.features={path}", "data.feature_array=", f"data.feature_fps={data.clock.rate}",
            *(["data.streams=[]"] if data.streams else [])]


class _Rows(Mapping[str, np.ndarray]):
    """The rows of other videos by id, read one at a time."""

    def __init__(self, features: Features, of: Mapping[str, str], ids: Sequence[str]) -> None:
        self._features, self._of, self._ids = features, of, ids

    def __getitem__(self, video: str) -> np.ndarray:
        return self._features.read(self._of[video])

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)
