"""Annotations from files of other programs, each form in a module of its own that is found by its name.

A form is a new module here, or a module of another package under the entry-point group ``hicm.imports``, with
``read(path) -> list[Imported]``, which raises UserError naming file and place for what it cannot read.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from hicm.data.ids import refuse_unusable_id
from hicm.errors import UserError
from hicm.files import plain, read_json, require, write_json
from hicm.plugins import find_module
from hicm.types import Event

GROUP = "hicm.imports"
ROUNDING = 0.5  # seconds by which an event may end after its video because a form rounds times
NO_TEXT = "events without text are left out"
NO_DURATION = "duration not known, the end of the last event is taken; give --durations or --videos"
PAST_THE_END = "events end after their video"


@dataclass(frozen=True)
class Imported:
    """The events of one video, its duration in seconds if the file says it, and what is to be warned of, a line each.
    """

    id: str
    events: tuple[Event, ...]
    duration: float | None = None
    remarks: tuple[str, ...] = ()


def import_annotations(form: str, files: Iterable[str | Path], out: str | Path,
                       durations: Callable[[str], tuple[str, float] | None], overwrite: bool = False) -> Counter[str]:
    """Write the annotations of all files to ``out``, in the format of data/README.md; events in order of time.

    ``durations``: the id and the duration in seconds of a video, by the id that a file gives it; None where it is not
    known.  Then the file's own counts, else the end of the last event, with a warning.  Returns the counts of videos
    and events.  Raises UserError for an unknown form, a file that cannot be read, a video that occurs twice, and an
    event that ends before it starts, and when ``out`` holds other annotations (unless ``overwrite``) or none.  Warns of
    events without text, which are left out, and of events that end after their video, which are kept.
    """
    read = find_module(__name__, GROUP, form, "form", "read").read
    entries: dict[str, dict] = {}
    sources: dict[str, str | Path] = {}
    remarks: dict[str, list[str]] = {}
    said: list[str] = []
    for file in files:
        for found in read(require(file, "file", "give files to import")):
            said += found.remarks
            video, duration = durations(found.id) or (found.id, found.duration)
            refuse_unusable_id(video, str(file))
            if video in entries:
                raise UserError(f"{file}: video {video} is also in {sources[video]}; keep one")
            sources[video] = file
            entries[video], noted = _entry(found.events, duration, f"{file}: video {video}")
            for remark in noted:
                remarks.setdefault(remark, []).append(video)
    if not entries:
        raise UserError("no video in these files; nothing to import")
    if not _is_written(Path(out), entries, overwrite):
        write_json(out, entries)
    for remark, videos in remarks.items():
        said.append(f"{remark}: {len(videos)} videos ({', '.join(videos[:3])}{', ...' * (len(videos) > 3)})")
    for line in said:
        warnings.warn(line, stacklevel=2)
    return Counter(videos=len(entries), events=sum(len(entry["sentences"]) for entry in entries.values()))


def _is_written(out: Path, entries: dict[str, dict], overwrite: bool) -> bool:
    """Whether ``out`` holds these annotations; UserError when it holds others (unless ``overwrite``), or none."""
    if not out.exists():
        return False
    try:
        there = read_json(out, "annotations")
    except UserError:
        there = None
    if not isinstance(there, dict) or not all(isinstance(one, dict) and one.keys() >= {"timestamps", "sentences"}
                                              for one in there.values()):
        raise UserError(f"{out}: exists and holds no annotations; choose another --out, or remove it")
    if there != plain(entries) and not overwrite:
        raise UserError(f"{out}: holds other annotations; choose another --out, or replace them with --overwrite")
    return there == plain(entries)


def _entry(events: Iterable[Event], duration: float | None, where: str) -> tuple[dict, list[str]]:
    """What an annotation file says of a video, and what is to be remarked."""
    given = list(events)
    kept = sorted((event for event in given if event.text.strip()),
                  key=lambda event: (event.span.start, event.span.end))
    remarks = [NO_TEXT] if len(kept) < len(given) else []
    for event in kept:
        if not 0 <= event.span.start <= event.span.end < math.inf:
            raise UserError(f"{where}: {event.text[:40]!r}: expected 0 <= start <= end, found {event.span.start} and "
                            f"{event.span.end}; correct the times")
    last = max((event.span.end for event in kept), default=0.0)
    if duration is None:
        if not last:
            raise UserError(f"{where}: no events and no duration; give --durations or --videos, or leave the file out")
        remarks.append(NO_DURATION)
        duration = last
    if last > duration + ROUNDING:
        remarks.append(PAST_THE_END)
    limit = duration if last <= duration + ROUNDING else math.inf
    return {"duration": duration, "timestamps": [[min(event.span.start, limit), min(event.span.end, limit)]
                                                 for event in kept],
            "sentences": [event.text for event in kept]}, remarks
