"""Reference annotations: ``{video id: {"duration": s, "timestamps": [[start, end], ...], "sentences": [str, ...]}}``.

Times in seconds.  A ``.csv`` in the format of HowTo100M lists videos without captions.  Reading is strict about the
format.  The *content* of captions and events (blank, reversed, past the end) is not checked, because published files
contain such events; ``hicm.stages.check`` reports them.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hicm.config import HOLDOUT, DataConfig
from hicm.data.holdout import part_of
from hicm.data.ids import youtube_id
from hicm.data.pretraining import read_listing
from hicm.errors import UNPRINTABLE, UserError, brief
from hicm.files import read_json, require
from hicm.types import Event, Span, Video


def read_annotations(path: str | Path) -> dict[str, Video]:
    """Videos by id, in file order, events in file order; a video may have no events.

    Other keys of an entry ("path", ...) are ignored.  The videos of a ``.csv`` (`hicm.data.pretraining.read_listing`)
    have no events, and duration NaN: it is known only once the features are read.  Raises UserError naming file, video
    and item when the file is unreadable or holds no video, when a video occurs twice, or when an entry lacks a key, has
    lists of unequal length, a duration that is not a positive number, a timestamp that is not a pair of finite numbers,
    or a sentence that is not text.
    """
    if Path(path).suffix == ".csv":
        return {video_id: Video(video_id, math.nan, ()) for video_id in read_listing(path)}
    require(path, "annotation file", "put the data where data/README.md says, or correct data.annotations")
    content = read_json(path, "annotation file", _each_once)
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: expected {{video id: {{duration, timestamps, sentences}}}} with at least one video, "
                        f"found {_kind(content)}; see data/README.md")
    for video_id in content:
        if UNPRINTABLE.search(video_id):
            raise UserError(f"{path}: video {brief(video_id)}: its id holds a control character; rename it")
    return {video_id: _video(video_id, entry, f"{path}: video {video_id}") for video_id, entry in content.items()}


def read_split(config: DataConfig, split: str) -> dict[str, Video]:
    """The videos of a split, from its first file, i.e. that of the first annotator.

    With ``data.holdout``, split "holdout" is the part of the training split's file that is held out, and the training
    split is the rest.  Raises UserError when the settings know no such split, and as `read_annotations` does.
    """
    return part_of(config, split, read_annotations(split_files(config, split)[0]))


def split_references(config: DataConfig, split: str) -> list[str] | list[dict[str, Video]]:
    """The references of a split, one per annotator: its files, or with ``data.holdout`` the videos of the split."""
    files = split_files(config, split)
    if not config.holdout or split not in (config.train, HOLDOUT):
        return files
    return [part_of(config, split, read_annotations(file)) for file in files]


def held_out(config: DataConfig) -> set[str]:
    """The YouTube ids that ``data.holdout`` keeps out of training and memory; empty if it is 0."""
    return set(map(youtube_id, read_split(config, HOLDOUT))) if config.holdout else set()


def refuse_unusable_captions(videos: Iterable[Video], path: str | Path) -> None:
    """Raise UserError naming file, video and index of the first caption that memory and training cannot use.

    It is blank, or holds half a character (a lone surrogate), which no tokenizer or UTF-8 file takes.
    """
    for video in videos:
        for index, event in enumerate(video.events):
            if not event.text.strip():
                raise UserError(f"{path}: video {video.id}: sentences[{index}] is blank; fill it in, or remove the "
                                "event")
            if any("\ud800" <= letter <= "\udfff" for letter in event.text):
                raise UserError(f"{path}: video {video.id}: sentences[{index}] holds half a character (a lone "
                                "surrogate); correct it, or remove the event")


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


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A json object without repeated keys; plain parsing would keep the last of two videos with the same id."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in found if keys.count(key) > 1)} occurs twice in one object; keep one")
    return found


def _video(video_id: str, entry: Any, where: str) -> Video:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: expected {{duration, timestamps, sentences}}, found {_kind(entry)}")
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
    events = tuple(Event(_span(pair, f"{where}: timestamps[{i}]"), _sentence(text, f"{where}: sentences[{i}]"))
                   for i, (pair, text) in enumerate(zip(timestamps, sentences, strict=True)))
    return Video(video_id, float(duration), events)


def _span(pair: Any, where: str) -> Span:
    if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_number, pair)):
        raise UserError(f"{where}: expected [start, end] as two finite numbers of seconds, found {brief(pair)}")
    return Span(float(pair[0]), float(pair[1]))


def _sentence(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise UserError(f"{where}: expected text, found {_kind(text)}")
    return text


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
