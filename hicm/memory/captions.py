"""The captions a memory is built from: splits, splits of other data sets, and plain files, in the order given.

A source is one of

    train                  a split of data.annotations
    captions.json          an annotation file
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
from hicm.data.annotations import held_out, read_annotations, refuse_blank_captions, split_files
from hicm.data.ids import youtube_id
from hicm.data.text import mend
from hicm.errors import UserError
from hicm.files import read_text, require
from hicm.packaged import packaged_captions, packaged_config


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
    files = tuple(source_file(data, source) for source in sources)
    unseen = held_out(data)
    found = [caption for file in files for caption in _read(file) if youtube_id(caption[1]) not in unseen]
    if not found:
        raise UserError(f"memory.source={list(sources)}: no caption to build a memory from; name splits with captions")
    texts, videos, sentences = zip(*found, strict=True)
    return Captions(texts, videos, np.asarray(sentences, np.int64), files)


def source_file(data: DataConfig, source: str) -> Path:
    """The file behind a source; of a split with several annotators, that of the first one."""
    if source in data.annotations or (not source.endswith((".json", ".txt")) and "/" not in source):
        return Path(split_files(data, source)[0])
    if source.endswith((".json", ".txt")):
        return require(packaged_captions(source), "captions", "correct memory.source")
    dataset, _, split = source.rpartition("/")
    recipes = [Path(f"{dataset}.yaml")]
    with contextlib.suppress(UserError):  # hicm has no recipe of that name
        recipes.append(packaged_config(Path("configs") / f"{dataset}.yaml"))
    for settings in recipes:
        if settings.is_file():
            return Path(split_files(load_config(settings).data, split)[0])
    raise UserError(f"memory.source: {source!r}: no settings file {dataset}.yaml or configs/{dataset}.yaml, and no "
                    "split of data.annotations; name a split, <data set>/<split>, a .json or a .txt file")


def _read(file: Path) -> Iterator[tuple[str, str, int]]:
    if file.suffix == ".txt":
        lines = (mend(line).strip() for line in read_text(file, "file of captions").splitlines())
        yield from ((line, file.name, number) for number, line in enumerate(lines) if line)
        return
    videos = read_annotations(file)
    refuse_blank_captions(videos.values(), file)
    for video in videos.values():
        yield from ((event.text, video.id, number) for number, event in enumerate(video.events))
