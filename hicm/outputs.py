"""Output paths, checked before hours are spent.

Needs only the standard library.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from hicm.errors import UserError
from hicm.files import special


def output_file(given: str | Path, option: str = "--out") -> Path:
    """``given`` as a Path; raises UserError when no file can be written there.  Missing folders will be made."""
    return _checked(given, option, "a file", unwritable)


def output_folder(given: str | Path, option: str = "--out") -> Path:
    """``given`` as a Path; raises UserError when no files can be written into it.  A missing folder will be made."""
    return _checked(given, option, "a folder", _unwritable_folder)


def unwritable(path: Path) -> str:
    """Why a file cannot be written to; empty if it can.  Missing folders will be made."""
    try:
        if path.is_dir():
            return "it is a folder"
    except OSError as error:  # such as a name that is too long
        return _reason(error)
    return "it is not a regular file" if special(path) else _unwritable_folder(path.parent)


def _checked(given: str | Path, option: str, what: str, problem_of: Callable[[Path], str]) -> Path:
    if not str(given):
        raise UserError(f"{option}: expected {what} to write to, found an empty name")
    path = Path(given)
    problem = problem_of(path)
    if problem:
        raise UserError(f"{path}: cannot be written ({problem}); choose another {option}")
    return path


def _unwritable_folder(path: Path) -> str:
    """Why no file can be created in a folder, or in its nearest parent that exists; empty if one can."""
    path = path.absolute()
    try:
        with tempfile.TemporaryFile(dir=next(filter(_is_there, (path, *path.parents)))):
            return ""
    except OSError as error:
        return _reason(error)


def _is_there(path: Path) -> bool:
    """Whether a path exists, also as a broken link.  Raises OSError for a name that is not possible."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
