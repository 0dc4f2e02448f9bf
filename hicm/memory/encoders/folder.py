"""What a model on disk is, for the record of a bank."""

import hashlib
from pathlib import Path

from hicm.files import sha256


def folder_hash(path: str) -> str:
    """``@<hash>`` of all files directly in a folder; empty when ``path`` is no folder here (a name on the hub)."""
    if not Path(path).is_dir():
        return ""
    listing = sorted(f"{file.name} {sha256(file)}" for file in Path(path).iterdir() if file.is_file())
    return "@" + hashlib.sha256("\n".join(listing).encode()).hexdigest()[:16]
