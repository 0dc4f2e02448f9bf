"""Given events: those of a file, which a system captions instead of events that it finds itself.

The file may also hold predicted moments: the best window of each query is then an event.
"""

import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from hicm.data.ids import no_match
from hicm.data.samples import SplitSamples
from hicm.dvc_eval.inputs.detect import sides_of
from hicm.dvc_eval.inputs.read import read_events
from hicm.errors import UserError
from hicm.files import refuse_special, require, sha256
from hicm.moments.of_videos import best_windows
from hicm.source import open_source
from hicm.types import Span

KEY = "given_events"  # of a predictions file


def predictions_file(run: Path, split: str, events: str = "") -> Path:
    """The predictions of a run for a split: ``predictions_<split>.json``, or ``predictions_<split>.<name>.json`` for
    given events, with the name of their file (or run folder).
    """
    path = Path(events)
    name = path.resolve().name if path.is_dir() else Path(path.name.removesuffix(".gz")).stem
    return run / (f"predictions_{split}.{name}.json" if events else f"predictions_{split}.json")


def events_file(events: str, split: str) -> Path:
    """The file that ``--events`` means: itself, or the predictions of a run folder.  Raises UserError without it."""
    if Path(events).is_dir():
        return require(predictions_file(Path(events), split), "events",
                       f"make them with 'hicm predict {events} --split {split}', or name a file after --events")
    path = require(events, "events", "correct --events")
    refuse_special(path, "a file of events")
    return path


def with_events(samples: SplitSamples, split: str, file: Path, format: str = "") -> SplitSamples:
    """The samples whose events stand in ``file``, predictions or annotations in any form that is scored, or moments.

    The events keep the order of the file, a video without any among them none.  Warns of videos that the file does not
    have.  Raises UserError when it cannot be read or has no video of the split.
    """
    rows = {video: row for row, video in enumerate(samples.ids)}

    def duration(video: str) -> float:
        return samples[rows[video]].duration if video in rows else 100.0  # of another split: never looked at

    noted: list[str] = []
    given = read_given(file, rows, duration, noted, format)
    for line in dict.fromkeys(noted):
        warnings.warn(line, stacklevel=3)
    missing = [video for video in samples.ids if video not in given]
    if len(missing) == len(samples.ids):
        raise UserError(f"{file}: has events of no video of split {split}: "
                        + no_match(samples.ids, given, file.name))
    if missing:
        warnings.warn(f"{file}: has no events of {len(missing)} of {len(samples.ids)} videos of split {split}, which "
                      f"are not captioned: {', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}", stacklevel=3)
    return samples.with_given(given)


def read_given(file: Path, ids: Collection[str], duration: Callable[[str], float], noted: list[str],
               format: str = "") -> dict[str, tuple[Span, ...]]:
    """The times of all events of a file, in seconds, by video; the other arguments are those of `read_events`."""
    moments = None if format else best_windows(open_source(file, "events", []))
    if moments is not None:
        return {video: tuple(Span(*window) for window in windows) for video, windows in moments.items()}
    side = "predictions" if format or "predictions" in sides_of(str(file)) else "references"
    tracks = read_events(str(file), ids, duration, noted, format, side)
    return {video: tuple(Span(start, end) for start, end in track.spans.tolist()) for video, track in tracks.items()}


def about_events(file: Path) -> dict[str, Any]:
    """What a predictions file records of the file whose events were captioned."""
    return {KEY: {"file": file.name, "sha256": sha256(file)}}
