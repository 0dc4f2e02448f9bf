"""Visual features: [T, D] for every video, usually a row per second (HiCM2: CLIP ViT-L/14, D = 768, not normalised).

Stores (`hicm.data.feature_stores`) are opened lazily and safe to pass to worker processes: a ``.pth``, ``.npz`` or HDF5
file with an array or a group of arrays per video, or a folder with a file per video (``.npy``, ``.npz``, ``.pt``, ...).
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from hicm.clock import Clock, Rows
from hicm.data.feature_stores import open_store
from hicm.data.ids import stored_id, unclear_ids
from hicm.errors import UserError
from hicm.new_hdf5 import new_hdf5


class Features:
    """Features by video id, whatever the prefix of the id; see `open_features`."""

    stores: tuple["Features", ...] = ()  # that are joined, where several are

    def __init__(self, path: str | Path, clock: Clock, listed: Mapping[str, str] | None = None, array: str = ""):
        self.path = Path(path)
        self.clock = clock
        self._store = open_store(self.path, listed, array)
        self._fingerprints: dict[tuple[str, ...], str] = {}

    @property
    def width(self) -> int:
        """D of the first stored video; all others must have the same."""
        return self._first_shape[1]

    @cached_property
    def _first_shape(self) -> tuple[int, ...]:
        key = next(self._store.keys(), None)
        if key is None:
            raise UserError(f"{self.path}: holds no features; see data/README.md for what is expected there")
        return _matrix(self._store.read(key), f"{self.path}: {key}").shape

    def __contains__(self, video_id: str) -> bool:
        return self._key(video_id) is not None

    def keys(self) -> Iterator[str]:
        """The ids as they are written in the store."""
        return self._store.keys()

    def missing(self, video_ids: Iterable[str]) -> list[str]:
        """Those of ``video_ids`` that have no features, or share them with another one, in the given order."""
        wanted = list(video_ids)
        unclear = unclear_ids(wanted, self.keys)
        return [video_id for video_id in wanted if video_id not in self or video_id in unclear]

    def lacking(self, video_ids: Iterable[str]) -> "Features":
        """The store to name where these videos are missing: of several, the first that lacks the most."""
        return self

    def read(self, video_id: str) -> np.ndarray:
        """float32 [T, D], T >= 1, on the store's `Clock`; of one that is thinned, and fps > 1, the rows floor(i * fps).

        Raises UserError when the video is missing (it is never replaced by zeros), or when its array is not a matrix
        of finite numbers of the store's width with at least one row.
        """
        key = self._key(video_id)
        if key is None:
            raise UserError(f"{self.path}: no features for video {video_id}; extract them, or leave out such videos "
                            "with data.missing_features: skip")
        where = f"{self.path}: video {video_id}"
        x = _matrix(self._store.read(key), where)
        if x.shape[1] != self.width:
            turned = len(x) == self._first_shape[0]
            remedy = (f"all have {len(x)} rows: are they stored as [width, seconds]? transpose them" if turned else
                      "extract it again with the same encoder")
            raise UserError(f"{where}: expected rows of {self.width} numbers as in the first video, found "
                            f"{x.shape[1]}; {remedy}")
        if self.clock.rows == "thinned" and self.clock.fps > 1:
            rows = np.floor(np.arange(math.ceil(len(x) / self.clock.fps)) * self.clock.fps).astype(np.int64)
            x = x[rows[rows < len(x)]]
        with np.errstate(over="ignore"):
            x = np.array(x, dtype=np.float32, order="C")
        if not np.isfinite(x).all():
            raise UserError(f"{where}: features hold NaN or infinity (first in row "
                            f"{int(np.argmin(np.isfinite(x).all(axis=1)))}); extract the video again")
        return x

    def stored_rows(self, video_id: str) -> int:
        """How many rows the store has of a video that it holds, whichever of them are read; its array is not."""
        shape = self._store.peek(self._key(video_id) or video_id)[0]
        return max(shape[:2]) if len(shape) == 3 else shape[0]  # as in _matrix

    def fingerprint(self, video_ids: Iterable[str]) -> str:
        """Digest of what the store holds for these videos: shape, dtype and a few rows of each.

        It tells features that were extracted anew from others, and is the same wherever the store lies.
        """
        wanted = tuple(video_ids)
        if wanted in self._fingerprints:
            return self._fingerprints[wanted]
        kind = "" if self.clock.rows == "thinned" else f" {self.clock.rows}"  # digests of earlier runs lack it
        found = hashlib.sha256(f"{self.clock.fps:g}{kind}".encode())
        for video_id in wanted:
            key = self._key(video_id)
            shape, dtype, rows = self._store.peek(key) if key is not None else ((), "missing", b"")
            found.update(f"{video_id} {shape} {dtype} ".encode("utf-8", "surrogatepass") + rows)
        self._fingerprints[wanted] = found.hexdigest()
        return self._fingerprints[wanted]

    def _key(self, video_id: str) -> str | None:
        return stored_id(video_id, self._store)


def open_features(path: str | Path, fps: float = 1.0, listed: Mapping[str, str] | None = None,
                  array: str = "", rows: Rows = "thinned") -> Features:
    """The features at ``path``: a file with all videos, or a folder with a file per video.

    ``fps``: rows per second in the store; ``listed``: id -> file, for a folder whose files are not named after their
    video; ``array``: the name of the array to use, where a video has several; ``rows``: see `Clock`.  Raises UserError
    when nothing is there, or when its kind is unknown.
    """
    return Features(path, Clock(fps, rows), listed, array)


def sample(x: np.ndarray, frames: int, sampling: str = "even") -> tuple[np.ndarray, np.ndarray]:
    """``frames`` rows of x [T, D] for the model: (float32 [frames, D], bool [frames], True where a row is real).

    even (Vid2Seq in VidChapters): T > frames: row floor(j * T / frames) for j = 0 .. frames - 1.  T < frames: zero
    rows follow.  nearest (PDVC): whatever T, the row nearest to j * (T - 1) / (frames - 1), the earlier one of two.
    Raises UserError when x has no rows or ``frames`` < 1.
    """
    if frames < 1:
        raise UserError(f"data.frames: expected at least 1, found {frames}")
    rows = len(x)
    if rows == 0:
        raise UserError("features have no rows, expected one per second; extract the video again")
    if sampling == "nearest":
        places = np.arange(frames) * (rows - 1) / max(1, frames - 1)
        return np.array(x[np.ceil(places - 0.5).astype(np.int64)], dtype=np.float32), np.ones(frames, bool)
    mask = np.arange(frames) < rows
    if rows >= frames:
        return np.array(x[np.arange(frames) * rows // frames], dtype=np.float32), mask
    padded = np.zeros((frames, x.shape[1]), np.float32)
    padded[:rows] = x
    return padded, mask


def sample_or_all(x: np.ndarray, frames: int, least: int = 1,
                  sampling: str = "even") -> tuple[np.ndarray, np.ndarray]:
    """As `sample`, but ``frames=0`` stands for all rows of x, or ``least`` where it has fewer (zero rows follow)."""
    return sample(x, frames, sampling) if frames else sample(x, max(len(x), least))


def write_features(path: str | Path, features: Mapping[str, np.ndarray]) -> Path:
    """Write id -> [T, D] as HDF5 (.h5), atomically; float16 stays float16, any other type becomes float32."""
    path = Path(path)
    with new_hdf5(path) as (file, check):
        for video_id, x in features.items():
            x = np.asarray(x)
            file.create_dataset(video_id, data=x if x.dtype == np.float16 else x.astype(np.float32))
            check()
    return path


def _matrix(x: np.ndarray, where: str) -> np.ndarray:
    """x [T, D], also when it is stored as [1, T, D] or [T, 1, D]."""
    if x.ndim == 3 and 1 in x.shape[:2]:
        x = x[0] if x.shape[0] == 1 else x[:, 0]
    if x.ndim != 2 or x.dtype.kind not in "fiu":
        raise UserError(f"{where}: expected a matrix [seconds, width] of numbers, found shape {tuple(x.shape)} of "
                        f"{x.dtype}")
    if 0 in x.shape:
        raise UserError(f"{where}: expected at least one row of features, found shape {tuple(x.shape)}; "
                        "extract the video again")
    return x
