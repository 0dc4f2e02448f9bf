"""Arrays that are made on first use and kept in the user's cache folder: METEOR's index, and its compiled loops."""

import contextlib
import hashlib
import json
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hicm.dvc_eval.words.java import Unavailable
from hicm.errors import UserError
from hicm.files import atomic

try:
    import fcntl
except ImportError:  # Windows: two processes that build at once then both build, and the last to finish is kept
    fcntl = None

ALIGNMENT = 64  # of the arrays, in bytes
DIGEST_LINE = 65  # bytes: SHA-256 in hexadecimal and a line feed


def cache_folder() -> Path:
    """``hicm`` in XDG_CACHE_HOME, or in ~/.cache.  Raises Unavailable for a user without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hicm")
    except RuntimeError as error:
        raise Unavailable("METEOR's index has no place: this user has no home folder; set XDG_CACHE_HOME") from error


def cached_arrays(name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays, read-only and mapped from a file of the cache; made first where it is missing or damaged.

    Two processes do not make them at once.  Raises Unavailable when the cache cannot be written.
    """
    path = cache_folder() / name
    kept = _read(path)
    if kept is None:
        with _alone(path.with_suffix(".lock")):
            kept = _read(path)  # another process may have made them while this one waited
            if kept is None:
                _write(path, make())
                kept = _read(path)
    if kept is None:
        raise Unavailable(f"{path}: was written and cannot be read back; is the disk sound?")
    return kept


def need_numba() -> None:
    """Import numba, which takes long: only what compiles needs it.  Raises Unavailable where it cannot compile."""
    try:
        import numba
    except ImportError as error:
        raise no_numba(error) from error
    if numba.config.DISABLE_JIT:
        raise Unavailable("METEOR without Java needs numba's compiler; unset NUMBA_DISABLE_JIT")


def no_numba(error: ImportError) -> Unavailable:
    """What to say where numba, or LLVM in it, cannot be imported."""
    absent = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in ("numba", "llvmlite")
    return Unavailable("METEOR without Java needs numba" + ("" if absent else f", which cannot be imported ({error})")
                       + "; pip install numba")


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A line with the digest of the rest; a line of json: name -> dtype, shape, place; then the arrays."""
    places, at = {}, 0
    for name, array in arrays.items():
        at = -(-at // ALIGNMENT) * ALIGNMENT
        places[name] = [array.dtype.str, list(array.shape), at]
        at += array.nbytes
    header = json.dumps(places).encode()
    header += b" " * (-(DIGEST_LINE + len(header) + 1) % ALIGNMENT) + b"\n"
    digest = hashlib.sha256(header)
    try:
        with atomic(path) as temporary, open(temporary, "wb") as stream:
            stream.write(b" " * DIGEST_LINE + header)
            for name, array in arrays.items():
                padding = b"\0" * (DIGEST_LINE + len(header) + places[name][2] - stream.tell())
                for block in (padding, np.ascontiguousarray(array).data.cast("B")):
                    digest.update(block)
                    stream.write(block)
            stream.seek(0)
            stream.write(digest.hexdigest().encode() + b"\n")
    except UserError as error:
        raise Unavailable(f"{error}: XDG_CACHE_HOME") from error


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of an index file; None when it is missing or its digest is wrong."""
    try:
        with open(path, "rb") as stream:
            memory = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None
    if hashlib.sha256(memoryview(memory)[DIGEST_LINE:]).hexdigest().encode() + b"\n" != memory[:DIGEST_LINE]:
        return None
    start = memory.find(b"\n", DIGEST_LINE) + 1
    return {name: np.frombuffer(memory, dtype, int(np.prod(shape)), start + at).reshape(shape)
            for name, (dtype, shape, at) in json.loads(memory[DIGEST_LINE:start]).items()}


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock on a file that stays; wait for it where another process holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = open(path, "w")  # noqa: SIM115, closed below
    except OSError as error:
        raise Unavailable(f"{path}: cannot be written ({error.strerror}); set XDG_CACHE_HOME to a folder that "
                          "can") from error
    with stream:
        if fcntl:
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
