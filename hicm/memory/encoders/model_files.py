"""What the encoders that load a model share."""

import hashlib
import textwrap
from pathlib import Path

from hicm.files import sha256


def identify(source: str) -> str:
    """``<name>@<hash of content>`` for a file or folder on this machine; a name on the hub stays as it is.

    Of a folder, the files directly in it count.
    """
    path = Path(source)
    if path.is_file():
        return f"{path.name}@{sha256(path)[:16]}"
    if path.is_dir():
        listing = sorted(f"{file.name} {sha256(file)}" for file in path.iterdir() if file.is_file())
        return f"{path.name}@{hashlib.sha256(' '.join(listing).encode()).hexdigest()[:16]}"
    return source


def reason(error: Exception) -> str:
    """The first line of a library's complaint, of bearable length."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[0], 240, placeholder=" ...")
