"""Brings predictions and references of other formats together: the same ids, and times in seconds."""

import re
from collections.abc import Collection, Sequence

from hicm.dvc_eval.inputs.reading import Track, Tracks
from hicm.errors import UserError

_ENDING = re.compile(r"\.(?:mp4|mkv|webm|avi|mov|m4v|flv|mpg|mpeg|wmv|ts)$", re.IGNORECASE)


def match_files(tracks: Tracks, others: Collection[str], where: str, warnings: list[str]) -> Tracks:
    """The events with ids that are names of video files replaced by the ids of the other side.

    ``abc.mp4`` becomes ``abc.mp4``, ``abc`` or ``v_abc``, the first that the other side has, and ``abc`` if it has
    none.  Appends to ``warnings`` how many ids were changed.  Raises UserError when two become the same.
    """
    found: dict[str, str] = {}
    for video in tracks:
        stem = _ENDING.sub("", video)
        forms = (video, stem, f"v_{stem}", stem.removeprefix("v_"))
        name = next((form for form in forms if form in others), stem)
        if name in found:
            raise UserError(f"{where}: {found[name]} and {video} are the same video, {name}; keep one of them")
        found[name] = video
    changed = [(video, name) for name, video in found.items() if name != video]
    if changed:
        warnings.append(f"{where}: {len(changed)} ids are names of files; {changed[0][0]} is taken for {changed[0][1]}")
    return {name: tracks[video] for name, video in found.items()}


def in_seconds(tracks: Tracks, annotators: Sequence[Tracks], where: str) -> Tracks:
    """Times that are hundredths of a video's length in seconds, by the durations in the references.

    Videos that no reference has keep theirs: they are not scored.  Raises UserError for a video without a duration.
    """
    made: Tracks = {}
    for video, track in tracks.items():
        known = [other[video].duration for other in annotators if video in other]
        duration = next((one for one in known if one is not None), None)
        if known and duration is None:
            raise UserError(f"{where}: video {video}: times are hundredths of its length, but the references give no "
                            "duration; add it")
        made[video] = Track(track.spans * ((duration or 100.0) / 100), track.captions, track.duration)
    return made
