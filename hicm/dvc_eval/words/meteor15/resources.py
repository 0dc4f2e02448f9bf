"""What METEOR needs, made on first use and kept in the user's cache folder: the index of its data, and its loops."""

import contextlib
import hashlib
import json
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hicm.dvc_eval.words.java import Unavailable, find_jar
from hicm.errors import UserError
from hicm.files import atomic, sha256

try:
    import fcntl
except ImportError:  # Windows: two processes that build at once then both build, and the last to finish is kept
    fcntl = None

# METEOR 1.5 as pycocoevalcap 1.2 ships it.  Other data would give other scores under the same name.
DIGESTS = {
    "meteor/meteor-1.5.jar": "1e57b4c72c0830ebe68558f1c799a624e96cbc1b6045c9f6330e26dcff6eafc2",
    "meteor/data/paraphrase-en.gz": "c147ac7d2c91f2fbb3ad31e4b352235061eb83145e0434daf217ee9ca5975f48",
}
DATA = hashlib.sha256("".join(DIGESTS.values()).encode()).hexdigest()[:8]  # names both, for signatures
FORMAT = 1  # of the file's content; to be raised whenever `build` changes
NAME = f"meteor15-en-{FORMAT}.index"
ALIGNMENT = 64  # of the arrays, in bytes
DIGEST_LINE = 65  # bytes: SHA-256 in hexadecimal and a line feed


def cache_folder() -> Path:
    """``hicm`` in XDG_CACHE_HOME, or in ~/.cache.  Raises Unavailable for a user without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hicm")
    except RuntimeError as error:
        raise Unavailable("METEOR's index has no place: this user has no home folder; set XDG_CACHE_HOME") from error


def load_index() -> dict[str, np.ndarray]:
    """The arrays of `build`, kept.  Raises Unavailable when METEOR's data are not installed or are not version 1.5."""
    return kept_arrays(NAME, build_arrays)


def kept_arrays(name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
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


def find_sources() -> list[Path]:
    """METEOR's data files in the installed package pycocoevalcap, checked.  Raises Unavailable."""
    sources = [find_jar(inside) for inside in DIGESTS]
    for source, digest in zip(sources, DIGESTS.values(), strict=True):
        if sha256(source) != digest:
            raise Unavailable(f"{source}: not the file of pycocoevalcap 1.2; pip install --force-reinstall "
                              "pycocoevalcap==1.2")
    return sources


def build_arrays() -> dict[str, np.ndarray]:
    """The arrays of the index, from METEOR's data.  Raises Unavailable."""
    sources = find_sources()
    need_numba()
    from hicm.dvc_eval.words.meteor15.build import build

    return build(*sources)


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
