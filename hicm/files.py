"""Reading and writing files, so that a crash leaves no half-written file and bad input gives one clear line.

Needs only the standard library: every package may import this module.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hicm import locks
from hicm.errors import UserError

PROBE = 1 << 20  # bytes


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it replaces ``path``, on failure it is removed.

    The temporary file is locked (`hicm.locks`), so that those of killed processes are known: the next call for the same
    path removes them.  Raises UserError when the folder cannot be written or the disk is full, whatever a library
    raises then; ``path`` is left as it was.  HDF5 locks files as well, and crashes: `hicm.new_hdf5` is for those.
    """
    path = Path(path)
    if kind := special(path):
        raise UserError(f"{path}: is {kind}; name a regular file to write")
    with _temporary(path, lambda: tempfile.mkstemp(path.suffix, _stem(path), path.parent)) as temporary:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside the folder ``path``, which it replaces on success; on failure it is removed.

    A killed process leaves the old folder or the new one, or, in the moment between two renamings, none.  Errors are
    those of `atomic`.
    """
    path = Path(path)

    def make() -> tuple[int, str]:
        name = tempfile.mkdtemp(path.suffix, _stem(path), path.parent)
        return os.open(name, os.O_RDONLY), name

    with _temporary(path, make) as temporary:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        if path.exists():
            old = path.with_name(f"{temporary.name}.old")
            path.replace(old)
            temporary.replace(path)
            shutil.rmtree(old)
        else:
            temporary.replace(path)


@contextlib.contextmanager
def _temporary(path: Path, make: Callable[[], tuple[int, str]]) -> Iterator[Path]:
    """A locked temporary file or folder, removed at the end if it is still there; ``make`` opens it."""
    temporary, handle = None, -1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        while temporary is None:
            handle, name = make()
            locked = locks.lock(handle)
            if not locked:
                os.close(handle)
            if locked is not False and os.path.exists(name):
                temporary = Path(name)
            else:  # taken for a leftover before it was locked
                locks.close(handle)
        yield temporary
    except OSError as error:
        raise _unwritable(path, error) from error
    except UserError:
        raise
    except Exception as error:
        full = _refusal(temporary)
        if full is None:
            raise
        raise _unwritable(path, full) from error
    finally:
        if temporary is not None:
            _remove(temporary)
        locks.close(handle)


def _stem(path: Path) -> str:
    """How the temporary files of a path begin."""
    return f".{path.name}.tmp-"


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files that killed processes have left for ``path``."""
    with os.scandir(path.parent) as entries:
        found = [entry.path for entry in entries if entry.name.startswith(_stem(path))]
    for name in found:
        with contextlib.suppress(OSError):  # gone, or of another user
            handle = os.open(name, os.O_RDONLY if os.path.isdir(name) else os.O_RDWR)
            if locks.lock(handle):
                _remove(Path(name))
                locks.close(handle)
            else:
                os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> UserError:
    reason = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
    remedy = "shorten it" if error.errno == errno.ENAMETOOLONG else "free space or choose another output folder"
    return UserError(f"{path}: cannot be written ({reason}); {remedy}")


def _refusal(temporary: Path | None) -> OSError | None:
    """Why the disk refuses writes: torch, safetensors and HDF5 each raise an error of their own when it is full."""
    try:
        if temporary is not None and temporary.exists():
            with open(temporary / "probe" if temporary.is_dir() else temporary, "ab", buffering=0) as stream:
                stream.write(bytes(PROBE))
                stream.write(b"0")  # a first write may succeed partly
    except OSError as error:
        return error
    return None


class MissingFile(UserError):
    """A file or folder that is not there: its ``path``, ``what`` it is, and the ``remedy``.

    Whoever reports the error may know a better remedy for this path (`hicm.data.catalogue.message_of`).
    """

    def __init__(self, path: Path, what: str, remedy: str) -> None:
        super().__init__(f"{path}: {what} not found; {remedy}")
        self.path, self.what, self.remedy = path, what, remedy

    def __reduce__(self) -> tuple[type["MissingFile"], tuple[Path, str, str]]:
        return MissingFile, (self.path, self.what, self.remedy)  # from a worker process to its parent


def require(path: str | Path, what: str, remedy: str) -> Path:
    """``path`` as a Path.  Raises MissingFile, saying what to do, when nothing is there, and as `refuse_stand_in`."""
    path = Path(path)
    if not _is(Path.exists, path):
        raise MissingFile(path, what, remedy)
    refuse_stand_in(path, what)
    return path


def special(path: str | Path) -> str:
    """What is neither a file nor a folder: "a named pipe", "a socket" or "a device"; empty for all else."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return ""
    return ("a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode)
            else "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "a device")


def refuse_special(path: str | Path, expected: str) -> None:
    """Raise UserError for a named pipe, a socket or a device: reading it may never end."""
    if kind := special(path):
        raise UserError(f"{path}: expected {expected}, found {kind}")


def refuse_stand_in(path: str | Path, what: str) -> None:
    """Raise UserError when a file is only what a failed download leaves in its place: a Git LFS pointer, a web page.

    As `refuse_special` too.  Says nothing of a path that cannot be read or is a folder: whoever reads it does.
    """
    refuse_special(path, "a file")
    try:
        with open(path, "rb") as stream:
            head = stream.read(1024)
    except OSError:
        return
    refuse_stand_in_content(head, path, what)


def refuse_stand_in_content(head: bytes, path: str | Path, what: str) -> None:
    """`refuse_stand_in` for the first bytes of what was read from ``path``."""
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        raise UserError(f"{path}: {what}: found a Git LFS pointer instead of the file; run 'git lfs pull' in its "
                        "repository, or download the file itself")
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head")) or (
            head.startswith((b"<?xml", b"<!--")) and (b"<html" in head or b"<error>" in head)):
        raise UserError(f"{path}: {what}: found a web page instead of the file; the download was answered with it (a "
                        "login, a quota, a wrong address): open the file in a browser, then download again")


def refuse_stand_ins(model: str | Path, what: str) -> None:
    """`refuse_stand_in` for a file or all files of a folder, once a library could not read them; names pass."""
    path = Path(model)
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        refuse_stand_in(file, what)


def read_text(path: str | Path, what: str = "text file") -> str:
    """The text of a UTF-8 file, with or without a byte-order mark.  Raises UserError when it is no such file."""
    refuse_stand_in(path, what)
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: {what} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        if error.object[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise UserError(f"{path}: {what} is UTF-16 text; save it as UTF-8") from error
        raise UserError(f"{path}: {what} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def read_part(path: str | Path, start: int, size: int) -> bytes:
    """``size`` bytes of a file from the byte ``start`` on.  Raises ValueError when it has fewer, OSError."""
    with open(path, "rb") as stream:
        stream.seek(start)
        content = stream.read(size)
    if len(content) < size:
        raise ValueError(f"{len(content)} of {size} bytes are there")
    return content


def is_file(path: Path) -> bool:
    """Whether ``path`` is a file; a name that no file can have, such as that of a very long id, is none.

    Raises UserError when the folder may not be read.
    """
    return _is(Path.is_file, path)


def _is(what: Callable[[Path], bool], path: Path) -> bool:
    try:
        return what(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def read_json(path: str | Path, what: str = "json file", pairs_hook: Callable[[list], Any] | None = None) -> Any:
    """The parsed content.  Raises UserError on a missing, unreadable or malformed file.

    ``pairs_hook`` builds each object from its (key, value) pairs, for callers that care about repeated keys.
    """
    return parse_json(read_text(path, what), path, what, pairs_hook)


def parse_json(text: str, path: str | Path, what: str = "json file",
               pairs_hook: Callable[[list], Any] | None = None) -> Any:
    """The content of ``text``, which was read from ``path``; see `read_json`."""
    try:
        return json.loads(text, object_pairs_hook=pairs_hook)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: {what} is not valid json (line {error.lineno}, column {error.colno}: {error.msg}); "
                        "is the file complete?") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, thousands of brackets
        raise UserError(f"{path}: {what} cannot be parsed ({error})") from error


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A json object without repeated keys; plain parsing would keep the last of two videos with the same id."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in found if keys.count(key) > 1)} occurs twice in one object; keep one")
    return found


def plain(content: Any) -> Any:
    """``content`` as it comes back from a json file, for comparison."""
    return json.loads(json.dumps(content, default=str))


def json_text(content: Any, indent: int | None = None) -> str:
    """``content`` as json, its text as it is; all of it escaped where it holds half a character (a lone surrogate)."""
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(content, indent=indent)
    return text


def write_json(path: str | Path, content: Any, indent: int | None = 1) -> Path:
    """Write ``content`` as UTF-8 json, atomically; returns the path."""
    with atomic(path) as temporary:
        temporary.write_text(json_text(content, indent) + "\n", encoding="utf-8")
    return Path(path)


def write_text(path: str | Path, text: str) -> Path:
    """Write ``text`` as UTF-8, atomically; returns the path."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def copy_file(source: str | Path, target: str | Path) -> Path:
    """Make ``target`` a copy of ``source``, atomically; nothing is written when it is one already.

    Raises UserError when ``source`` is missing or ``target`` cannot be written.
    """
    source, target = require(source, "file", "was it moved?"), Path(target)
    if not target.exists() or sha256(target) != sha256(source):
        with atomic(target) as temporary:
            shutil.copyfile(source, temporary)
    return target


def append(path: str | Path, line: str) -> None:
    """Add a line to a text file, created with its folder if needed; several processes may do so at the same time.

    Raises UserError when it cannot be written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); free space, then run the same command "
                        "again") from error


def sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes.  Raises UserError when it cannot be read."""
    refuse_special(path, "a file")
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def read_pickle(path: str | Path, what: str = "pickle file") -> Any:
    """Plain data (dict, list, str, numbers, NumPy arrays) from a pickle, without executing anything; arrays of objects
    become lists (`hicm.pickles`).

    Raises UserError on a missing or damaged file, and on a pickle that holds anything else.
    """
    from hicm.pickles import load_plain  # NumPy takes longer to load than most commands

    path = Path(path)
    refuse_stand_in(path, what)
    try:
        return load_plain(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {what} cannot be read ({error.strerror})") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise UserError(f"{path}: {what} refused ({error or type(error).__name__}); convert it to json if you trust "
                        "it") from error
