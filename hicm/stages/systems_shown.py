"""Reads what `hicm view` shows: for each system or annotator, from files or run folders, its events by video."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hicm.data.imports import subtitles
from hicm.dvc_eval.inputs.read import Tracks
from hicm.dvc_eval.inputs.read import read_references as read_annotators
from hicm.errors import UserError
from hicm.exports import Captioned
from hicm.exports.json import read as read_captions
from hicm.files import read_json, require
from hicm.stages.each_video import SOUND_SUFFIXES, SUFFIXES
from hicm.types import Event, Span
from hicm.viewer.content import Kind

UNKNOWN = math.nan  # duration, in seconds
SUBTITLES = (".srt", ".vtt")
CAPTIONS = "captions"  # name of the lane of a single system, whose file is named like the video


@dataclass(frozen=True, eq=False)
class EventSource:
    """One source of events: its name, and its captions by video id; durations that it does not give are NaN."""

    name: str
    kind: Kind
    videos: dict[str, Captioned]


def read_systems(given: Sequence[str], read: Callable[[Path], Tracks], ids: Collection[str], split: str,
                 warnings: list[str]) -> tuple[list[EventSource], list[EventSource]]:
    """The systems of files and folders in their order, and the references of run folders.

    What hicm caption wrote into one folder is one system.  ``read`` reads predictions of any other form; ``ids``: known
    videos, one of which the name of subtitles may begin with.  Raises UserError when something is missing, or cannot
    be shown.
    """
    paths = [require(path, "predictions", "give what hicm caption or hicm predict wrote") for path in given]
    runs = [path for path in paths if (path / "config.yaml").is_file()]
    if split and not runs:
        raise UserError(f"--split {split} is for run folders, whose settings know the split")
    found: dict[Path, EventSource] = {}  # by file, or folder, in the order given
    folders: dict[Path, list[Captioned]] = {}
    of_runs, references = _runs(runs, split, warnings) if runs else ([], [])
    for path in (file for one in paths for file in ([one] if one in runs else _files(one))):
        if path in runs:
            found[path] = of_runs[runs.index(path)]
        elif path.suffix.lower() in SUBTITLES:
            found[path] = _subtitles(path, ids)
        elif _is_captions(path):
            folders.setdefault(path.parent, []).append(read_captions(path))
            found[path.parent] = _captions(path.parent, folders[path.parent])
        else:
            found[path] = _predictions(path, read)
    systems = _with_names(list(found.values()))
    return ([replace(systems[0], name=CAPTIONS)] if len(systems) == len(folders) == 1 else systems), references


def read_references(files: Sequence[str], warnings: list[str]) -> list[EventSource]:
    """The annotators of annotation files, in any form that the evaluator reads."""
    paths = [str(require(file, "annotation file", "correct --reference")) for file in files]
    return annotators([{video: _captioned(video, track) for video, track in _timed(tracks).items()}
                       for tracks in read_annotators(paths, warnings)] if paths else [])


def annotators(found: Sequence[dict[str, Captioned]]) -> list[EventSource]:
    """References, with the names of their lanes."""
    return [EventSource("reference" if len(found) == 1 else f"reference {number}", "reference", videos)
            for number, videos in enumerate(found, start=1)]


def _files(path: Path) -> list[Path]:
    """The file itself, or the captions in a folder.  Raises UserError when a folder has none."""
    if not path.is_dir():
        if path.suffix.lower() in (*SUFFIXES, *SOUND_SUFFIXES):
            raise UserError(f"{path}: expected predictions, found a video or sound file; give what hicm caption wrote "
                            "for it, and the video with --video")
        return [path]
    found = [file for file in sorted(path.glob("*.json")) if _is_captions(file)]
    if not found:
        raise UserError(f"{path}: neither a run folder nor one that hicm caption wrote to; give predictions")
    return found


def _is_captions(path: Path) -> bool:
    """Whether a file is in the format of hicm caption."""
    if path.suffix != ".json":
        return False
    try:
        content = read_json(path, "predictions")
    except UserError:  # reported when it is read as predictions
        return False
    return isinstance(content, dict) and {"video", "source", "events"} <= content.keys()


def _captions(folder: Path, found: list[Captioned]) -> EventSource:
    videos: dict[str, Captioned] = {}
    for captioned in found:
        if captioned.id in videos:
            raise UserError(f"{folder}: two files hold captions of {captioned.id}; give one of them")
        videos[captioned.id] = captioned
    return EventSource(str(folder), "prediction", videos)


def _subtitles(path: Path, ids: Collection[str]) -> EventSource:
    """One video; ``talk.en.srt`` belongs to the video talk if that id is known."""
    [found] = subtitles.read(path)
    short = found.id.rpartition(".")[0]
    video = short if found.id not in ids and short in ids else found.id
    return EventSource(str(path), "prediction", {video: Captioned(video, "", UNKNOWN, found.events)})


def _predictions(path: Path, read: Callable[[Path], Tracks]) -> EventSource:
    own = _own_predictions(path)
    if own is not None:
        return EventSource(str(path), "prediction", own)
    return EventSource(str(path), "prediction", {
        video: _captioned(video, found) for video, found in _timed(read(path)).items()})


def _own_predictions(path: Path) -> dict[str, Captioned] | None:
    """The predictions of hicm predict, with scores and levels; None for other files."""
    try:
        content = read_json(path, "predictions") if path.suffix == ".json" else None
    except UserError:
        return None
    if not isinstance(content, dict) or not {"results", "decided_by"} <= content.keys():
        return None
    from hicm.report.runs import read_predictions

    events, _, _ = read_predictions(path)
    return {video: Captioned(video, "", UNKNOWN, tuple(found)) for video, found in events.items()}


def _timed(tracks: Tracks) -> dict[str, tuple[tuple[Event, ...], float]]:
    """Events and duration of each video."""
    return {video: (tuple(Event(Span(*span), text) for span, text in zip(track.spans.tolist(), track.captions,
                                                                         strict=True)),
                    UNKNOWN if track.duration is None else track.duration) for video, track in tracks.items()}


def _captioned(video: str, found: tuple[tuple[Event, ...], float]) -> Captioned:
    return Captioned(video, "", found[1], found[0])


def _runs(folders: Sequence[Path], split: str, warnings: list[str]) -> tuple[list[EventSource], list[EventSource]]:
    """The predictions of run folders with what was recalled for them, and the references of the first."""
    from hicm.report.runs import Run, read_references, read_runs, recalled_by

    runs, split = read_runs(folders, split)
    annotated, notes = read_references(runs[0].config, split)
    warnings += notes
    durations = {video: one.duration for videos in annotated for video, one in videos.items()}

    def captioned(run: Run, video: str, events: Sequence[Event]) -> Captioned:
        length = durations.get(video, UNKNOWN)
        recalled = tuple(recalled_by(run, video, length)[0])
        about: dict[str, Any] = {"run": run.id, "split": split} | ({"checkpoint": run.checkpoint} if run.checkpoint
                                                                    else {})
        return Captioned(video, "", length, tuple(events), about, recalled=recalled)

    for run in runs:
        if not run.predictions:
            why = next((note for note in run.notes if f"predictions_{split}" in note), "make them with hicm predict")
            raise UserError(f"{run.folder}: no predictions of split {split} to show ({why})")
        warnings += [f"{run.label}: {note}" for note in run.notes]
    shown = [EventSource(run.label if len(runs) > 1 else str(run.folder), "prediction", {
        video: captioned(run, video, events) for video, events in run.predictions.items()}) for run in runs]
    return shown, annotators([{video: Captioned(video, "", one.duration, one.events) for video, one in videos.items()}
                              for videos in annotated])


def _with_names(found: list[EventSource]) -> list[EventSource]:
    """Short names: those of the files or folders if they are unique, otherwise the whole paths."""
    short = [Path(one.name).stem if Path(one.name).is_file() else Path(one.name).name or one.name for one in found]
    counts = Counter(short)
    return [replace(one, name=name if counts[name] == 1 else one.name) for one, name in zip(found, short, strict=True)]
