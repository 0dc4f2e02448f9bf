"""The captions a memory is built from: splits, splits of other data sets, and plain files, in the order given.

A source is one of

    train                  a split of data.annotations
    captions.json          an annotation file, of dense captions or of moments (then also .jsonl or .txt)
    captions.txt           one caption per line, of no known video (blank lines are skipped)
    everyday.txt           as captions.txt; comes with hicm
    vitt/train             split train of the settings file vitt.yaml or configs/vitt.yaml; paths work: other/vitt/train
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hicm.config import DataConfig, load_config
from hicm.data.annotations import annotators, held_out, read_annotations, refuse_blank_captions, split_files
from hicm.data.ids import youtube_id
from hicm.data.queries import is_moments
from hicm.data.text import mend
from hicm.errors import UserError
from hicm.files import read_text, require
from hicm.packaged import packaged_captions, packaged_config

FILES = (".json", ".jsonl", ".txt")


@dataclass(frozen=True, eq=False)
class Captions:
    """N captions as they were written, in file order, duplicates kept."""

    texts: tuple[str, ...]
    videos: tuple[str, ...]  # video id of each; for a text file, the file's name
    sentences: np.ndarray  # [N] int64, index of the caption within its video (text file: index of the line)
    files: tuple[Path, ...]  # the files they came from


def read_captions(data: DataConfig, sources: Sequence[str]) -> Captions:
    """The captions of ``sources``, without those of videos that ``data.holdout`` holds out, in whatever file they are.

    Raises UserError naming the first blank caption or a source that is none of the above, and when there is no caption
    at all.
    """
    files = [source_file(data, source) for source in sources]
    unseen = held_out(data)
    found = [caption for file in files for caption in _read(*file) if youtube_id(caption[1]) not in unseen]
    if not found:
        raise UserError(f"memory.source={list(sources)}: no caption to build a memory from; name splits with captions")
    texts, videos, sentences = zip(*found, strict=True)
    return Captions(texts, videos, np.asarray(sentences, np.int64), tuple(file for file, _ in files))


def source_file(data: DataConfig, source: str) -> tuple[Path, str]:
    """The file behind a source, and the table of durations that goes with it ("": none).

    Of a split with several annotators, that of the first one.
    """
    if source in data.annotations or (not source.endswith(FILES) and "/" not in source):
        return _first(data, source)
    if source.endswith(FILES):
        return require(packaged_captions(source), "captions", "correct memory.source"), ""
    dataset, _, split = source.rpartition("/")
    recipes = [Path(f"{dataset}.yaml")]
    with contextlib.suppress(UserError):  # hicm has no recipe of that name
        recipes.append(packaged_config(Path("configs") / f"{dataset}.yaml"))
    for settings in recipes:
        if settings.is_file():
            return _first(load_config(settings).data, split)
    raise UserError(f"memory.source: {source!r}: no settings file {dataset}.yaml or configs/{dataset}.yaml, and no "
                    "split of data.annotations; name a split, <data set>/<split>, a .json or a .txt file")


def _first(data: DataConfig, split: str) -> tuple[Path, str]:
    file, durations = annotators(split_files(data, split))[0]
    return Path(file), durations


def _read(file: Path, durations: str) -> Iterator[tuple[str, str, int]]:
    """Captions, their videos and their numbers there; a query with several moments is one caption."""
    if file.suffix == ".txt" and not is_moments(file):
        lines = (mend(line).strip() for line in read_text(file, "file of captions").splitlines())
        yield from ((line, file.name, number) for number, line in enumerate(lines) if line)
        return
    videos = read_annotations(file, durations=durations)
    refuse_blank_captions(videos.values(), file)
    for video in videos.values():
        texts = [one.text for one in video.events] if video.queries is None else [one.text for one in video.queries]
        yield from ((text, video.id, number) for number, text in enumerate(texts))
