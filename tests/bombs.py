"""Pickles that run code when they are read as Python reads them."""

import os
from pathlib import Path


class Bomb:
    """Unpickled, it makes the file ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)
