"""Reference annotations: ``{video id: {"duration": s, "timestamps": [[start, end], ...], "sentences": [str, ...]}}``.

Times in seconds.  A ``.csv`` in the format of HowTo100M lists videos without captions.  Files of moment retrieval in
any format of `hicm.moments.formats` are read as well (`hicm.data.queries`).  Reading is strict about the format.  The
*content* of captions and events (blank, reversed, past the end) is not checked, because published files contain such
events; ``hicm.stages.check`` reports them.
"""

import math
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hicm.config import HOLDOUT, DataConfig
from hicm.data.holdout import part_of
from hicm.data.ids import refuse_unusable_id, youtube_id
from hicm.data.pretraining import read_listing
from hicm.data.queries import is_durations, is_moments, read_moments
from hicm.data.text import mend
from hicm.errors import UserError, brief
from hicm.files import each_once, read_json, require
from hicm.types import Event, Span, Video

_OF_MOMENTS = (".txt", ".jsonl")  # endings of moment-retrieval files, whose own readers give the better error
_ANNOTATIONS = "annotation file", "put the data where data/README.md says, or correct data.annotations"


def read_annotations(path: str | Path, captions: bool = True, mended: list[str] | None = None,
                     durations: str = "") -> dict[str, Video]:
    """Videos by id, in file order, events in file order; a video may have no events.

    Other keys of an entry ("path", ...) are ignored.  The videos of a ``.csv`` (`hicm.data.pretraining.read_listing`)
    have no events, and duration NaN: it is known only once the features are read.  Without ``captions`` a video that
    lacks times or sentences has no events.  Captions that were mended (`hicm.data.text.mend`) are appended to
    ``mended``; if that is None, a warning counts them.  ``durations``: the table of durations that goes with a file of
    Charades-STA.

    Raises UserError naming file, video and item when the file is unreadable or holds no video, when a video occurs
    twice or has an id that cannot name a file, or when an entry lacks a key, has lists of unequal length, a duration
    that is not a positive number, a timestamp that is not a pair of finite numbers, or a sentence that is not text.
    """
    if is_durations(path):
        raise UserError(f"{path}: is a table of durations, which follows the file of its sentences; list both in that "
                        f"order, e.g. [charades_sta_train.txt, {Path(path).name}]")
    if is_listing(path):
        return {video_id: Video(video_id, math.nan, ()) for video_id in read_listing(path)}
    require(path, *_ANNOTATIONS)
    found: list[str] = []
    try:
        videos = _read(path, captions, found)
    except UserError:
        if not is_moments(path) and Path(path).suffix not in _OF_MOMENTS:
            raise
        videos = read_moments(path, durations, found)
    if mended is not None:
        mended += found
    elif found:
        warnings.warn(f"{path}: {len(found)} captions hold control characters or halves of characters, which are read "
                      f"as blanks (the first: {found[0]})", stacklevel=2)
    return videos


def is_listing(path: str | Path) -> bool:
    """Whether a file lists videos without captions (`hicm.data.pretraining.read_listing`)."""
    return Path(path).suffix == ".csv" and not is_moments(path)


def _read(path: str | Path, captions: bool, mended: list[str]) -> dict[str, Video]:
    content = read_json(path, "annotation file", each_once)
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: expected {{video id: {{duration, timestamps, sentences}}}} with at least one video, "
                        f"found {_kind(content)}; see data/README.md")
    videos: dict[str, Video] = {}
    first = 1
    for video_id, entry in content.items():
        videos[video_id] = video = _video(video_id, entry, str(path), captions, mended, first)
        first += len(video.events)
    return videos


def read_split(config: DataConfig, split: str, captions: bool = True) -> dict[str, Video]:
    """The videos of a split, from its first file, i.e. that of the first annotator.

    With ``data.holdout``, split "holdout" is the part of the training split's file that is held out, and the training
    split is the rest.  Without ``captions`` the file need not have any.  Raises UserError when the settings know no
    such split, and as `read_annotations` does.
    """
    return part_of(config, split, read_first(split_files(config, split), captions))


def read_first(files: Sequence[str], captions: bool = True) -> dict[str, Video]:
    """The videos of the first annotator among the files of a split."""
    file, durations = annotators(files)[0]
    return read_annotations(file, captions, durations=durations)


def annotators(files: Sequence[str]) -> list[tuple[str, str]]:
    """The annotation file of each annotator, and the table of durations that follows it ("": none)."""
    found: list[tuple[str, str]] = []
    for file in files:
        if found and not found[-1][1] and is_durations(file):
            found[-1] = (found[-1][0], file)
        else:
            found.append((file, ""))
    return found


def split_references(config: DataConfig, split: str) -> list[str] | list[dict[str, Video]]:
    """The references of a split, one per annotator: its files, or with ``data.holdout`` the videos of the split.

    Raises UserError when the settings know no such split, or when one of its files is not there.
    """
    files = [str(require(file, *_ANNOTATIONS)) for file in split_files(config, split)]
    if not config.holdout or split not in (config.train, HOLDOUT):
        return files
    return [part_of(config, split, read_annotations(file, durations=durations))
            for file, durations in annotators(files)]


def held_out(config: DataConfig) -> set[str]:
    """The YouTube ids that ``data.holdout`` keeps out of training and memory; empty if it is 0."""
    return set(map(youtube_id, read_split(config, HOLDOUT))) if config.holdout else set()


def teaches_captions(config: DataConfig, split: str) -> bool:
    """Whether a system learns from the captions of a split, which may not be blank then."""
    return config.target == "captions" and split == config.train


def refuse_blank_captions(videos: Iterable[Video], path: str | Path) -> None:
    """Raise UserError naming file, video and index of the first blank caption; memory and training cannot use one."""
    for video in videos:
        for index, event in enumerate(video.events):
            if not event.text.strip():
                raise UserError(f"{path}: video {video.id}: sentences[{index}] is blank; fill it in, or remove the "
                                "event")


def split_files(config: DataConfig, split: str) -> list[str]:
    """The annotation files of a split, one per annotator; evaluation uses all of them as references.

    Split "holdout" has the files of the training split.  Raises UserError when the settings know no such split.
    """
    if split == HOLDOUT and config.holdout:
        if config.annotations.get(HOLDOUT):
            raise UserError(f"data.annotations: {HOLDOUT!r} is the name of the split that data.holdout makes; rename "
                            "yours")
        split = config.train
    if not config.annotations.get(split):
        known = ", ".join(name for name, files in config.annotations.items() if files) or "none"
        raise UserError(f"data.annotations: no files for split {split!r}; known splits: {known}")
    return config.annotations[split]


def _video(video_id: str, entry: Any, file: str, captions: bool, mended: list[str], first: int) -> Video:
    refuse_unusable_id(video_id, file)
    where = f"{file}: video {video_id}"
    if not isinstance(entry, dict):
        raise UserError(f"{where}: expected {{duration, timestamps, sentences}}, found {_kind(entry)}")
    if not captions and "duration" in entry and not (entry.get("timestamps") and entry.get("sentences")):
        entry = {"duration": entry["duration"], "timestamps": [], "sentences": []}
    for key in ("duration", "timestamps", "sentences"):
        if key not in entry:
            raise UserError(f"{where}: {key} is missing; see data/README.md for the format")
    duration, timestamps, sentences = entry["duration"], entry["timestamps"], entry["sentences"]
    if not _is_number(duration) or duration <= 0:
        raise UserError(f"{where}: duration: expected seconds > 0, found {brief(duration)}; measure it, "
                        "e.g. with ffprobe")
    for key, value in (("timestamps", timestamps), ("sentences", sentences)):
        if not isinstance(value, list):
            raise UserError(f"{where}: {key}: expected a list, found {_kind(value)}")
    if len(timestamps) != len(sentences):
        raise UserError(f"{where}: expected as many timestamps as sentences, found {len(timestamps)} and "
                        f"{len(sentences)}; pair them again")
    events = []
    for i, (pair, text) in enumerate(zip(timestamps, sentences, strict=True)):
        events.append(Event(_span(pair, f"{where}: timestamps[{i}]"), _sentence(text, f"{where}: sentences[{i}]")))
        if events[-1].text != text:
            mended.append(f"{video_id} sentences[{i}]")
    return Video(video_id, float(duration), tuple(events), first)


def _span(pair: Any, where: str) -> Span:
    if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_number, pair)):
        raise UserError(f"{where}: expected [start, end] as two finite numbers of seconds, found {brief(pair)}")
    return Span(float(pair[0]), float(pair[1]))


def _sentence(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise UserError(f"{where}: expected text, found {_kind(text)}")
    return mend(text)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return "nothing in it" if value in ({}, []) else names.get(type(value), "a number")
