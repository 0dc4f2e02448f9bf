"""The record of videos that failed: a line {video, stage, reason} each, in a file that several calls may share."""

import json
import warnings
from pathlib import Path

from hicm.errors import UserError
from hicm.files import read_text, write_text
from hicm.locks import holding


class Failures:
    """Keeps the record in ``path``.  Lines of other videos, and any other lines, are kept.

    If it cannot be read or written, one warning is given and the work continues.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._warned = False

    def note(self, video: Path, reason: str | None, stage: str = "") -> None:
        """Replace the line of a video; remove it if ``reason`` is None.  Other processes may do so at the same time."""
        try:
            self._replace(video, reason, stage)
        except (UserError, OSError) as error:
            if not self._warned:
                said = f"{self.path}: {error.strerror}" if isinstance(error, OSError) else error
                warnings.warn(f"{said}; failures are printed, but not recorded", stacklevel=3)
            self._warned = True

    def _replace(self, video: Path, reason: str | None, stage: str) -> None:
        if reason is None and not self.path.exists():
            return
        with holding(self.path.with_name(f".{self.path.name}.lock"), "hicm", wait=True):
            before = read_text(self.path, "record of failures") if self.path.exists() else ""
            lines = [line for line in before.split("\n") if line and not _is_of(line, video)]
            if reason is not None:
                lines.append(json.dumps({"video": str(video), "stage": stage, "reason": reason}))
            after = "".join(f"{line}\n" for line in lines)
            if not after:
                self.path.unlink(missing_ok=True)
            elif after != before:
                write_text(self.path, after)


def _is_of(line: str, video: Path) -> bool:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):  # half-written, or a user's note
        return False
    return isinstance(found, dict) and found.get("video") == str(video)
