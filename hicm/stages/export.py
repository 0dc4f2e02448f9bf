"""Captions of hicm caption or its viewer, written in other formats."""

from collections.abc import Sequence
from pathlib import Path

from hicm.errors import UserError
from hicm.exports import OWN, Refused, check_formats, path_of, text_of
from hicm.exports.json import read
from hicm.files import require, write_text
from hicm.stages.caption import FORMATS
from hicm.stages.new_files import refuse_other_content

REMEDY = "give a .json that hicm caption or the viewer wrote"


def export_files(files: Sequence[str], formats: Sequence[str] = (), out: str = "", overwrite: bool = False) -> str:
    """Write every file in every format, by default what hicm caption writes, beside it or to the folder ``out``.

    Returns what to print.  Raises UserError before anything is written when a file holds no captions, two are of one
    video, or when a file with other content would be replaced; and Refused, once all others are written, with the
    reasons of formats that cannot hold the events.
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
                refused.append(f"{file}: {error}")
    refuse_other_content(texts, overwrite)
    for path, text in texts.items():
        write_text(path, text)
    if refused:
        raise Refused("; ".join(refused))
    return "\n".join(map(str, texts))
