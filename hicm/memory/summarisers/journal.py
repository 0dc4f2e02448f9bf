"""The answers of a language model so far, written as they arrive; the file is only ever appended to.

A line is a json list of the nodes that were asked for together, so that a batch is stored whole or not at all.  Each
entry has ``key`` (hash of prompt, model, settings and member texts), ``text`` (the summary; empty when every answer
broke the rule), ``fallback`` (what was wrong with the last answer), ``cleaned`` (kinds of what was removed around the
summary) and, for people, ``level``, ``node`` and the ``rejected`` answers.  Journals of earlier versions lack some.
"""

import errno
import hashlib
import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from hicm.errors import UserError

JOURNAL = "summaries.jsonl"  # in the bank's folder


@dataclass(frozen=True)
class Entry:
    """The outcome of one node."""

    key: str
    text: str
    fallback: str = ""
    level: int = 0
    node: int = 0
    rejected: tuple[str, ...] = ()
    cleaned: tuple[str, ...] = ()


class Journal:
    """The outcomes in a file, by key.  An incomplete last line (process killed, disk full) is dropped."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.known: dict[str, Entry] = {}
        self._lock = threading.Lock()
        content = self.path.read_bytes() if self.path.exists() else b""
        complete = content.rfind(b"\n") + 1
        self._torn = complete < len(content)
        for number, line in enumerate(content[:complete].splitlines(), start=1):
            self.known.update((entry.key, entry) for entry in self._parse(line, number))
        self._complete = complete

    def add(self, entries: list[Entry]) -> None:
        """Write a batch of outcomes to disk; safe from any thread.  Raises UserError when that fails."""
        line = (json.dumps([asdict(entry) for entry in entries], ensure_ascii=False) + "\n").encode()
        try:
            with self._lock:
                self._append(line)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror}); free space, then run the same command "
                            "again: answers so far are kept") from error
        self.known.update((entry.key, entry) for entry in entries)

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._torn:
            os.truncate(self.path, self._complete)
            self._torn = False
        with open(self.path, "ab", buffering=0) as stream:
            end = stream.seek(0, os.SEEK_END)
            if stream.write(line) < len(line):
                os.truncate(self.path, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(stream.fileno())

    def _parse(self, line: bytes, number: int) -> list[Entry]:
        try:
            entries = [Entry(**{**content, **{name: tuple(content.get(name, ())) for name in ("rejected", "cleaned")}})
                       for content in json.loads(line)]
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{self.path}, line {number}: not an answer of a language model ({error}); remove the "
                            "line, or remove the file to ask for everything again") from error
        for entry in entries:
            texts = all(isinstance(text, str) for text in (entry.key, entry.text, entry.fallback))
            if not texts or bool(entry.text) == bool(entry.fallback):
                raise UserError(f"{self.path}, line {number}: expected a key and either a text or a fallback; remove "
                                "the line")
        return entries


def key_of(*parts: object) -> str:
    """A hash of plain data."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]
