"""Captions of hicm caption or its viewer, written in other formats."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hicm.errors import Refused, UserError, printable
from hicm.exports import OWN, check_formats, path_of, text_of
from hicm.exports.json import read
from hicm.files import require, write_text
from hicm.stages.caption import FORMATS
from hicm.stages.new_files import refuse_other_content

REMEDY = "give a .json that hicm caption or the viewer wrote"


@dataclass(frozen=True)
class Exported:
    """The files that were written; what no format could hold was printed as it was met."""

    paths: tuple[Path, ...]
    refused: tuple[str, ...]  # file, format and reason, a line each

    @property
    def ok(self) -> bool:
        return not self.refused

    def __str__(self) -> str:
        return "\n".join(printable(str(path)) for path in self.paths) or "no file was written"


def export_files(files: Sequence[str], formats: Sequence[str] = (), out: str = "", overwrite: bool = False) -> Exported:
    """Write every file in every format, by default what hicm caption writes, beside it or to the folder ``out``.

    A format that cannot hold the events is reported on standard error, a line for each file; the others are written.
    Raises UserError before anything is written when a file holds no captions, two are of one video, or when a file with
    other content would be replaced.
    """
    names = list(dict.fromkeys(formats)) or [name for name in FORMATS if name != OWN]
    check_formats(names)
    texts: dict[Path, str] = {}
    refused: list[str] = []
    for file in files:
        if require(file, "captions", REMEDY).is_dir():
            raise UserError(f"{file}: expected captions, found a folder; {REMEDY}, e.g. {Path(file) / 'NAME.json'}")
        captioned = read(Path(file))
        folder = Path(out) if out else Path(file).parent
        for name in names:
            path = path_of(captioned.id, folder, name)
            if path in texts:
                raise UserError(f"{file}: would be written to {path}, as another of these files; export them to "
                                "different folders")
            try:
                texts[path] = text_of(captioned, folder, name)
            except Refused as error:
                refused.append(str(Refused(f"{file}: {error}")))
    refuse_other_content(texts, overwrite)
    for path, text in texts.items():
        write_text(path, text)
    for line in refused:
        print(f"hicm: error: {line}", file=sys.stderr)
    return Exported(tuple(texts), tuple(refused))
