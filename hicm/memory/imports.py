"""Memory banks of published code turned into ours: HiCM2's pickle (`hicm.memory.released_pickle`), CM2's flat bank.

A CM2 bank is three arrays of N training sentences in one folder:

    <name>_clip_token_embeds.npy   float16 [N, 1, D] or [N, D], text embeddings, not normalised
    <name>_scene_sentences.npy     unicode [N]
    <name>_scene_videoID.npy       unicode [N]

It becomes a tree of one level with one node per caption, so that ``retrieval.search=flat`` reads it as CM2 does.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hicm.arrays import read_npy
from hicm.data.annotations import read_annotations
from hicm.encoders import Encoder
from hicm.errors import UserError
from hicm.files import require, sha256
from hicm.memory.bank import Bank, Leaves, Level, plain, store_bank
from hicm.memory.released_pickle import read_released

EMBEDDINGS, SENTENCES, VIDEOS = "_clip_token_embeds.npy", "_scene_sentences.npy", "_scene_videoID.npy"
PROBED = 16  # summaries that are encoded again to recognise a bank's encoder
ALIKE = 0.95  # least median cosine of these to the stored embeddings


def import_bank(source: str | Path, out: str | Path, encoder: str = "", annotations: Sequence[str | Path] = (),
                widen: bool = False, overwrite: bool = False, captions_by: Encoder | None = None) -> Path:
    """Write the bank in ``source`` into the folder ``out`` in our format; returns ``out``.

    ``source``: a released ``.pkl``, or a CM2 folder (or its ``<name>_clip_token_embeds.npy``).  ``encoder`` is the
    name of the text encoder that made the embeddings, as ``memory.encoder`` spells it; empty: unknown.
    ``annotations``: the files whose captions, in file order, are the sentences; they give a released bank its videos.
    ``widen``: float16 embeddings become float32.  ``captions_by`` embeds the captions of a released bank, which
    leave-own-out needs and the pickle lacks; it must be the bank's encoder, and needs ``annotations``.

    Does nothing when ``out`` already holds this import.  Raises UserError naming the level and cluster (or row) that is
    malformed or the first sentence that differs from the annotations, and when ``out`` holds another bank (unless
    ``overwrite``).
    """
    source = require(source, "bank to import", "give a hierarchical_clustering_results_*.pkl, or a CM2 bank folder")
    files: tuple[Path, ...] = (source,)
    levels: tuple[Level, ...]
    leaves: Leaves | None
    if source.is_dir() or source.suffix == ".npy":
        files = _flat_files(source)
        levels, leaves = _read_flat(*files)
    else:
        levels, leaves = read_released(source)
    if annotations:
        leaves = _with_origin(leaves, [Path(file) for file in annotations], source)
    if captions_by is not None:
        leaves = _embedded(leaves, levels[0], captions_by, encoder, source)
        encoder = captions_by.name
    if widen:
        levels, leaves = _widened(levels, leaves)
    imported: dict[str, Any] = {"file": files[0].name, "sha256": sha256(files[0])}
    if len(files) > 1:
        imported["with"] = {file.name: sha256(file) for file in files[1:]}
    info = {"encoder": encoder or "unknown", "summariser": "imported", "sources": [files[0].name], "imported": imported,
            "dtype": str(levels[0].embeddings.dtype), "captions": 0 if leaves is None else len(leaves),
            "captions_embedded": leaves is not None and leaves.embeddings is not None}
    if annotations:
        info["annotations"] = [{"file": Path(file).name, "sha256": sha256(file)} for file in annotations]
    return store_bank(Bank(levels, leaves, plain(info)).validate(source), out, overwrite)


def _flat_files(source: Path) -> tuple[Path, Path, Path]:
    """The three arrays of a CM2 bank."""
    if source.is_dir():
        found = sorted(source.glob(f"*{EMBEDDINGS}"))
        if len(found) != 1:
            raise UserError(f"{source}: {len(found)} files *{EMBEDDINGS}; expected one bank per folder (name the file "
                            "itself, import one after the other, then use 'hicm memory merge')")
        source = found[0]
    name = source.name.removesuffix(EMBEDDINGS)
    if name == source.name:
        raise UserError(f"{source}: expected <name>{EMBEDDINGS}, or the folder that holds it")
    sentences, videos = (require(source.with_name(name + suffix), "part of the CM2 bank",
                                 f"it belongs beside {source.name}") for suffix in (SENTENCES, VIDEOS))
    return source, sentences, videos


def _read_flat(embeddings_file: Path, sentences_file: Path, videos_file: Path) -> tuple[tuple[Level, ...], Leaves]:
    embeddings = _load(embeddings_file, "f", "floats")
    if embeddings.ndim == 3 and embeddings.shape[1] == 1:
        embeddings = embeddings[:, 0]
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise UserError(f"{embeddings_file}: expected [N, 1, D] or [N, D] with at least one row, found "
                        f"{list(embeddings.shape)}")
    with np.errstate(over="ignore"):
        embeddings = embeddings.astype(np.float16 if embeddings.dtype.itemsize == 2 else np.float32)
    texts, videos = (_load(file, "U", "unicode text") for file in (sentences_file, videos_file))
    for file, array in ((sentences_file, texts), (videos_file, videos)):
        if array.shape != (len(embeddings),):
            raise UserError(f"{file}: shape {list(array.shape)}, expected [{len(embeddings)}] as in "
                            f"{embeddings_file.name}")
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise UserError(f"{embeddings_file}: row {int(np.argmin(finite))} is not finite; encode this sentence again")
    rows = np.arange(len(texts))
    leaves = Leaves(tuple(texts.tolist()), embeddings, tuple(videos.tolist()), _places(videos.tolist()))
    return (Level(leaves.texts, embeddings, tuple(rows[:, None]), rows),), leaves


def _load(file: Path, kind: str, what: str) -> np.ndarray:
    try:
        array = read_npy(file)
        if kind == "U":
            "".join(array.ravel().tolist()).encode()
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{file}: expected an array of {what} ({error})") from error
    if array.dtype.kind != kind:
        raise UserError(f"{file}: expected an array of {what}, found {array.dtype}")
    return array


def _places(videos: Sequence[str]) -> np.ndarray:
    """For each caption, how many of the same video came before it, int64 [N]."""
    seen: Counter[str] = Counter()
    places = []
    for video in videos:
        places.append(seen[video])
        seen[video] += 1
    return np.asarray(places, np.int64)


def _with_origin(leaves: Leaves | None, files: Sequence[Path], source: Path) -> Leaves:
    """``leaves`` with videos and sentence numbers, once every text has been compared with its caption."""
    if leaves is None:
        raise UserError(f"{source}: has no sentence indices to compare with annotations; import it without them")
    captions = [(video.id, number, event.text) for file in files for video in read_annotations(file).values()
                for number, event in enumerate(video.events)]
    where = ", ".join(file.name for file in files)
    remedy = "give the files that the bank was built from, in the same order"
    indices = np.arange(len(leaves)) if any(leaves.videos) else leaves.sentences
    for index, text in zip(indices.tolist(), leaves.texts, strict=True):
        if index >= len(captions):
            raise UserError(f"{source}: has a sentence {index} ({text!r}), but {where} has only {len(captions)} "
                            f"captions; {remedy}")
        video, number, caption = captions[index]
        if text.strip() != caption.strip():
            raise UserError(f"{source}: sentence {index} is {text!r}, but caption {index} of {where} (video {video}, "
                            f"sentence {number}) is {caption!r}; {remedy}")
    if indices[-1] + 1 < len(captions):
        raise UserError(f"{source}: ends with sentence {indices[-1]}, but {where} has {len(captions)} captions; "
                        f"{remedy}")
    origins = [captions[index] for index in indices.tolist()]
    return replace(leaves, videos=tuple(video for video, _, _ in origins),
                   sentences=np.asarray([number for _, number, _ in origins], np.int64))


def _embedded(leaves: Leaves | None, finest: Level, encoder: Encoder, named: str, source: Path) -> Leaves:
    """``leaves`` with embeddings by ``encoder``, once it has been checked that it made those of the bank."""
    if leaves is None or not all(leaves.videos):
        raise UserError(f"{source}: captions are embedded so that a video's own can be left out, which needs their "
                        "videos; give the annotations that the bank was built from")
    if named not in ("", encoder.name):
        raise UserError(f"{source}: made by {named}, but its captions would be embedded by {encoder.name}; use the "
                        "same encoder")
    stored = finest.embeddings[:PROBED].astype(np.float32)
    again = encoder.encode(finest.texts[:PROBED])
    if again.shape != stored.shape:
        raise UserError(f"{source}: embeddings are {stored.shape[1]} wide, those of {encoder.name} {again.shape[1]}; "
                        "use the encoder that made the bank")
    cosine = np.median((stored * again).sum(axis=1)
                       / np.maximum(np.linalg.norm(stored, axis=1) * np.linalg.norm(again, axis=1), 1e-12))
    if cosine < ALIKE:
        raise UserError(f"{source}: {encoder.name} embeds the same summaries differently (cosine {cosine:.2f} to the "
                        "stored embeddings); use the encoder that made the bank")
    return leaves if leaves.embeddings is not None else replace(leaves, embeddings=encoder.encode(leaves.texts))


def _widened(levels: tuple[Level, ...], leaves: Leaves | None) -> tuple[tuple[Level, ...], Leaves | None]:
    if leaves is not None and leaves.embeddings is not None:
        leaves = replace(leaves, embeddings=leaves.embeddings.astype(np.float32))
    return tuple(replace(level, embeddings=level.embeddings.astype(np.float32)) for level in levels), leaves
