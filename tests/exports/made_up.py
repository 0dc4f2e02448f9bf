"""Made-up events: overlapping, without length, at the same time, hours long, in any script, with line breaks."""

from fractions import Fraction

from hypothesis import strategies as st

from hicm.exports import Captioned, Picture
from hicm.exports.clock import one_line
from hicm.types import Event, RecalledNode, RecalledPart, Span

TIMES = st.sampled_from([0.0, 0.0004, 1.0, 9.9996, 10.0, 59.9996, 3599.9999]) | st.floats(0, 30_000)
LENGTHS = st.sampled_from([0.0, 0.0003, 10.0, 3600.0]) | st.floats(0, 100)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100).filter(one_line)
EVENTS = st.lists(st.builds(lambda start, length, text, score, level: Event(Span(start, start + length), text, score,
                                                                            level),
                            TIMES, LENGTHS, TEXTS, st.none() | st.floats(0, 1), st.none() | st.integers(0, 2)),
                  max_size=12)
NODES = st.recursive(
    st.builds(RecalledNode, st.just(0), TEXTS, st.none() | st.floats(-1, 1), source=st.sampled_from(["", "3 times"])),
    lambda below: st.builds(RecalledNode, st.integers(1, 4), TEXTS, st.none() | st.floats(-1, 1), TEXTS, TEXTS,
                            st.lists(below, max_size=2).map(tuple), st.integers(0, 9), st.just(1)), max_leaves=4)
RECALLED = st.lists(st.builds(lambda start, length, nodes: RecalledPart(Span(start, start + length), tuple(nodes)),
                              TIMES, LENGTHS, st.lists(NODES, max_size=2)), max_size=2)
DURATION = 40_000.0
PICTURE = Picture(30000 / 1001, (640, 360), True)


def captioned(found: list[Event], duration: float = DURATION, picture: Picture = PICTURE) -> Captioned:
    """A captioned video; its events in order of time."""
    ordered = sorted(found, key=lambda event: (event.span.start, event.span.end))
    return Captioned("video", "some videos/video.mp4", duration, tuple(ordered), picture=picture)


def ticks(events: list[Event], per_second: int = 1000, least: int = 1) -> list[tuple[int, int, str]]:
    """Start, end and text in one line, sorted, as formats of that resolution keep them."""
    found = ((round(event.span.start * per_second), round(event.span.end * per_second), event) for event in events)
    return sorted((start, max(end, start + least), one_line(event.text).replace("-->", "→"))
                  for start, end, event in found)


def spans(found: list[Event], rate: Fraction) -> list[tuple[int, int, str]]:
    """First frame, number of frames and text of each event."""
    frames = ((round(Fraction(start, 1000) * rate), round(Fraction(end, 1000) * rate), text)
              for start, end, text in ticks(found))
    return sorted((first, max(end - first, 1), text) for first, end, text in frames)
