"""The identity of a video file: a digest of its content."""

import functools
from pathlib import Path

from hicm.errors import UserError
from hicm.files import sha256


def content_digest(path: str | Path) -> str:
    """Hex digest of a file's bytes; read once per process, unless its size or time stamp changes.

    Raises UserError when it cannot be read.
    """
    try:
        found = Path(path).stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return _digest(Path(path).absolute(), found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _digest(path: Path, size: int, changed: int) -> str:
    return sha256(path)
