"""Locks: no two commands write the same output, and work in progress can be told from what a killed command left.

They are locks of the system (``flock``): they end with the process that holds them, however it ends.  Needs only the
standard library.
"""

import contextlib
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from hicm.errors import UserError

_held: set[int] = set()  # open files of this process that are locked


def _forget() -> None:
    """In a forked process: a copy of an open file would hold the lock beyond its owner's end."""
    for handle in _held:
        os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def lock(handle: int, shared: bool = False, wait: bool = False) -> bool | None:
    """Whether an open file is now locked by this process; None where there are no locks (Windows, some network disks).

    ``shared``: others may hold a shared lock too.  ``wait``: until it is free.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    _held.add(handle)
    return True


def close(handle: int) -> None:
    """Close an open file, and with it its lock; nothing happens where a fork has closed it already."""
    if handle in _held:
        _held.remove(handle)
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file ``path``."""
    handle = _open_to_read(path)
    if handle is None:
        return False
    free = lock(handle, shared=True)
    if free:
        close(handle)
    else:
        os.close(handle)
    return free is False


@contextlib.contextmanager
def holding(path: Path, command: str, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Hold the lock file ``path`` for the block.

    The lock file says who holds it, and is removed at the end, with its folders where they are new and empty.  The lock
    of a file is ".<name>.lock" beside it, that of a folder ".lock" in it.  ``shared`` is for readers, which only keep
    writers out; they need not be able to write there.  ``wait``: until others are done.  Where there are no locks a
    warning says so.  Raises UserError, naming the holder, when another process has the lock.
    """
    what = path.parent / path.name.removesuffix(".lock").removeprefix(".")
    new = [folder for folder in path.parents if not folder.exists()]
    handle = _open(path, what, shared)
    if handle is None:
        yield
        return
    locked = lock(handle, shared, wait)
    while locked and not _is_there(handle, path):  # its holder has removed it in the meantime
        close(handle)
        handle = _open(path, what, shared)
        assert handle is not None, "it could be opened before"
        locked = lock(handle, shared, wait)
    if not locked:
        holder = os.pread(handle, 1000, 0).decode(errors="replace").strip() if locked is False else ""
        os.close(handle)
        if locked is False:
            raise UserError(f"{what}: in use by {holder or 'another command'}; wait until it ends, or choose another "
                            "output")
        warnings.warn(f"{what}: this file system has no locks; start no second command on it", stacklevel=3)
        yield
        return
    with contextlib.suppress(OSError):  # full disk, opened to be read only: the lock holds all the same
        os.ftruncate(handle, 0)
        os.pwrite(handle, _holder(command).encode(), 0)
    try:
        yield
    finally:
        if handle in _held and (not shared or lock(handle)):  # the last reader removes it
            with contextlib.suppress(OSError):  # a new folder is kept where something was written
                path.unlink()
                for folder in new:
                    folder.rmdir()
        close(handle)


def _open(path: Path, what: Path, shared: bool) -> int | None:
    """The lock file, made if absent; None where a reader can neither make nor open it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if not shared:
            raise UserError(f"{what}: cannot be written ({error.strerror}); choose another output folder") from error
    return _open_to_read(path)


def _open_to_read(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _is_there(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _holder(command: str) -> str:
    """Who holds a lock, as its file says."""
    from socket import gethostname  # commands that hold no lock need no sockets

    return f"{command} (process {os.getpid()} on {gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S %z')})\n"
