"""Writing files without replacing others."""

from collections.abc import Mapping
from pathlib import Path

from hicm.errors import UserError


def refuse_other_content(files: Mapping[Path, str], overwrite: bool = False) -> None:
    """UserError for the first path that exists with other content than is to be written, unless ``overwrite``."""
    for path, text in files.items():
        if path.is_dir():
            raise UserError(f"{path}: is a folder; name a file")
        if not overwrite and path.exists() and path.read_bytes() != text.encode():
            raise UserError(f"{path}: exists and holds something else; choose another --out, or replace it with "
                            "--overwrite")
