"""A page to watch videos with the events of several systems, and to correct them."""

import functools
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from hicm.dvc_eval.inputs.read import read_events
from hicm.errors import UserError
from hicm.exports import Captioned, Picture
from hicm.files import write_text
from hicm.stages.each_video import find_videos
from hicm.stages.new_files import refuse_other_content
from hicm.stages.systems_shown import EventSource, read_references, read_systems
from hicm.viewer.content import Lane, View, address
from hicm.viewer.page import render

MOST = 50  # videos of a page; with more a browser is slow to open it


def view(predictions: Sequence[str], video: str = "", reference: Sequence[str] = (), out: str = "",
         videos: Sequence[str] = (), split: str = "", format: str = "", overwrite: bool = False) -> str:
    """Write the page; returns what to print.

    ``predictions``: files or folders, each of which is a system and a lane (`read_systems`).  ``video``: a video file
    or a folder of them; default: those that the predictions name.  ``videos``: ids to show; default: the first `MOST`.
    ``format``: that of prediction files of other programs; default: detected from the content.
    Raises UserError when there is nothing to show, or when another page would be replaced.
    """
    page = Path(out) if out else _default(Path(predictions[0]), split)
    if page.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{page}: not the name of a page; expected a file name that ends in .html")
    warnings: list[str] = []
    files = _Files(video)
    annotated = read_references(reference, warnings)
    known = {*files.by_id, *(one for shown in annotated for one in shown.videos)}
    read = functools.partial(read_events, ids=known, duration=functools.partial(_known_duration, files, annotated),
                             warnings=warnings, format=format)
    systems, own = read_systems(predictions, read, known, split, warnings)
    annotated = annotated or own
    total = list(dict.fromkeys(one for system in systems for one in system.videos))
    if len(systems) > 1 and len(total) == sum(len(system.videos) for system in systems):
        warnings.append("these predictions have no video in common; each video is shown with those of one alone")
    if reference and total:
        _refuse_others(reference, annotated, total)
    chosen = _chosen(total, videos)
    files.assign(chosen, video)
    for line in dict.fromkeys(warnings):
        print(f"hicm: warning: {line}", file=sys.stderr)
    views = [_view(one, [*annotated, *systems], files.of(one, systems), page.parent) for one in chosen]
    text = render([found.to_json() for found in views], _title(chosen, systems))
    refuse_other_content({page: text}, overwrite)
    write_text(page, text)
    return _summary(page, chosen, total, videos)


class _Files:
    """The video files, by the ids of their videos."""

    def __init__(self, given: str) -> None:
        self.by_id = {file.stem: file for file in find_videos([given])} if given else {}

    def assign(self, ids: Sequence[str], given: str) -> None:
        """Assign a single file to a single video, whatever their names.  Raises UserError when no file matches."""
        if self.by_id and not any(one in self.by_id for one in ids):
            if len(self.by_id) > 1 or len(ids) > 1:
                raise UserError(f"{given}: no file is named like one of the videos ({_some(ids)}); "
                                "choose one with --videos, or rename the file")
            self.by_id = dict.fromkeys(ids, *self.by_id.values())

    def of(self, video: str, systems: Sequence[EventSource]) -> Path | None:
        """The file of a video: as given, otherwise the existing file that its captions name."""
        named = [Path(system.videos[video].source) for system in systems
                 if video in system.videos and system.videos[video].source]
        return self.by_id.get(video) or next((file for file in named if file.is_file()), None)


def _refuse_others(files: Sequence[str], annotated: Sequence[EventSource], total: Sequence[str]) -> None:
    """UserError for references that know none of the videos."""
    known = [one for shown in annotated for one in shown.videos]
    if not {*known} & {*total}:
        raise UserError(f"{', '.join(files)}: no video of the predictions is annotated ({_some(total)}), but "
                        f"{_some(known)}; correct --reference")


def _some(ids: Sequence[str]) -> str:
    return f"{', '.join(ids[:3])}{', ...' * (len(ids) > 3)}" if ids else "none"


def _known_duration(files: _Files, annotated: Sequence[EventSource], video: str) -> float | None:
    """Seconds of a video by the references, otherwise by its file; None if neither is known."""
    found = next((one.videos[video].duration for one in annotated if video in one.videos), math.nan)
    if not math.isnan(found):
        return found
    return _facts(files.by_id[video]).duration if video in files.by_id else None


def _facts(file: Path) -> Captioned:
    """A video file as captions without events: duration, frame rate, size, sound."""
    from hicm.video.facts import read_facts

    facts = read_facts(file)
    return Captioned(file.stem, str(file), facts.duration, (), {}, Picture(facts.frame_rate, facts.size, facts.sound))


def _view(video: str, shown: Sequence[EventSource], file: Path | None, folder: Path) -> View:
    """One video with its lanes; the speech lane is that of the first system that has one."""
    about = [(one, one.videos[video]) for one in shown if video in one.videos]
    lanes = [Lane(one.name, one.kind, found.events, found.recalled) for one, found in about]
    speech = next((found.speech for _, found in about if found.speech), ())
    lanes += [Lane("speech", "speech", speech)] if speech else []
    systems = {one.name: found for one, found in about if one.kind == "prediction"}
    first = next(iter(systems.values()))
    facts = next((found for found in systems.values() if found.picture != Picture()), first)
    if file is not None and facts.picture == Picture():
        facts = _facts(file)
    durations = [found.duration for found in (facts, *(found for _, found in about))]
    ends = [event.span.end for lane in lanes for event in lane.events]
    duration = next((one for one in durations if not math.isnan(one)), max([1.0, *ends]))
    made_by = first.about if len(systems) == 1 else {name: found.about for name, found in systems.items()}
    return View(video, duration, tuple(lanes), "", first.source or ("" if file is None else str(file)),
                None if file is None else address(file, folder), facts.picture.frame_rate, facts.picture.size,
                facts.picture.sound, made_by)


def _chosen(total: Sequence[str], asked: Sequence[str]) -> list[str]:
    missing = [one for one in asked if one not in total]
    if missing:
        raise UserError(f"--videos {missing[0]}: not among the predictions, which are of {_some(total)}")
    if not total:
        raise UserError("there are no predictions of any video; nothing to show")
    return list(dict.fromkeys(asked)) or list(total[:MOST])


def _default(first: Path, split: str) -> Path:
    """The page beside the first file, or in the first folder."""
    if first.is_dir():
        return first / (f"view_{split}.html" if split else "view.html")
    return first.with_suffix(".html")


def _title(chosen: Sequence[str], systems: Sequence[EventSource]) -> str:
    return chosen[0] if len(chosen) == 1 else f"{', '.join(one.name for one in systems)}: {len(chosen)} videos"


def _summary(page: Path, chosen: Sequence[str], total: Sequence[str], asked: Sequence[str]) -> str:
    if len(chosen) == len(total):
        return f"{page}: {len(chosen)} video{'s' * (len(chosen) > 1)}"
    more = "" if asked else "; name others with --videos"
    return f"{page}: {len(chosen)} of {len(total)} videos{more}"
