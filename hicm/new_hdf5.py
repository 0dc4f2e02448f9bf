"""New HDF5 files, written atomically and without harm from a full disk."""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hicm.files import atomic


@contextlib.contextmanager
def new_hdf5(path: str | Path) -> Iterator[tuple[Any, Callable[[], None]]]:
    """Yield an h5py.File that replaces ``path`` at the end, and a function to call now and then while it is written.

    That function, and the end of the block, raise UserError when the disk is full; HDF5 itself (2.0) then crashes the
    process when it closes the file, so it is not told.
    """
    import h5py

    with atomic(path) as temporary, _Patient(temporary) as stream:
        with h5py.File(stream, "w") as file:
            yield file, stream.check
        stream.check()


class _Patient(io.RawIOBase):
    """A file that seems to accept everything; ``check`` raises the first error there was."""

    def __init__(self, path: Path) -> None:
        self.stream = open(path, "w+b", buffering=0)  # noqa: SIM115, closed by `close`
        self.error: OSError | None = None

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.stream.close()
        super().close()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        return self.stream.tell()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        found = self.stream.readinto(view) or 0
        view[found:] = bytes(len(view) - found)  # what could not be written
        return len(view)

    def write(self, content: Any) -> int:
        view, done = memoryview(content).cast("B"), 0
        try:
            while self.error is None and done < len(view):
                done += self.stream.write(view[done:]) or 0
        except OSError as error:
            self.error = error
        self.stream.seek(len(view) - done, io.SEEK_CUR)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self.stream.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0
