"""Text files as editors leave them."""

from pathlib import Path

from hicm.errors import UserError


def read_text(path: Path) -> str:
    """UTF-8 text, with or without a byte-order mark; line ends as they are.  Raises UserError for anything else."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
