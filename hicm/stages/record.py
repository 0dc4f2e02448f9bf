"""What an interrupted prediction has finished, in journals beside its output: one of each process."""

import re
from pathlib import Path
from typing import Any

from hicm.journal import Journal


class Record:
    """Events, in the form of the task, and outcomes (`System.outcomes`) of finished videos, by video id.

    ``process`` keeps a journal of its own; another call, of however many processes, reads those of all.
    """

    def __init__(self, out: Path, identity: str, process: int = 0) -> None:
        self.identity = identity
        self._part = out.with_name(f".{out.name}.part")
        own = self._part if process == 0 else self._part.with_name(f"{self._part.name}-{process}")
        self.events, self.outcomes = self._open(own)

    def add(self, events: dict[str, Any], outcomes: dict[str, dict[str, int]]) -> None:
        """Record a finished batch."""
        if outcomes:
            self.outcomes.add(outcomes)  # first: a video whose events are recorded is not predicted again
        self.events.add(events)

    def own(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Events and outcomes in the journal of this process."""
        return self.events.done, self.outcomes.done

    def of_all(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Events and outcomes in the journals of all processes."""
        events: dict[str, Any] = {}
        outcomes: dict[str, Any] = {}
        for path in self._paths():
            found, how = self._open(path)
            events |= found.done
            outcomes |= how.done
        return events, outcomes

    def remove(self) -> None:
        """Delete the journals of all processes: the finished work is now in the output."""
        for path in self._paths():
            path.unlink(missing_ok=True)

    def _open(self, path: Path) -> tuple[Journal, Journal]:
        return Journal(path, self.identity), Journal(path, f"{self.identity} captions")

    def _paths(self) -> list[Path]:
        name = re.compile(re.escape(self._part.name) + r"(-\d+)?")
        return sorted(path for path in self._part.parent.glob(".*") if name.fullmatch(path.name))
