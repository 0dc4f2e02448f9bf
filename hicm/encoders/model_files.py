"""What the encoders that load a model share."""

import hashlib
import textwrap
from pathlib import Path

from hicm.files import sha256

WEIGHTS = 64 << 20  # bytes: files above hold the weights of a large model


def identify(source: str, largest: int | None = None) -> str:
    """``<name>@<hash of content>`` for a file or folder on this machine; a name on the hub stays as it is.

    Of a folder, the files directly in it count; those above ``largest`` bytes, which would take minutes, by their
    size.
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


def reason(error: Exception) -> str:
    """The first line of a library's complaint, of bearable length."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[0], 240, placeholder=" ...")
