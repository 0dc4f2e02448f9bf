"""From a video's features to events: cut it, recall, quote what is close enough."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hicm.errors import UserError
from hicm.systems.recall.model import Captions, Recalled, recall
from hicm.systems.recall.segment import Segments, segment, span_means
from hicm.systems.recall.settings import Settings
from hicm.types import Event, Span


@dataclass(frozen=True, eq=False)
class Footage:
    """A video as the system sees it; ``events`` are its reference events, which only a score looks at."""

    id: str
    duration: float  # seconds
    rows: np.ndarray  # [T, D] features, row i standing for the seconds from i * step to (i + 1) * step
    step: float = 1.0  # seconds per row
    events: tuple[Event, ...] = ()


def caption(footage: Footage, captions: Captions, mean: np.ndarray, settings: Settings,
            leave_own_out: bool = False) -> list[Event]:
    """Events of one video in order of time, each a quoted caption with its cosine as ``score``; possibly none.

    ``mean`` [D] is what `hicm.systems.recall.model.fit` returns.  ``leave_own_out``: the video's own captions are not
    quoted (training videos).  The result depends on this video alone.
    """
    [segments] = segment(footage.rows, footage.step, footage.duration, [settings.penalty], settings.shortest)
    recalled = recall(segments.means, captions, mean, settings, footage.id if leave_own_out else None)
    return quote(segments, recalled, captions, settings.threshold)


def caption_spans(footage: Footage, given: Sequence[Span], captions: Captions, mean: np.ndarray, settings: Settings,
         leave_own_out: bool = False) -> list[Event]:
    """The given spans, each with the caption that is recalled for it, whatever its score; otherwise as `caption`.

    Raises UserError when the video's own captions are left out and there are no others.
    """
    spans = np.array([(span.start, span.end) for span in given], np.float64).reshape(-1, 2)
    means = span_means(footage.rows, footage.step, footage.duration, spans)
    recalled = recall(means, captions, mean, settings, footage.id if leave_own_out else None)
    if (recalled.captions < 0).any():
        raise UserError(f"video {footage.id}: the memory holds no captions of other videos; build it from more videos")
    return [Event(span, captions.texts[place], score) for span, place, score in
            zip(given, recalled.captions.tolist(), recalled.scores.tolist(), strict=True)]


def quote(segments: Segments, recalled: Recalled, captions: Captions, threshold: float) -> list[Event]:
    """The segments whose caption scores ``threshold`` or more, as events.

    Neighbours that touch and quote the same sentence become one event with the higher of their scores.
    """
    found: list[tuple[float, float, str, float]] = []
    for place in np.flatnonzero((recalled.captions >= 0) & (recalled.scores >= threshold)).tolist():
        start, end = segments.spans[place].tolist()
        text, score = captions.texts[recalled.captions[place]], float(recalled.scores[place])
        if found and found[-1][1:3] == (start, text):
            start, _, _, before = found.pop()
            score = max(score, before)
        found.append((start, end, text, score))
    return [Event(Span(start, end), text, score) for start, end, text, score in found]
