"""What everything that loads a model shares: the identity of its files."""

import hashlib
from pathlib import Path

from hicm.files import sha256

WEIGHTS = 64 << 20  # bytes: larger files hold the weights of a large model


def identify(source: str, largest: int | None = None) -> str:
    """``<name>@<hash of content>`` for a file or folder on this machine; a name on the hub is returned unchanged.

    For a folder, the files directly in it are hashed; of those above ``largest`` bytes, which would take minutes, only
    the size is used.
    """
    path = Path(source)
    if path.is_file():
        return f"{path.name}@{sha256(path)[:16]}"
    if path.is_dir():
        sizes = {file: file.stat().st_size for file in path.iterdir() if file.is_file()}
        listing = sorted(f"{file.name} {sha256(file) if largest is None or size <= largest else size}"
                         for file, size in sizes.items())
        return f"{path.name}@{hashlib.sha256(' '.join(listing).encode()).hexdigest()[:16]}"
    return source
