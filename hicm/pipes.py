"""Pipes and devices among the inputs: what can be read only once is copied to a file, which can be read again."""

import contextlib
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from hicm.errors import UserError

STDIN = "-"  # stands for standard input
_COPIES: dict[str, str] = {}  # copy -> what messages call it


@contextlib.contextmanager
def read_once(paths: Sequence[str]) -> Iterator[list[str]]:
    """The same paths, with pipes (``<(...)``, /dev/stdin, ``-``) replaced by temporary copies.

    Messages meanwhile name the original (`name_of`).  Raises UserError when one cannot be read.
    """
    copies: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        try:
            for path in paths:
                if path not in copies and _is_pipe(path):
                    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hicm-")))
                    copies[path] = str(_copy(path, folder / (Path(path).name if path != STDIN else "stdin")))
                    _COPIES[copies[path]] = "standard input" if path == STDIN else path
            yield [copies.get(path, path) for path in paths]
        except UserError as error:
            message = str(error)
            for path, copy in copies.items():
                message = message.replace(copy, "standard input" if path == STDIN else path)
            if message == str(error):
                raise
            raise UserError(message) from error
        finally:
            for copy in copies.values():
                _COPIES.pop(copy, None)


def name_of(path: str | Path) -> str:
    """What messages call a file: the pipe that it is a copy of, or itself."""
    return _COPIES.get(str(path), str(path))


def _is_pipe(path: str) -> bool:
    if path == STDIN:
        return True
    with contextlib.suppress(OSError, ValueError):  # whoever reads it says what is wrong
        mode = Path(path).stat().st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)
    return False


def _copy(path: str, copy: Path) -> Path:
    try:
        with contextlib.ExitStack() as stack:
            stream = sys.stdin.buffer if path == STDIN else stack.enter_context(open(path, "rb"))
            shutil.copyfileobj(stream, stack.enter_context(open(copy, "wb")))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return copy
