"""What a file holds: its text, whatever it is packed in, and the json in it."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hicm.errors import UserError
from hicm.files import parse_json, refuse_stand_in_content
from hicm.pipes import name_of

GZIP = b"\x1f\x8b"
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # byte order marks
# How files begin that people name by mistake, and what they are.
OTHERS = {
    b"PK\x03\x04": "a zip archive (as .npz, .pt and .xlsx files are)", b"\x93NUMPY": "a numpy array",
    b"\x89HDF": "an HDF5 file", b"PAR1": "a Parquet table", b"SQLite format 3": "an SQLite database",
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"%PDF": "a PDF", b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz", b"\x28\xb5\x2f\xfd": "packed with zstd",
    **{bytes([0x80, version]): "a pickle" for version in range(2, 6)},
}
TAR = b"ustar"  # at byte 257
LARGEST = 1 << 31  # bytes of an unpacked file; a damaged or hostile one of a few kilobytes may hold far more


@dataclass(frozen=True)
class Source:
    """The content of one file, or of what a caller passed.

    ``where``: what error messages call it; ``name``: the file's name without endings, "" where there is none.
    ``data``: the json value that it is; where it is not json, ``text`` is what was read and ``error`` says why it is
    not.  ``rows``: the objects of a json list or of json lines; ``torn``: the numbers of lines among these, from 1,
    that are not json objects.
    """

    where: str
    data: Any = None
    text: str = ""
    name: str = ""
    rows: tuple[Mapping[str, Any], ...] = ()
    torn: tuple[int, ...] = ()
    error: UserError | None = None


def open_source(source: Any, what: str, warnings: list[str]) -> Source:
    """The content of a path, or ``source`` itself where it is none.

    Files may be packed with gzip and begin with a byte order mark.  ``what``: "predictions", "references 2".  Appends
    to ``warnings`` for repeated keys.  Raises UserError naming the file when it cannot be read.
    """
    if not isinstance(source, str | Path):
        return Source(what, source, rows=_objects(source))
    what = what.rstrip("0123456789 ")
    where = name_of(source)
    name = Path(source).name.removesuffix(".gz") if where == str(source) else ""  # a pipe's name says nothing
    content = _unpack(_read(source, where, what), where, what)
    refuse_stand_in_content(content[:1024], where, what)
    _refuse_others(content[:1024], where)
    text = _decode(content, where, what)
    repeated: list[str] = []
    try:
        data = parse_json(text, where, what, lambda pairs: _object(pairs, repeated))
    except UserError as error:
        rows, torn = _lines(text)
        return Source(where, None, text, name.rpartition(".")[0] or name, rows, torn, error)
    if repeated:
        warnings.append(f"{where}: {len(repeated)} repeated keys (first: {repeated[0]}); the last one counts")
    return Source(where, data, rows=_objects(data))


def _read(path: str | Path, where: str, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{where}: {what} cannot be read ({error.strerror})") from error


def _unpack(content: bytes, where: str, what: str) -> bytes:
    if not content.startswith(GZIP):
        return content
    parts, size = [], 0
    try:
        while content:  # a file may be several packed files in a row
            packed = zlib.decompressobj(wbits=31)
            parts.append(packed.decompress(content, LARGEST - size + 1))
            size += len(parts[-1])
            if size > LARGEST:
                raise UserError(f"{where}: {what} unpacks to more than {LARGEST >> 30} GB; is it the right file?")
            if not packed.eof:
                raise zlib.error("incomplete")
            content = packed.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise UserError(f"{where}: {what} cannot be unpacked ({error}); is the file complete?") from error
    return b"".join(parts)


def _refuse_others(head: bytes, where: str) -> None:
    """UserError for files that hold no text, by their first bytes."""
    kind = next((kind for mark, kind in OTHERS.items() if head.startswith(mark)), "")
    if head[257:].startswith(TAR):
        kind = "a tar archive"
    if kind:
        raise UserError(f"{where}: {kind}; expected text such as json, maybe packed with gzip: unpack or convert it")


def _decode(content: bytes, where: str, what: str) -> str:
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark) and len(content) > len(mark)),
                    "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: {what} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def _objects(data: Any) -> tuple[Mapping[str, Any], ...]:
    """The objects of a json list; json lines may be one line, a single object."""
    if isinstance(data, Mapping):
        return (data,)
    several = isinstance(data, Sequence) and not isinstance(data, str | bytes)
    return tuple(data) if several and all(isinstance(one, Mapping) for one in data) else ()


def _lines(text: str) -> tuple[tuple[Mapping[str, Any], ...], tuple[int, ...]]:
    """The objects of json lines, and the numbers of the lines that are none; nothing if the first is none."""
    rows: list[Mapping[str, Any]] = []
    torn: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, Mapping):
            rows.append(row)
        elif not rows:
            return (), ()
        else:
            torn.append(number)
    return tuple(rows), tuple(torn)


def _object(pairs: list[tuple[str, Any]], repeated: list[str]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(key)
            seen.add(key)
    return made
