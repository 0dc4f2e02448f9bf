"""A memory bank in other forms: json and csv to be read by anything, and the files of HiCM2's and CM2's code.

    json      {"info", "nodes": [{level, node, text, captions, children, author}], "captions": [{caption, video,
              sentence, text}]}; children are nodes one level down (level 1: captions); author "video#sentence" or null
    csv       one row a caption: caption, video, sentence, text, then node and summary at every level, fine to coarse
    released  the pickle of `hicm.memory.released_pickle`
    cm2       a folder with the three arrays of `hicm.memory.imports`: the captions alone
"""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hicm.errors import UserError
from hicm.files import atomic, write_json
from hicm.memory.bank import Bank, load_bank
from hicm.memory.imports import EMBEDDINGS, SENTENCES, VIDEOS
from hicm.memory.released_pickle import write_released


def export_bank(folder: str | Path, out: str | Path, format: str = "json") -> Path:
    """Write the bank of ``folder`` to the file ``out`` (cm2: folder ``out``) in ``format``; returns ``out``.

    A file that is there is replaced.  Raises UserError when the format is unknown, when there is no bank, or when the
    bank lacks what the format is made of: csv takes captions, cm2 captions with embeddings.
    """
    if format not in WRITERS:
        raise UserError(f"format {format!r}: expected {', '.join(WRITERS)}")
    bank, out = load_bank(folder), Path(out)
    if format == "cm2" and out.is_file():
        raise UserError(f"{out}: is a file; the cm2 form is a folder of three arrays")
    if format != "cm2" and out.is_dir():
        raise UserError(f"{out}: is a folder; name the {format} file to be written")
    if bank.leaves is None and format in ("csv", "cm2"):
        raise UserError(f"{folder}: holds no captions, which the {format} form lists; export json or released")
    if format == "cm2" and bank.leaves.embeddings is None:
        raise UserError(f"{folder}: does not hold its captions' embeddings, which the cm2 form consists of; build the "
                        "bank from annotations, or import it with its captions embedded")
    return WRITERS[format](bank, out)


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


def _write_csv(bank: Bank, out: Path) -> Path:
    stream, leaves = io.StringIO(newline=""), bank.leaves
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


def _write_cm2(bank: Bank, out: Path) -> Path:
    """Arrays named after the folder; embeddings rounded to float16, as that code keeps them."""
    leaves = bank.leaves
    with np.errstate(over="ignore"):
        embeddings = leaves.embeddings.astype(np.float16)
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise UserError(f"{out}: the embedding of caption {int(np.argmin(finite))} is too large for float16, which the "
                        "cm2 form takes; scale the embeddings")
    arrays = {EMBEDDINGS: embeddings[:, None], SENTENCES: np.asarray(leaves.texts), VIDEOS: np.asarray(leaves.videos)}
    for suffix, array in arrays.items():
        with atomic(out / f"{out.resolve().name}{suffix}") as temporary:
            np.save(temporary, array)
    return out


WRITERS: dict[str, Callable[[Bank, Path], Path]] = {
    "json": _write_json, "csv": _write_csv, "released": write_released, "cm2": _write_cm2}
