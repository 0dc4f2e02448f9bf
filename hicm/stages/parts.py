"""Long videos in parts, each of which is captioned as a video of its own, with its own windows and recall.

A captioner reads a fixed number of frames, writes times as shares of the duration, and about as many events as training
videos have: of a much longer video it misses most.  Cuts lie where nobody speaks and the picture changes
(`hicm.video.windows`), so parts do not overlap.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hicm.data.features import Features
from hicm.data.samples import Sample, SplitSamples
from hicm.data.speech import Speech, SpeechStore
from hicm.errors import UserError
from hicm.provenance import Origin
from hicm.types import Event, Span, Video
from hicm.video.windows import cut

LEAST = 10  # rows of features that a part may be asked to have at most


@dataclass(frozen=True)
class Part:
    """A part of a video, or all of it: ``span`` in seconds of the video."""

    video: str
    span: Span


def in_parts(samples: SplitSamples, longest: float) -> tuple[SplitSamples, dict[str, Part]]:
    """The samples with videos of more than ``longest`` seconds cut into parts, and the parts by id, in order of time.

    A video that is not cut keeps its id; the parts of others are called ``<id>/1``, ``<id>/2``, ..., which no video can
    be.  Where no video is cut (or ``longest`` is 0), the samples are returned as they are, and no parts.  Parts have no
    annotated events.  Raises UserError when ``longest`` is shorter than 10 rows of features.
    """
    if not longest:
        return samples, {}
    step = _step(samples)
    if longest < LEAST * step:
        raise UserError(f"data.longest: expected 0 (videos are not cut) or at least {LEAST * step:g} seconds, found "
                        f"{longest:g}")
    videos: dict[str, Video] = {}
    parts: dict[str, Part] = {}
    said: dict[str, dict[str, Any]] = {}
    for row, video in enumerate(samples.videos):
        speech, duration = samples.speech_of(row)
        spans = [Span(0.0, duration)] if duration <= longest else cut_sample(samples[row], longest)
        for number, span in enumerate(spans, start=1):
            name = video.id if len(spans) == 1 else f"{video.id}/{number}"
            own = speech if len(spans) == 1 else speech_within(speech, span)
            said[name] = {"start": own.start, "end": own.end, "text": own.text}
            videos[name], parts[name] = Video(name, span.end - span.start, ()), Part(video.id, span)
    if len(parts) == len(samples):
        return samples, {}
    return SplitSamples(videos, PartFeatures(samples.features, parts, step), SpeechStore.of(said)), parts


def cut_sample(sample: Sample, longest: float) -> list[Span]:
    """Consecutive parts of a video, of at most ``longest`` seconds as far as there are features."""
    known = min(sample.duration, len(sample.rows) * sample.seconds_per_row)
    spans = cut(sample.rows, sample.seconds_per_row, known, longest,
                tuple(zip(sample.speech.start, sample.speech.end, strict=True)))
    return [*spans[:-1], Span(spans[-1].start, sample.duration)]


def rows_within(rows: np.ndarray, step: float, span: Span) -> np.ndarray:
    """The rows, one per ``step`` seconds, of a part: at least one."""
    first, last = (round(second / step) for second in (span.start, span.end))
    return rows[first:max(last, first + 1)]


def speech_within(speech: Speech, span: Span) -> Speech:
    """The speech of a part, in its own seconds; what crosses its ends is left out."""
    said = [(start - span.start, end - span.start, text)
            for start, end, text in zip(speech.start, speech.end, speech.text, strict=True)
            if span.start <= start and end <= span.end]
    return Speech(*map(tuple, zip(*said, strict=True))) if said else Speech()


def in_video(events: Sequence[Event], span: Span) -> list[Event]:
    """The events of a part that begin within it, cut at its end, in seconds of the whole video."""
    length = span.end - span.start
    return [replace(event, span=Span(span.start + event.span.start, span.start + min(event.span.end, length)))
            for event in events if 0 <= event.span.start < length]


def by_video(found: Mapping[str, list[Any]], parts: Mapping[str, Part]) -> dict[str, list[Any]]:
    """What was ``found`` for each part, by video: part after part."""
    whole: dict[str, list[Any]] = {}
    for name, part in parts.items():
        whole.setdefault(part.video, []).extend(found[name])
    return whole


class PartFeatures(Features):
    """The features of parts of videos, by the id of the part; ``step``: seconds per row."""

    def __init__(self, whole: Features, parts: Mapping[str, Part], step: float) -> None:
        self.path, self.clock, self._whole, self._parts, self._step = whole.path, whole.clock, whole, dict(parts), step

    @property
    def width(self) -> int:
        """D."""
        return self._whole.width

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._parts

    def keys(self) -> Iterator[str]:
        """The ids of the parts."""
        return iter(self._parts)

    def read(self, video_id: str) -> np.ndarray:
        """float32 [T, D] of a part.  Raises UserError as that of the whole video does."""
        part = self._parts[video_id]
        rows = self._whole.read(part.video)
        return rows if part.video == video_id else rows_within(rows, self._step, part.span)

    def fingerprint(self, video_ids: Iterable[str]) -> str:
        """Digest of what the store holds for the videos of these parts, and of where they are cut."""
        chosen = {name: self._parts[name] for name in video_ids}
        videos = dict.fromkeys(part.video for part in chosen.values())
        return Origin({name: [part.span.start, part.span.end] for name, part in chosen.items()},
                      {"videos": self._whole.fingerprint(videos)}).identity


def _step(samples: SplitSamples) -> float:
    """Seconds per row, as samples say it."""
    return 1 / samples.features.clock.rate
