"""``.npy`` and ``.npz`` files of unknown origin: plain arrays, whose size is compared with that of the file first."""

import io
import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from hicm.errors import brief

SMALL, RATIO = 1 << 26, 200  # an archive may unfold to this many bytes, and as many times its own, besides
HEADER = 1000  # characters of a header; that of a plain array has about 80


def read_npy(path: Path) -> np.ndarray:
    """The array in a ``.npy`` file.  Raises ValueError that says what is wrong, OSError when it cannot be read."""
    with open(path, "rb") as stream:
        _header(stream, os.fstat(stream.fileno()).st_size)
        stream.seek(0)
        return _sound(np.lib.format.read_array(stream, allow_pickle=False, max_header_size=HEADER))


def map_npy(path: Path, start: int = 0, size: int | None = None) -> np.ndarray:
    """The same array, left on the disk until parts of it are used.

    ``start``, ``size``: the bytes of the file that are such a file, for one that lies in another, as in a tar file.
    """
    with open(path, "rb") as stream:
        stream.seek(start)
        shape, fortran, dtype = _header(stream, os.fstat(stream.fileno()).st_size if size is None else size, start)
        start = stream.tell()
    if not math.prod(shape):
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")


class Bounded(io.BufferedReader):
    """A file from which no more is read than it has: Python reserves whatever a damaged zip asks for."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.path.getsize(path)

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(self._size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a ``.npz`` file by name.  Raises as `read_npy`, and BadZipFile."""
    with open_npz(path) as archive:
        return {name.removesuffix(".npy"): read_member(archive, name) for name in archive.namelist()}


def open_npz(source: Path | bytes) -> zipfile.ZipFile:
    """A ``.npz`` file, or its bytes, whose members may be read one by one.  Raises as `read_npz`."""
    size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
    archive = _Archive(io.BytesIO(source) if isinstance(source, bytes) else Bounded(source))
    if sum(member.file_size for member in archive.infolist()) > SMALL + RATIO * size:
        archive.close()
        raise ValueError("it unfolds to more than 200 times its size")
    return archive


class _Archive(zipfile.ZipFile):
    """Closes the file that it reads."""

    def __init__(self, file: Bounded | io.BytesIO) -> None:
        self._file = file
        super().__init__(file)

    def close(self) -> None:
        super().close()
        self._file.close()


def read_member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """The array ``name`` of `open_npz`.  Raises as `read_npz`."""
    member = archive.getinfo(name)
    with archive.open(member) as stream:
        shape, fortran, dtype = _header(stream, member.file_size)
        content = bytearray()
        while piece := stream.read(1 << 20):  # at the end the checksum is compared
            content += piece
    return _sound(np.ndarray(shape, dtype, content, order="F" if fortran else "C"))


def member_shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """The shape of the array ``name`` of `open_npz`; only its header is read.  Raises as `read_npz`."""
    member = archive.getinfo(name)
    with archive.open(member) as stream:
        return _header(stream, member.file_size)[0]


def _header(stream: IO[bytes], size: int, begin: int = 0) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is stored by columns, and type of an array of ``size`` bytes, which begin at ``begin``.

    The stream is then where its data begin.
    """
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is of version {version}, that of an array of records; expected a plain array")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(stream, max_header_size=HEADER)
    except ValueError:
        raise
    except Exception as error:  # it is parsed as Python
        raise ValueError("its header is damaged") from error
    if dtype.kind not in "biufcUS" or dtype.fields is not None:
        raise ValueError(f"it holds {dtype}; expected numbers or text (objects would need allow_pickle)")
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"its shape is {brief(list(shape))}")
    start = stream.tell() - begin
    if math.prod(shape) * dtype.itemsize != size - start or not (dtype.itemsize or math.prod(shape) <= 1):
        raise ValueError(f"shape {brief(list(shape))} of {dtype} does not fit the {size - start} bytes it has")
    return shape, fortran, dtype


def _sound(array: np.ndarray) -> np.ndarray:
    """``array``, unless it is text with characters that do not exist, which Python cannot hold."""
    if array.dtype.kind == "U" and array.size:
        flat = np.ascontiguousarray(array).reshape(-1)
        if (flat.view(np.dtype("u4").newbyteorder(array.dtype.byteorder)) > 0x10FFFF).any():
            raise ValueError("it holds text with characters that do not exist")
    return array
