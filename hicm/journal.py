"""Finished work of an interrupted stage: one line of json per finished part, read again when the stage continues."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hicm.files import append, json_text


class Journal:
    """Parts by name (``done``) that an earlier call of the same ``identity`` has finished, and those that are added.

    Lines of another identity are passed over, and so is the line that was being written when the stage was killed.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self.identity = path, identity
        self.done: dict[str, Any] = {}
        for line in _lines(path):
            if line.get("identity") == identity and isinstance(line.get("parts"), dict):
                self.done.update(line["parts"])
        self._broken = path.exists() and not _ends_a_line(path)

    def add(self, parts: dict[str, Any]) -> None:
        """Record finished parts at once.  Raises UserError when the disk is full."""
        line = json_text({"identity": self.identity, "parts": parts})
        append(self.path, "\n" * self._broken + line)  # never behind half a line
        self._broken = False
        self.done.update(parts)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            try:
                content = json.loads(line)
            except (ValueError, RecursionError):  # half a line, or thousands of digits or brackets
                continue
            if isinstance(content, dict):
                yield content


def _ends_a_line(path: Path) -> bool:
    content = path.read_bytes()
    return not content or content.endswith(b"\n")
