"""What the encoders that load a model share."""

import hashlib
import textwrap
from pathlib import Path

from hicm.files import sha256

LARGE = 64 << 20  # bytes


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


def identify_large(folder: str) -> str:
    """`identify` for a folder of weights that would take minutes to hash: of files above 64 MiB name and size count."""
    path = Path(folder)
    if not path.is_dir():
        return folder
    listing = sorted(f"{file.name} {file.stat().st_size if file.stat().st_size > LARGE else sha256(file)}"
                     for file in path.iterdir() if file.is_file())
    return f"{path.name}@{hashlib.sha256(' '.join(listing).encode()).hexdigest()[:16]}"


def reason(error: Exception) -> str:
    """The first line of a library's complaint, of bearable length."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[0], 240, placeholder=" ...")
