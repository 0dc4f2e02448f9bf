"""Sentences whose moments in a video are sought, from the annotations of the field's data sets.  Times in seconds.

Charades-STA (Gao et al., ICCV 2017), Charades-CD and -CG, TACoS in the form of 2D-TAN, QVHighlights (Lei et al.,
NeurIPS 2021).  The cleaning rules are those of MESM: a moment that starts after its video is left out, one that ends
before it starts is turned round, one that ends after its video is cut.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hicm.errors import UserError, brief
from hicm.types import Span

FRAMES = ("num_frames", "fps")  # keys of entries whose times are numbers of frames


@dataclass(frozen=True)
class Query:
    """A sentence about a video; ``windows`` are the moments that it describes, at least one where they are known."""

    id: int
    video: str
    text: str
    duration: float  # seconds
    windows: tuple[Span, ...]
    ratings: tuple[tuple[int, int], ...] = ()  # QVHighlights: (clip of 2 s, sum of three ratings of 0 to 4)


def clean_moment(start: float, end: float, duration: float) -> Span | None:
    """The moment under the rules above; None: left out."""
    if start > duration:
        return None
    return Span(min(start, end), min(max(start, end), duration))


def charades_queries(lines: Iterable[str], durations: Mapping[str, float], where: str) -> list[Query]:
    """Queries of Charades-STA's text files: ``VIDEO START END##sentence``; the id is the number of the line, from 0.

    ``durations``: seconds, by video.  Raises UserError, starting with ``where``, for another line, or a video without
    a duration.
    """
    found = []
    for number, line in enumerate(lines):
        head, separator, text = line.rstrip("\r\n").partition("##")
        try:
            video, start, end = head.split(" ")
            times = float(start), float(end)
        except ValueError as error:
            raise UserError(f"{where}: line {number + 1}: expected VIDEO START END##sentence, found "
                            f"{brief(line)}") from error
        if not separator or video not in durations:
            problem = f"video {video} has no duration" if separator else "no ## before the sentence"
            raise UserError(f"{where}: line {number + 1}: {problem}; give the list of the same split")
        moment = clean_moment(*times, durations[video])
        if moment is not None:
            found.append(Query(number, video, text, durations[video], (moment,)))
    return found


def listed_queries(content: Mapping[str, Any], where: str) -> list[Query]:
    """Queries of files with an object for each video: ``timestamps``, ``sentences``, and how long it is.

    Charades-CD has ``video_duration``, Charades-CG ``duration``, TACoS ``num_frames`` and ``fps``, its times in frames.
    Ids count from 1: in TACoS the queries that are kept, elsewhere all of them.  Raises UserError naming a video
    whose entry lacks a key.
    """
    found: list[Query] = []
    number = 0
    for video, entry in content.items():
        rate = float(entry.get("fps", 1)) if FRAMES[0] in entry else 1.0
        length = entry.get("video_duration", entry.get("duration", entry.get(FRAMES[0])))
        if length is None or not {"timestamps", "sentences"} <= entry.keys():
            raise UserError(f"{where}: video {video}: expected timestamps, sentences and a duration, found the keys "
                            f"{', '.join(entry)}")
        frames, duration = FRAMES[0] in entry, float(length) / rate
        for (start, end), text in zip(entry["timestamps"], entry["sentences"], strict=True):
            if frames:
                moment = None if start > end else Span(max(start / rate, 0.0), min(end / rate, duration))
            else:
                moment = clean_moment(start, end, duration)
            number += 1 if moment is not None or not frames else 0
            if moment is not None:
                found.append(Query(number, video, text, duration, (moment,)))
    return found


def highlight_queries(rows: Iterable[Mapping[str, Any]]) -> list[Query]:
    """Queries of the lines of QVHighlights; those of the test split have no windows."""
    return [Query(row["qid"], row["vid"], row["query"], float(row["duration"]),
                  tuple(Span(float(start), float(end)) for start, end in row.get("relevant_windows", ())),
                  tuple((clip, sum(scores)) for clip, scores in
                        zip(row.get("relevant_clip_ids", ()), row.get("saliency_scores", ()), strict=True)))
            for row in rows]
