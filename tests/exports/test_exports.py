"""What is written is read back: every format by what reads it elsewhere."""

import json
import re

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm.exports import Captioned, check_formats, write
from hicm.plugins import known
from hicm.types import Event, Span

FORMATS = known("hicm.exports", "hicm.exports", "render")

times = st.floats(0, 30_000, allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
events = st.lists(st.builds(lambda start, length, text: Event(Span(start, start + length), text, 0.5), times,
                            st.floats(0, 100), texts), max_size=8)


def captioned(found: list[Event]) -> Captioned:
    return Captioned("video", "video.mp4", 40_000.0, tuple(sorted(found, key=lambda event: event.span.start)))


def read_by_ffmpeg(path) -> set[tuple[int, int]]:
    """Start and end of every cue in milliseconds; equal cues count once."""
    with av.open(str(path)) as container:
        return {tuple(round(ticks * packet.time_base * 1000) for ticks in (packet.pts, packet.pts + packet.duration))
                for packet in container.demux(container.streams.subtitles[0]) if packet.size}


@pytest.mark.parametrize("name", ["srt", "vtt"])
@given(found=events)
def test_subtitles_are_read_by_ffmpeg(tmp_path_factory, name, found):
    spoken = [event for event in found if event.text.strip()]
    path = write(captioned([*spoken, Event(Span(0, 1), "one at least")]), tmp_path_factory.mktemp("out"), name)
    starts = [(round(event.span.start * 1000), round(event.span.end * 1000)) for event in spoken]
    assert read_by_ffmpeg(path) == {(0, 1000), *((start, max(end, start + 1)) for start, end in starts)}


def test_json_loses_nothing(tmp_path):
    event = Event(Span(1 / 3, 2 / 3), "ein Ei kochen – 卵", 0.25, 2)
    content = json.loads(write(captioned([event]), tmp_path, "json").read_text())
    assert content["events"] == [{"start": 1 / 3, "end": 2 / 3, "sentence": event.text, "score": 0.25, "level": 2}]
    assert (content["video"], content["duration"]) == ("video", 40_000.0)


def test_exact_text():
    """Rules of the formats: decimal sign, hours, escapes, no arrow and no empty line in a cue."""
    found = [Event(Span(3723.0042, 3725), "a < b & c --> d\n\n e"), Event(Span(0, 0.0001), "x")]
    import hicm.exports.srt as srt
    import hicm.exports.txt as txt
    import hicm.exports.vtt as vtt

    whole = captioned(found)
    assert srt.render(whole) == ("1\n00:00:00,000 --> 00:00:00,001\nx\n\n"
                                 "2\n01:02:03,004 --> 01:02:05,000\na < b & c → d e\n\n")
    assert vtt.render(whole) == ("WEBVTT\n\n1\n00:00:00.000 --> 00:00:00.001\nx\n\n"
                                 "2\n01:02:03.004 --> 01:02:05.000\na &lt; b &amp; c → d e\n\n")
    assert txt.render(whole) == "0:00 - 0:00  x\n1:02:03 - 1:02:05  a < b & c → d e\n"


@pytest.mark.parametrize("name", FORMATS)
def test_a_video_without_events(tmp_path, name):
    path = write(captioned([]), tmp_path, name)
    assert path.name.startswith("video.") and path.exists()


def test_unknown_format():
    check_formats(tuple(FORMATS))
    with pytest.raises(Exception, match=re.escape("--format: expected one of") + ".*found 'str'; did you mean 'srt'"):
        check_formats(("str",))
