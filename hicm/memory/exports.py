"""A memory bank in other formats: json and csv for any program, and the files of the HiCM2 and CM2 code.

    json      {"info", "nodes": [{level, node, text, captions, children, author}], "captions": [{caption, video,
              sentence, text}]}; children are nodes one level down (level 1: captions); author "video#sentence" or null
    csv       one row per caption: caption, video, sentence, text, then node and summary at every level, fine to coarse
    released  the pickle of `hicm.memory.released_pickle`
    cm2       a folder with the three arrays of `hicm.memory.imports`: only the captions
"""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from hicm.errors import UserError
from hicm.files import atomic, write_json
from hicm.memory.bank import Bank, Leaves, load_bank
from hicm.memory.imports import EMBEDDINGS, SENTENCES, VIDEOS
from hicm.memory.released_pickle import write_released

FORMATS = ("json", "csv", "released", "cm2")


def export_bank(folder: str | Path, out: str | Path, format: str = "json", overwrite: bool = False) -> Path:
    """Write the bank in ``folder`` to the file ``out`` (cm2: the folder ``out``) in ``format``; returns ``out``.

    Raises UserError when the format is unknown, when there is no bank, when the bank lacks what the format needs
    (captions for csv, captions with embeddings for cm2), when a file is there already (unless ``overwrite``), or when
    it is one of the bank's own.
    """
    if format not in FORMATS:
        raise UserError(f"format {format!r}: expected {', '.join(FORMATS)}")
    bank, out = load_bank(folder), Path(out)
    if format == "cm2" and out.is_file():
        raise UserError(f"{out}: is a file; the cm2 format is a folder of three arrays")
    if format != "cm2" and out.is_dir():
        raise UserError(f"{out}: is a folder; name the {format} file to write")
    files = [_array_file(out, suffix) for suffix in (EMBEDDINGS, SENTENCES, VIDEOS)] if format == "cm2" else [out]
    for file in filter(Path.exists, files):
        if any(file.samefile(own) for own in Path(folder).iterdir()):
            raise UserError(f"{file}: belongs to the memory bank {folder}, which would be lost; write another file")
        if not overwrite:
            raise UserError(f"{file}: exists; write another file, or replace it with --overwrite")
    if format == "json":
        return _write_json(bank, out)
    if format == "released":
        return write_released(bank, out)
    if bank.leaves is None:
        raise UserError(f"{folder}: holds no captions, which the {format} format needs; export json or released")
    return _write_csv(bank, bank.leaves, out) if format == "csv" else _write_cm2(bank.leaves, out, folder)


def _write_json(bank: Bank, out: Path) -> Path:
    leaves, nodes = bank.leaves, []
    for number, level in enumerate(bank.levels, start=1):
        below = bank.leaves_by_node(number)
        nodes += [{"level": number, "node": node, "text": level.texts[node],
                   "captions": None if leaves is None else len(below[node]),
                   "children": level.children[node].tolist(), "author": _author(bank, int(level.authors[node]))}
                  for node in range(len(level))]
    captions = [{"caption": leaf, "video": leaves.videos[leaf], "sentence": int(leaves.sentences[leaf]), "text": text}
                for leaf, text in enumerate(leaves.texts)] if leaves is not None else []
    return write_json(out, {"info": bank.info, "nodes": nodes, "captions": captions})


def _author(bank: Bank, leaf: int) -> str | None:
    if leaf < 0 or bank.leaves is None:
        return None
    return f"{bank.leaves.videos[leaf]}#{bank.leaves.sentences[leaf]}"


def _write_csv(bank: Bank, leaves: Leaves, out: Path) -> Path:
    stream = io.StringIO(newline="")
    rows = csv.writer(stream, lineterminator="\n")
    head: list[Any] = ["caption", "video", "sentence", "text"]
    rows.writerow(head + [f"level_{number}{part}" for number in range(1, bank.depth + 1) for part in ("", "_text")])
    above = [bank.ancestors(number).tolist() for number in range(1, bank.depth + 1)]
    for leaf, (video, sentence, text) in enumerate(zip(leaves.videos, leaves.sentences, leaves.texts, strict=True)):
        row = [leaf, video, sentence, text]
        for level, nodes in zip(bank.levels, above, strict=True):
            row += [nodes[leaf], level.texts[nodes[leaf]]]
        rows.writerow(row)
    with atomic(out) as temporary:
        temporary.write_bytes(stream.getvalue().encode())
    return out


def _write_cm2(leaves: Leaves, out: Path, folder: str | Path) -> Path:
    """Three arrays named after the folder ``out``; embeddings are rounded to float16, as in that code."""
    if leaves.embeddings is None:
        raise UserError(f"{folder}: does not hold the embeddings of its captions, which the cm2 format needs; build "
                        "the bank from annotations, or import it with its captions embedded")
    with np.errstate(over="ignore"):
        embeddings = leaves.embeddings.astype(np.float16)
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise UserError(f"{out}: the embedding of caption {int(np.argmin(finite))} is too large for float16, which the "
                        "cm2 format uses; scale the embeddings")
    arrays = {EMBEDDINGS: embeddings[:, None], SENTENCES: np.asarray(leaves.texts), VIDEOS: np.asarray(leaves.videos)}
    for suffix, array in arrays.items():
        with atomic(_array_file(out, suffix)) as temporary:
            np.save(temporary, array)
    return out


def _array_file(out: Path, suffix: str) -> Path:
    return out / f"{out.resolve().name}{suffix}"
