"""Reads predictions and references: any known format becomes one `Track` per video, or one clear error line."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hicm.dvc_eval.inputs.detect import OPTIONS, detect
from hicm.dvc_eval.inputs.formats import _rows
from hicm.dvc_eval.inputs.match import in_seconds, match_files
from hicm.dvc_eval.inputs.reading import Reading, Track, Tracks
from hicm.errors import UserError
from hicm.source import Source, open_source
from hicm.values import kind_of

__all__ = ["Inputs", "Track", "Tracks", "read_events", "read_inputs", "read_predictions",
           "read_references"]


@dataclass(frozen=True)
class Inputs:
    """What is scored: predicted events and each annotator's, by video id.

    ``run``: the run id given in the predictions file (None: not given); ``keys``: that file's top-level keys;
    ``given``: the file whose events the predictions caption, where that file says so ("": it does not).
    """

    predicted: Tracks
    annotators: list[Tracks]
    run: str | None
    keys: tuple[str, ...]
    given: str = ""


def read_inputs(predictions: Any, references: Any, warnings: list[str], format: str = "",
                reference_format: str = "") -> Inputs:
    """Both sides, in seconds and under the references' ids.

    Each side is a path, or content, in one of the formats of `hicm.dvc_eval.inputs.formats`; a list of references has
    one per annotator.  A format that is not named is told by the content.  Appends to ``warnings``.  Raises UserError
    naming file, video and event.
    """
    predicted, reading, source = _read(predictions, "predictions", "predictions", warnings, format)
    annotators = _annotators(references, warnings, reference_format)
    if reading.file_names:
        predicted = match_files(predicted, set().union(*(tracks for tracks, _ in annotators)), reading.where, warnings)
    tracks = [match_files(own, set(predicted), found.where, warnings) if found.file_names else own
              for own, found in annotators]
    if reading.hundredths:
        predicted = in_seconds(predicted, tracks, reading.where)
    return Inputs(predicted, tracks, *_about(source), _given(source))


def read_predictions(source: Any, warnings: list[str]) -> tuple[Tracks, str | None, tuple[str, ...]]:
    """Predicted events by video id, as the file has them, and ``run`` and ``keys`` of `Inputs`."""
    tracks, _, content = _read(source, "predictions", "predictions", warnings, "")
    return tracks, *_about(content)


def read_events(source: Any, ids: Collection[str], duration: Callable[[str], float | None],
                warnings: list[str], format: str = "", side: str = "predictions") -> Tracks:
    """Events of one file by video id in seconds, without those of another to compare them with.

    ``ids``: known ones, which the names of video files become; ``duration``: seconds of a video by its id (None: not
    known), asked for only where times are shares of it; ``side``: "predictions" or "references" (`sides_of`), which
    may have no events here.  Raises UserError where a duration is needed and not known.
    """
    tracks, reading, _ = _read(source, side, side, warnings, format)
    if reading.file_names:
        tracks = match_files(tracks, ids, reading.where, warnings)
    if reading.hundredths:
        none = np.empty((0, 2))
        tracks = in_seconds(tracks, [{video: Track(none, (), duration(video)) for video in tracks}], reading.where)
    return tracks


def read_references(source: Any, warnings: list[str]) -> list[Tracks]:
    """Reference events by video id, one mapping per annotator, as the files have them.

    ``source``: a path, the parsed content, a mapping from id to `hicm.types.Video`, or a list of these.  Raises
    UserError as `read_inputs` does; a video without events is an error too.
    """
    return [tracks for tracks, _ in _annotators(source, warnings, "")]


def _read(source: Any, side: str, what: str, warnings: list[str], format: str) -> tuple[Tracks, Reading, Source]:
    content = open_source(source, what, warnings)
    name, colon, subset = format.partition(":")
    part = detect(content, side, name)
    if colon and not getattr(part, "SUBSETS", False):
        raise UserError(f"{OPTIONS[side]} {format}: the format {name} has no subsets; leave ':{subset}' out")
    reading = Reading(content.where)
    part.read(content, reading, **({"subset": subset} if colon else {}))
    for number in content.torn:
        reading.unread("not a json object", f"line {number}")
    return reading.tracks(warnings), reading, content


def _annotators(references: Any, warnings: list[str], format: str) -> list[tuple[Tracks, Reading]]:
    if not isinstance(references, str | Path | Mapping | Sequence):
        raise UserError(f"references: expected a path, the content of an annotation file, or a list of them, found "
                        f"{kind_of(references)}")
    alone = isinstance(references, str | Path | Mapping) or _is_rows(references)
    sources: list[Any] = [references] if alone else list(references)  # type: ignore[arg-type]
    if not sources:
        raise UserError("references: an empty list, expected at least one annotation file")
    annotators = []
    for number, one in enumerate(sources, start=1):
        what = f"references {number}" if len(sources) > 1 else "references"
        tracks, reading, _ = _read(one, "references", what, warnings, format)
        if reading.hundredths:
            raise UserError(f"{reading.where}: times are shares of the video's length; give references in seconds")
        empty = next((video for video, track in tracks.items() if not len(track)), None)
        if empty is not None:
            raise UserError(f"{reading.where}: video {empty}: no events, so recall has no denominator; remove the "
                            "video from the references")
        annotators.append((tracks, reading))
    return annotators


def _is_rows(content: Sequence[Any]) -> bool:
    """Whether a list is the content of one file, a row per event or video, and not a list of annotators."""
    return len(content) > 0 and all(isinstance(row, Mapping) and isinstance(_rows.get(row, _rows.VIDEO), str | int)
                                    for row in content)


def _given(source: Source) -> str:
    """The file whose events a predictions file of `hicm predict --events` captions."""
    about = source.data.get("given_events") if isinstance(source.data, Mapping) and "results" in source.data else None
    name = about.get("file") if isinstance(about, Mapping) else None
    return name if isinstance(name, str) else ""


def _about(source: Source) -> tuple[str | None, tuple[str, ...]]:
    """The run id in a predictions file, and the file's top-level keys."""
    content = source.data if isinstance(source.data, Mapping) and "results" in source.data else {}
    run = content.get("run")
    return run if isinstance(run, str) else None, tuple(map(str, content))
