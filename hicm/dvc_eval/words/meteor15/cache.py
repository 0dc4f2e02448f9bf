"""Arrays that are made on first use and kept in the user's cache folder: METEOR's index and its compiled loops."""

import contextlib
import hashlib
import json
import mmap
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hicm.dvc_eval.words.java import Unavailable
from hicm.errors import UserError
from hicm.files import atomic

ALIGNMENT = 64  # of the arrays, in bytes
DIGEST_LINE = 65  # bytes: SHA-256 in hexadecimal and a line feed


def cache_folders() -> Iterator[Path]:
    """Where arrays may be kept: ``hicm`` in XDG_CACHE_HOME or in ~/.cache, then a temporary folder of this user.

    Machine code is loaded from there, so a temporary folder that another user may write to is not used.
    """
    with contextlib.suppress(RuntimeError):  # a user without a home folder
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hicm")
    own = str(os.getuid()) if hasattr(os, "getuid") else "user"
    with contextlib.suppress(OSError):
        folder = Path(tempfile.gettempdir(), f"hicm-cache-{own}")
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and (not hasattr(os, "getuid") or (
                found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))):
            yield folder


def cached_arrays(name: str, make: Callable[[], dict[str, np.ndarray]],
                  former: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read-only arrays, mapped from a file in the cache; if it is missing or damaged, they are made first.

    Files of the names ``former`` are removed once it is written.  A lock keeps two processes from making them at once.
    Where no folder can be written, they are not kept.
    """
    made: dict[str, np.ndarray] | None = None
    refused: list[str] = []
    for folder in cache_folders():
        cached = _read(folder / name)
        if cached is not None:
            return cached
        try:
            with _locked((folder / name).with_suffix(".lock")):
                cached = _read(folder / name)  # another process may have made them while this one waited
                if cached is None:
                    made = _made(make) if made is None else made
                    _write(folder / name, made)
                    cached = _read(folder / name)
                    for other in former if cached is not None else ():
                        with contextlib.suppress(OSError):  # Windows: another process reads it
                            (folder / other).unlink()
        except (OSError, UserError) as error:
            if isinstance(error, Unavailable):  # they cannot be made
                raise
            reason = error.strerror if isinstance(error, OSError) else error
            refused.append(f"{folder} cannot be written ({reason})")
            continue
        if cached is not None:
            if refused:
                print(f"METEOR's {name} is kept in {folder}; {refused[0]}", file=sys.stderr)
            return cached
    made = _made(make) if made is None else made
    print(f"METEOR's {name} is not kept, so the next run makes it again; {'; '.join(refused) or 'no folder for it'}",
          file=sys.stderr)
    return made


def _made(make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    try:
        return make()
    except OSError as error:
        raise Unavailable(f"METEOR's data cannot be read ({error}); pip install --force-reinstall pycocoevalcap==1.2"
                          ) from error


def need_numba() -> None:
    """Import numba, which is slow, only for compiling.  Raises Unavailable if it cannot compile here."""
    try:
        import numba
    except ImportError as error:
        raise no_numba(error) from error
    if getattr(numba.config, "DISABLE_JIT", 0):  # numba defines its settings when it is imported
        raise Unavailable("METEOR without Java needs numba's compiler; unset NUMBA_DISABLE_JIT")


def no_numba(error: ImportError) -> Unavailable:
    """The error for a numba, or LLVM in it, that cannot be imported."""
    absent = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in ("numba", "llvmlite")
    return Unavailable("METEOR without Java needs numba" + ("" if absent else f", which cannot be imported ({error})")
                       + "; pip install numba")


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A line with the digest of the rest; a line of json: {name: [dtype, shape, offset]}; then the arrays."""
    places: dict[str, tuple[str, list[int], int]] = {}
    at = 0
    for name, array in arrays.items():
        at = -(-at // ALIGNMENT) * ALIGNMENT
        places[name] = array.dtype.str, list(array.shape), at
        at += array.nbytes
    header = json.dumps(places).encode()
    header += b" " * (-(DIGEST_LINE + len(header) + 1) % ALIGNMENT) + b"\n"
    digest = hashlib.sha256(header)
    with atomic(path) as temporary, open(temporary, "wb") as stream:
        stream.write(b" " * DIGEST_LINE + header)
        for name, array in arrays.items():
            padding = b"\0" * (DIGEST_LINE + len(header) + places[name][2] - stream.tell())
            for block in (padding, np.ascontiguousarray(array).data.cast("B")):
                digest.update(block)
                stream.write(block)
        stream.seek(0)
        stream.write(digest.hexdigest().encode() + b"\n")


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays in a file; None if it is missing or its digest is wrong."""
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
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock on a file, which is kept; waits while another process holds it.  Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as stream:
        # Where there are no locks (Windows, some network disks), two processes may both build; the last one is kept.
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
