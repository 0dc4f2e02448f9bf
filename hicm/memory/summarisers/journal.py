"""What a language model has answered so far, kept as it comes: one json line a node, only ever added to.

A line holds ``key`` (hash of prompt, model, settings and member texts), ``text`` (the summary; empty when no answer
kept the rule), ``fallback`` (which rule the last answer broke), and for people ``level``, ``node`` and the ``rejected``
answers.
"""

import errno
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from hicm.errors import UserError


@dataclass(frozen=True)
class Entry:
    """The outcome of one node."""

    key: str
    text: str
    fallback: str = ""
    level: int = 0
    node: int = 0
    rejected: tuple[str, ...] = ()


class Journal:
    """The outcomes in a file, by key.  A last line that was cut off (killed, full disk) is dropped."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.known: dict[str, Entry] = {}
        content = self.path.read_bytes() if self.path.exists() else b""
        complete = content.rfind(b"\n") + 1
        self._torn = complete < len(content)
        for number, line in enumerate(content[:complete].splitlines(), start=1):
            entry = self._parse(line, number)
            self.known[entry.key] = entry
        self._complete = complete

    def add(self, entries: list[Entry]) -> None:
        """Write outcomes to the disk, all in one piece.  Raises UserError when they cannot be written."""
        lines = "".join(json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in entries).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._torn:
                os.truncate(self.path, self._complete)
                self._torn = False
            with open(self.path, "ab", buffering=0) as stream:
                end = stream.seek(0, os.SEEK_END)
                if stream.write(lines) < len(lines):
                    os.truncate(self.path, end)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(stream.fileno())
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror}); free space, then run the same command "
                            "again: what was answered is kept") from error
        self.known.update((entry.key, entry) for entry in entries)

    def _parse(self, line: bytes, number: int) -> Entry:
        try:
            content = json.loads(line)
            entry = Entry(**{**content, "rejected": tuple(content.get("rejected", ()))})
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{self.path}, line {number}: not an answer of a language model ({error}); remove the "
                            "line, or the file to ask for everything again") from error
        texts = all(isinstance(text, str) for text in (entry.key, entry.text, entry.fallback))
        if not texts or bool(entry.text) == bool(entry.fallback):
            raise UserError(f"{self.path}, line {number}: expected a key and either a text or a fallback; remove the "
                            "line")
        return entry


def key_of(*parts: object) -> str:
    """Hash of plain data."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]
