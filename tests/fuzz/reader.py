"""What it takes to fuzz a reader."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.fuzz.damage import Damage, damage_bytes


class Reader(NamedTuple):
    """``make(folder)``: sound files; ``read(file)``: all of one, looked at; ``damage``: besides `damage_bytes`."""

    name: str  # of the file
    make: Callable[[Path], list[bytes]]
    read: Callable[[Path], Any]
    damage: Damage = damage_bytes
    slow: bool = False  # left out by default

    def path(self, folder: Path) -> Path:
        return folder / self.name
