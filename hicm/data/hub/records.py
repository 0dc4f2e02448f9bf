"""``data/checksums.json``: what was fetched, from where, and its digest then; keyed by the path of the file.

    {"data/yc2/train.json": {"sha256": "...", "size": 123, "source": "https://...", "revision": "...",
                             "fetched": "2026-01-31T12:00:00+00:00"}}
"""

import hashlib
import typing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.locks import holding

FILE = "data/checksums.json"
CHUNK = 1 << 22  # bytes
BAR = 64 << 20  # bytes; larger files get a progress bar


@dataclass(frozen=True)
class Record:
    """A file as it was when it was fetched."""

    sha256: str
    size: int  # bytes
    source: str  # where it came from
    revision: str  # commit, '' where the source has none
    fetched: str  # ISO 8601, UTC


@dataclass(frozen=True)
class Digests:
    """Size in bytes, sha256, and git's blob id (by which the hub and git identify small files)."""

    size: int
    sha256: str
    git: str

    def matches(self, expected: str) -> bool:
        """Whether ``expected``, a sha256 or a blob id, is that of this file; '' always matches."""
        return expected in ("", self.sha256, self.git)


def digest_file(path: Path) -> Digests:
    """Read a file once for all its digests, with a progress bar if it is large."""
    try:
        size = path.stat().st_size
        whole, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        with open(path, "rb") as stream, tqdm(total=size, unit="B", unit_scale=True, desc=f"checking {path.name}",
                                              disable=size < BAR, leave=False) as bar:
            while chunk := stream.read(CHUNK):
                whole.update(chunk)
                git.update(chunk)
                bar.update(len(chunk))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return Digests(size, whole.hexdigest(), git.hexdigest())


class Records:
    """The records under ``folder``; `put` writes them immediately and atomically."""

    def __init__(self, folder: Path):
        self.path = folder / FILE
        self._records = self._read()

    def get(self, target: str) -> Record | None:
        return self._records.get(target)

    def put(self, target: str, digests: Digests, source: str, revision: str) -> Record:
        record = Record(digests.sha256, digests.size, source, revision, datetime.now(UTC).isoformat(timespec="seconds"))
        with holding(self.path.with_name(".checksums.json.lock"), "hicm download", wait=True):
            self._records = self._read() | {target: record}  # another command may have written in the meantime
            write_json(self.path, {name: asdict(self._records[name]) for name in sorted(self._records)})
        return record

    def _read(self) -> dict[str, Record]:
        if not self.path.exists():
            return {}
        content = read_json(self.path, "record of checksums")
        if not isinstance(content, dict):
            raise self._refuse("expected {file: {sha256, ...}}")
        return {target: self._record(target, entry) for target, entry in content.items()}

    def _record(self, target: str, entry: Any) -> Record:
        kinds = typing.get_type_hints(Record)
        if not isinstance(entry, dict) or any(not isinstance(entry.get(name), kind) for name, kind in kinds.items()):
            raise self._refuse(f"{target}: expected {', '.join(kinds)}")
        return Record(**{name: entry[name] for name in kinds})

    def _refuse(self, what: str) -> UserError:
        return UserError(f"{self.path}: {what}; remove the file and run the command again: it records again what "
                         "is there")
