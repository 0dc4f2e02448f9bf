"""Pipes and devices among the inputs: what can be read only once is copied to a file, which can be read again."""

import contextlib
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from hicm.dvc_eval.inputs.source import STDIN
from hicm.errors import UserError


@contextlib.contextmanager
def read_once(paths: Sequence[str]) -> Iterator[list[str]]:
    """The same paths, with pipes (``<(...)``, /dev/stdin, ``-``) replaced by temporary copies.

    Errors raised meanwhile name the original.  Raises UserError when one cannot be read.
    """
    copies: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        try:
            for path in paths:
                if path not in copies and _is_pipe(path):
                    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hicm-")))
                    copies[path] = str(_copy(path, folder / (Path(path).name if path != STDIN else "stdin")))
            yield [copies.get(path, path) for path in paths]
        except UserError as error:
            message = str(error)
            for path, copy in copies.items():
                message = message.replace(copy, "standard input" if path == STDIN else path)
            if message == str(error):
                raise
            raise UserError(message) from error


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
