"""Recalled vectors on disk: ``retrieved_<split>.h5``.

    ids      [N] text                 video ids, in annotation order, UTF-8 of fixed length
    vectors  [N, S, D] float32        what each slot hands over
    mask     [N, S] bool              False: nothing is handed over here
    slots    [N, S, 3] int32          window, level, node of each slot, -1 for several or all (`hicm.retrieval.records`)
    cosines  [N, S] float32           of each slot, where every slot stands for one node; absent with other reads
    window_rows [N, W, 2] int32       first frame of each window and the one after its last, -1, -1 for none; absent in
                                      files of earlier versions
    level_<l>/nodes, scores, stand_in [N, W, K]   int32, float32, int32: every node kept on the way
    attribute windows                 W, windows per video
    info     text                     json: what the file was made from

S = W = 0 for search "none".  Level 0 = captions.  This is format 3.  Format 2 had texts of variable length, and info as
an attribute; format 1 also had one slot per window and neither slots nor windows.  Both are still read.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hicm import hdf5
from hicm.data.samples import MemoryTokens
from hicm.errors import UserError, reason
from hicm.files import require
from hicm.new_hdf5 import new_hdf5
from hicm.retrieval.records import Recalled, Visited, visited_nodes

FORMAT = 3
PADDING = {"nodes": np.int32(-1), "scores": np.float32(0), "stand_in": np.int32(-1)}


def save_retrieved(path: str | Path, ids: Sequence[str], batches: Iterable[Recalled], info: dict[str, Any]) -> Path:
    """Write what consecutive batches of the videos ``ids`` recalled, atomically; one batch is in memory at a time.

    Raises ValueError when the batches do not make up ``ids`` or differ in their number of slots, UserError when the
    file cannot be written.
    """
    import h5py

    path, row = Path(path), 0
    with new_hdf5(path) as (file, check):
        file.attrs["format"] = FORMAT
        for name, texts in (("ids", list(ids)), ("info", json.dumps(info))):
            content = np.char.encode(np.asarray(texts, str), "utf-8")
            kind = h5py.string_dtype("utf-8", max(content.dtype.itemsize, 1))
            file.create_dataset(name, data=content.astype(kind), dtype=kind)
        for recalled in batches:
            rows = slice(row, row + len(recalled.vectors))
            parts = {"vectors": recalled.vectors, "mask": recalled.mask, "slots": recalled.slots}
            optional = {"cosines": recalled.slot_scores, "window_rows": recalled.window_rows}
            parts |= {name: part for name, part in optional.items() if part is not None}
            if row == 0:
                file.attrs["windows"] = recalled.windows.shape[1]
                for name, part in parts.items():
                    file.create_dataset(name, (len(ids), *part.shape[1:]), part.dtype)
            if recalled.vectors.shape[1:] != file["vectors"].shape[1:]:
                raise ValueError(f"slots and width {recalled.vectors.shape[1:]} of videos {rows.start} to {rows.stop} "
                                 f"differ from {file['vectors'].shape[1:]} of those before")
            for name, part in parts.items():
                file[name][rows] = part
            for level, nodes in recalled.nodes.items():
                kept = {"nodes": nodes, "scores": recalled.scores[level], "stand_in": recalled.stand_in[level]}
                _write_level(file.require_group(f"level_{level}"), kept, rows, len(ids))
            row = rows.stop
            check()
        if row != len(ids):
            raise ValueError(f"{row} videos were read, {len(ids)} ids given")
    return path


def _write_level(group: Any, parts: dict[str, np.ndarray], rows: slice, videos: int) -> None:
    """Rows of one level; lists grow to the longest batch."""
    for name, part in parts.items():
        _, windows, kept = part.shape
        if name not in group:
            group.create_dataset(name, (videos, windows, kept), part.dtype, maxshape=(videos, windows, None),
                                 chunks=(1, windows, max(kept, 8)), fillvalue=PADDING[name])
        if kept > group[name].shape[2]:
            group[name].resize(kept, axis=2)
        group[name][rows, :, :kept] = part


class Retrieved:
    """Recalled vectors by video id; opened at the first read in each process, so workers can be given it."""

    def __init__(self, path: str | Path) -> None:
        self.path = require(path, "file of recalled vectors", "make it with `hicm retrieve`")
        self._opened: tuple[int, Any] | None = None  # process id, file
        with _Guarded(self.path) as file:
            self.format = hdf5.attribute(file, "format") if "format" in file.attrs else 0
            if not 1 <= self.format <= FORMAT:
                raise UserError(f"{path}: not a file of recalled vectors of format 1 to {FORMAT}; retrieve again")
            self.count, self.width = (int(size) for size in file["vectors"].shape[1:])  # S, D
            self.windows = self.count if self.format == 1 else hdf5.attribute(file, "windows")  # W
            self.levels = sorted((int(name.removeprefix("level_")) for name in file if name.startswith("level_")),
                                 reverse=True)
            ids, info = hdf5.variable_texts(self.path, "ids", "info") if self.format < 3 else (
                hdf5.texts(hdf5.find(file, "ids")), hdf5.texts(hdf5.find(file, "info"))[0])
            self.ids: tuple[str, ...] = tuple(ids)
            self.info: dict[str, Any] = json.loads(info)
            self._rows = {video: row for row, video in enumerate(self.ids)}
            self.of_nodes = "cosines" in file  # each slot stands for one node
            self._with_rows = "window_rows" in file
            self._check(file)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def _check(self, file: Any) -> None:
        """Raise ValueError unless the parts have the shapes and types that they should have."""
        videos, slots = len(self._rows), self.count
        shapes: dict[str, tuple[str, tuple[int, ...]]] = {"vectors": ("f", (videos, slots, self.width)),
                                                          "mask": ("b", (videos, slots))}
        if self.format > 1:
            shapes["slots"] = "i", (videos, slots, 3)
        if self.of_nodes:
            shapes["cosines"] = "f", (videos, slots)
        if self._with_rows:
            shapes["window_rows"] = "i", (videos, self.windows, 2)
        for level in self.levels:
            kept = file[f"level_{level}/nodes"].shape[-1:]
            shapes |= {f"level_{level}/{name}": (fill.dtype.kind, (videos, self.windows, *kept))
                       for name, fill in PADDING.items()}
        for name, (kind, shape) in shapes.items():
            part = hdf5.find(file, name)
            hdf5.check(part, kind)
            if part.shape != shape:
                raise ValueError(f"{name} has shape {list(part.shape)}, expected {list(shape)}")
        if not isinstance(self.info, dict) or len(self._rows) != len(self.ids):
            raise ValueError("ids occur twice, or info is no json object")

    def vectors(self, video: str) -> np.ndarray:
        """float32 [S, D].  Raises UserError when the video is missing or the file is damaged."""
        return self._read(video, "vectors")[0]

    def mask(self, video: str) -> np.ndarray:
        """bool [S], False where nothing is handed over."""
        return self._read(video, "mask")[0]

    def slots(self, video: str) -> np.ndarray:
        """int32 [S, 3]: the window, level and node that each vector stands for; -1: several or all."""
        if self.format == 1:
            return np.stack([np.arange(self.windows), *np.full((2, self.windows), -1)], axis=1).astype(np.int32)
        return self._read(video, "slots")[0]

    def tokens(self, video: str) -> MemoryTokens:
        """All that is handed over.  Raises UserError when the video is missing or the file is damaged."""
        vectors, mask = self._read(video, "vectors", "mask")
        cosines = self._read(video, "cosines")[0] if self.of_nodes else None
        return MemoryTokens(vectors, mask, self.slots(video), cosines, window_rows=self.window_rows(video))

    def window_rows(self, video: str) -> np.ndarray | None:
        """int32 [W, 2]: the first row of each window and the one after its last, -1, -1: none; None: not recorded."""
        return self._read(video, "window_rows")[0] if self._with_rows else None

    def visited(self, video: str) -> list[Visited]:
        """Per window the nodes kept, as (level, node, score, stand-in caption or -1): coarse to fine, best first."""
        parts = iter(self._read(video, *(f"level_{level}/{name}" for level in self.levels for name in PADDING)))
        return visited_nodes(self.windows, [(level, next(parts), next(parts), next(parts)) for level in self.levels])

    def _read(self, video: str, *names: str) -> list[np.ndarray]:
        if video not in self._rows:
            raise UserError(f"{self.path}: nothing recalled for video {video}; retrieve again for its split")
        with _Guarded(self.path, self._file()) as file:
            kinds = {"vectors": "f", "mask": "b", "slots": "i", "cosines": "f", "window_rows": "i"}
            parts = [hdf5.read(hdf5.find(file, name), kinds.get(name, "fi"), self._rows[video], whole=name in kinds)
                     for name in names]
            if not all(np.isfinite(part).all() for part in parts):
                raise ValueError(f"{video}: numbers that are not finite")
            return parts

    def _file(self) -> Any:
        """The open file of this process: HDF5 files that were open before a fork give wrong data after it."""
        process, file = self._opened or (0, None)
        if process != os.getpid() or not file:  # a closed file is false
            if file is not None:
                file.close()
            self._opened = os.getpid(), _open(self.path)
        assert self._opened is not None, "opened just now, or before"
        return self._opened[1]


class _Guarded:
    """An open HDF5 file that turns every sign of damage into one clear line.

    ``file``: one that is open and stays so, unless it is damaged.
    """

    def __init__(self, path: Path, file: Any = None) -> None:
        self.path, self.file, self.stays = path, file, file is not None

    def __enter__(self) -> Any:
        if not self.stays:
            self.file = _open(self.path)
        return self.file

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        if error is not None or not self.stays:
            with contextlib.suppress(Exception):  # a damaged file
                self.file.close()
        if isinstance(error, Exception) and not isinstance(error, UserError):  # damage can raise nearly anything
            raise _damaged(self.path, error) from error


def _open(path: Path) -> Any:
    import h5py

    try:
        return h5py.File(path, "r")
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> UserError:
    return UserError(f"{path}: damaged or not a file of recalled vectors ({reason(error)}); remove it and "
                     "retrieve again")


def open_retrieved(path: str | Path) -> Retrieved:
    """The recalled vectors of a file.  Raises UserError when it is missing, damaged or of another kind."""
    return Retrieved(path)
