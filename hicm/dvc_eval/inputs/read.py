"""Reads predictions and references: any accepted layout becomes one `Track` per video, or one clear error line."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from hicm.errors import UserError
from hicm.files import read_json
from hicm.types import Event, Video

LARGEST = 1e300  # seconds; NaN and infinity are not below it, and an int may be too large for a float
NUMBERS = (float, int, Real)  # the common types first: asking for Real is slow


@dataclass(frozen=True)
class Track:
    """The events of one video in one file, in its order: spans (n, 2) float64 in seconds, and n captions."""

    spans: np.ndarray
    captions: tuple[str, ...]
    duration: float | None = None  # of the video in seconds, where the file gives it

    def __len__(self) -> int:
        return len(self.captions)


Tracks = dict[str, Track]  # by video id


def read_predictions(source: Any, warnings: list[str]) -> tuple[Tracks, str | None, tuple[str, ...]]:
    """Predicted events by video id, the run id given in the file (None: not given), and the file's top-level keys.

    ``source``: a path or the parsed content, ``{"results": {id: [{"sentence", "timestamp"}, ..]}}`` or the inner
    mapping alone; an event may also be a `hicm.types.Event`.  Appends to ``warnings``.  Raises UserError naming file,
    video and event.
    """
    content, where = _load(source, "predictions", warnings)
    run, keys = None, tuple(map(str, content)) if "results" in content else ()
    if "results" in content:
        run = content.get("run") if isinstance(content.get("run"), str) else None
        content = content["results"]
        if not isinstance(content, Mapping):
            raise UserError(f"{where}: 'results' is {_kind(content)}, expected a mapping from video id to events")
    else:
        for value in content.values():
            if isinstance(value, Mapping) and "timestamps" in value:
                raise UserError(f"{where}: this is an annotation file, expected predictions with the key 'results'; "
                                "are predictions and references swapped?")
            if not isinstance(value, Sequence) or isinstance(value, str):
                raise UserError(f"{where}: no key 'results'; expected {{'results': {{id: [{{'sentence': .., "
                                "'timestamp': [start, end]}, ..]}}")
    return {str(video): _predicted(events, f"{where}: video {video}") for video, events in content.items()}, run, keys


def read_references(source: Any, warnings: list[str]) -> list[Tracks]:
    """Reference events by video id, one mapping per annotator.

    ``source``: a path, the parsed content ``{id: {"duration", "timestamps", "sentences"}}``, a mapping from id to
    `hicm.types.Video`, or a list of these.  Appends to ``warnings``.  Raises UserError naming file, video and event;
    a video without events is an error too.
    """
    if not isinstance(source, str | Path | Mapping | Sequence):
        raise UserError(f"references: expected a path, the content of an annotation file, or a list of them, found "
                        f"{_kind(source)}")
    sources = [source] if isinstance(source, str | Path | Mapping) else list(source)
    if not sources:
        raise UserError("references: an empty list, expected at least one annotation file")
    annotators = []
    for number, one in enumerate(sources, start=1):
        content, where = _load(one, f"references {number}" if len(sources) > 1 else "references", warnings)
        if "results" in content and isinstance(content["results"], Mapping):
            raise UserError(f"{where}: this is a predictions file, expected annotations {{id: {{'duration', "
                            "'timestamps', 'sentences'}}; are predictions and references swapped?")
        if not content:
            raise UserError(f"{where}: no videos; expected {{id: {{'duration', 'timestamps', 'sentences'}}}}")
        annotators.append({str(video): _annotated(entry, f"{where}: video {video}") for video, entry in
                           content.items()})
    return annotators


def odd_spans(side: str, spans: np.ndarray, duration: np.ndarray) -> list[str]:
    """One warning for each kind of impossible span; such spans are scored by the formula all the same.

    ``spans`` (N, 2) and the ``duration`` (N,) of their videos are in seconds, inf where unknown.
    """
    start, end = spans.T
    odd = {"reversed (end before start)": end < start, "of zero length": end == start,
           "with a negative time": (start < 0) | (end < 0),
           # Annotations round to whole seconds, durations to hundredths: one second of grace.
           "beyond the video's duration": np.maximum(start, end) > duration + 1.0}
    return [f"{side}: {found.sum()} timestamps {kind}; scored by the formula" for kind, found in odd.items()
            if found.any()]


def _load(source: Any, name: str, warnings: list[str]) -> tuple[Mapping[str, Any], str]:
    """The content, and what error messages call it."""
    if isinstance(source, str | Path):
        repeated: list[str] = []
        content = read_json(source, name.rstrip("0123456789 "), lambda pairs: _object(pairs, repeated))
        if repeated:
            warnings.append(f"{source}: {len(repeated)} repeated keys (first: {repeated[0]}); the last one counts")
        where = str(source)
    else:
        content, where = source, name
    if not isinstance(content, Mapping):
        raise UserError(f"{where}: expected a json object by video id, found {_kind(content)}")
    results = content.get("results")
    for video in results if isinstance(results, Mapping) else content:
        if not str(video).isascii() and str(video).encode("utf-8", "ignore").decode() != video:
            raise UserError(f"{where}: video {str(video)!a}: holds half a character, which no file can; fix the id")
    return content, where


def _object(pairs: list[tuple[str, Any]], repeated: list[str]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(key)
            seen.add(key)
    return made


def _predicted(events: Any, where: str) -> Track:
    if not isinstance(events, Sequence) or isinstance(events, str):
        raise UserError(f"{where}: expected a list of events, found {_kind(events)}")
    spans, captions = [], []
    for index, event in enumerate(events):
        here = f"{where}, event {index}"
        if isinstance(event, Event):
            event = {"sentence": event.text, "timestamp": (event.span.start, event.span.end)}
        if not isinstance(event, dict | Mapping):
            raise UserError(f"{here}: expected {{'sentence', 'timestamp'}}, found {_kind(event)}")
        for key in ("sentence", "timestamp"):
            if key not in event:
                raise UserError(f"{here}: no key {key!r}; found {', '.join(map(repr, event)) or 'none'}")
        spans.append(_span(event["timestamp"], here))
        captions.append(_caption(event["sentence"], here))
    return Track(np.array(spans, dtype=np.float64).reshape(-1, 2), tuple(captions))


def _annotated(entry: Any, where: str) -> Track:
    if isinstance(entry, Video):
        entry = {"duration": entry.duration, "sentences": [event.text for event in entry.events],
                 "timestamps": [(event.span.start, event.span.end) for event in entry.events]}
    if not isinstance(entry, Mapping):
        raise UserError(f"{where}: expected {{'duration', 'timestamps', 'sentences'}}, found {_kind(entry)}")
    for key in ("timestamps", "sentences"):
        value = entry.get(key)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise UserError(f"{where}: {key!r} is {'missing' if key not in entry else _kind(value)}, expected a list")
    if len(entry["timestamps"]) != len(entry["sentences"]):
        raise UserError(f"{where}: {len(entry['timestamps'])} timestamps but {len(entry['sentences'])} sentences")
    if not entry["timestamps"]:
        raise UserError(f"{where}: no events, so recall has no denominator; remove the video from the references")
    spans = [_span(span, f"{where}, event {index}") for index, span in enumerate(entry["timestamps"])]
    captions = tuple(_caption(text, f"{where}, event {index}") for index, text in enumerate(entry["sentences"]))
    duration: Any = entry.get("duration")
    known = _is_number(duration) and abs(_seconds(duration)) < LARGEST
    return Track(np.array(spans, dtype=np.float64), captions, float(duration) if known else None)


def _span(value: Any, where: str) -> tuple[float, float]:
    if not isinstance(value, list | Sequence | np.ndarray) or isinstance(value, str) or len(value) != 2:
        raise UserError(f"{where}: timestamp {value!r:.60}, expected [start, end] in seconds")
    for number in value:
        if not _is_number(number):
            raise UserError(f"{where}: timestamp {value!r:.60}, expected numbers (seconds), found {_kind(number)}")
    start, end = map(_seconds, value)
    if not (abs(start) < LARGEST and abs(end) < LARGEST):
        raise UserError(f"{where}: timestamp {value!r:.60}, expected finite seconds")
    return start, end


def _seconds(number: Any) -> float:
    """A number as float64, so that single precision is compared in double; infinite where it is too large."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _is_number(value: Any) -> bool:
    return isinstance(value, NUMBERS) and not isinstance(value, bool)


def _caption(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{where}: sentence is {_kind(value)}, expected text")
    return value


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true/false", int: "a number", float: "a number",
             type(None): "null"}
    return names.get(type(value), type(value).__name__)
