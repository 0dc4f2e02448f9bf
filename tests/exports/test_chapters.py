"""Chapters: one inside the other, or one after the other, by the rules of what shows them."""

import itertools
import re
import xml.etree.ElementTree as ET
from collections import Counter

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.errors import Refused
from hicm.exports import write
from hicm.exports.chapters import Chapter, nested
from hicm.exports.youtube import chapters
from hicm.types import Event, Span
from tests.exports import webvtt
from tests.exports.ffmpeg import read_chapters
from tests.exports.made_up import EVENTS, TEXTS, captioned, ticks
from tests.video.videos import write_video


def event(start: float, end: float, text: str, level: int | None = None) -> Event:
    return Event(Span(start, end), text, level=level)


def flat(found: list[Chapter]) -> list[Chapter]:
    return [one for chapter in found for one in (chapter, *flat(chapter.inside))]


# nested

def is_nested(spans: list[tuple[int, int]]) -> bool:
    """Whether of any two that have time in common one lies within the other; milliseconds, by their starts."""
    around: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        while around and around[-1][1] <= start:
            around.pop()
        if around and end > around[-1][1]:
            return False
        around.append((start, end))
    return True


@settings(max_examples=30)
@given(found=EVENTS)
def test_nested_chapters_lose_no_title(found):
    chapters = flat(nested(found))
    assert Counter((one.start, one.title) for one in chapters) == Counter((start, text) for start, _, text in
                                                                          ticks(found))
    assert all(one.start < one.end for one in chapters) and is_nested([(one.start, one.end) for one in chapters])
    for one in chapters:
        assert all(one.start <= inner.start and inner.end <= one.end for inner in one.inside)


def test_what_overlaps_in_part_is_cut():
    found = nested([event(0, 10, "a"), event(8, 20, "b"), event(12, 15, "c")])
    assert [(one.start, one.end) for one in flat(found)] == [(0, 8000), (8000, 20000), (12000, 15000)]
    found = nested([event(0, 60, "dinner", 0), event(50, 70, "dessert", 3), event(60, 120, "dishes", 0)])
    assert [(one.start, one.end, [inner.title for inner in one.inside]) for one in flat(found)] == [
        (0, 60000, ["dessert"]), (50000, 60000, []), (60000, 120000, [])]


@settings(max_examples=20)
@given(found=EVENTS)
def test_webvtt_chapters_are_only_nested(tmp_path_factory, found):
    path = write(captioned(found), tmp_path_factory.mktemp("out"), "vtt_chapters")
    cues = webvtt.read(path.read_bytes())
    assert sorted((cue.start, cue.text) for cue in cues) == sorted((start, text) for start, _, text in ticks(found))
    assert is_nested([(cue.start, cue.end) for cue in cues])


DTD = ["ChapterTimeStart", "ChapterTimeEnd", "ChapterUID", "ChapterDisplay", "ChapterAtom"]


@settings(max_examples=20)
@given(found=EVENTS)
def test_matroska(tmp_path_factory, found):
    root = ET.parse(write(captioned(found), tmp_path_factory.mktemp("out"), "matroska")).getroot()
    atoms = list(root.iter("ChapterAtom"))
    numbers = [int(atom.findtext("ChapterUID", "0")) for atom in atoms]
    assert len(set(numbers)) == len(numbers) and 0 not in numbers
    times = {atom: tuple(_nanoseconds(atom.findtext(f"ChapterTime{end}", "")) for end in ("Start", "End"))
             for atom in atoms}
    assert sorted((start // 10**6, atom.findtext("ChapterDisplay/ChapterString")) for atom, (start, _) in
                  times.items()) == sorted((start, text) for start, _, text in ticks(found))
    for atom in atoms:
        places = [DTD.index(part.tag) for part in atom]
        assert places == sorted(places), "the order of MKVToolNix's matroskachapters.dtd"
        for inner in atom.findall("ChapterAtom"):
            assert times[atom][0] <= times[inner][0] < times[inner][1] <= times[atom][1]


def _nanoseconds(text: str) -> int:
    hours, minutes, seconds, rest = map(int, re.fullmatch(r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{9})", text).groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 10**9 + rest


# one after the other, read by ffmpeg

@settings(max_examples=20)
@given(found=EVENTS)
def test_ffmetadata(tmp_path_factory, found):
    """ffmpeg reads what was written; of events that begin together, all titles are there."""
    path = write(captioned(found), tmp_path_factory.mktemp("out"), "ffmetadata")
    chapters, events = read_chapters(path), ticks(found)
    assert [start for start, _, _ in chapters] == sorted({start for start, _, _ in events})
    for (start, end, title), after in itertools.zip_longest(chapters, chapters[1:]):
        here = [one for one in events if one[0] == start]
        assert sorted(title) == sorted(" / ".join(text for _, _, text in here)) and here[0][2] in title
        assert end == min(max(one[1] for one in here), after[0] if after else 10**9)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_ffmetadata_in_a_video(tmp_path, suffix):
    """Muxed by ffmpeg's library, the chapters are in the video, with signs that the format escapes."""
    found = [event(0, 2, "a=b; #c \\d"), event(1.5, 2.5, "e\\"), event(2.5, 4, "卵")]
    path = write(captioned(found), tmp_path, "ffmetadata")
    video = write_video(tmp_path / f"plain{suffix}", [0.0, 2.0], 4.0)
    with av.open(str(path)) as chapters, av.open(str(video)) as source, \
            av.open(str(tmp_path / f"out{suffix}"), "w") as out:
        out.set_chapters(chapters.chapters())
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    expected = [(0, 1500, "a=b; #c \\d"), (1500, 2500, "e\\"), (2500, 4000, "卵")]
    assert read_chapters(tmp_path / f"out{suffix}") == expected


# YouTube

LINE = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d\d) (\S.*)")


def starts_of(text: str) -> list[int]:
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(found), "time first, then the title"
    return [int(one[1] or 0) * 3600 + int(one[2]) * 60 + int(one[3]) for one in found]


def three_chapters_possible(found: list[Event], duration: float) -> bool:
    """Whether two events of a level may begin chapters after a first at 0, by trying all pairs."""
    for level in {one.level for one in found}:
        starts = [-(-round(one.span.start * 1000) // 1000) for one in found if one.level == level]
        if any(one >= 10 and one + 10 <= other <= duration - 10 for one in starts for other in starts):
            return True
    return False


SHORT = st.lists(st.builds(lambda start, length, text, level: event(start, start + length, text, level),
                           st.floats(0, 60) | st.sampled_from([0.0, 9.0, 10.0, 20.0, 20.001, 30.0]), st.floats(0, 15),
                           TEXTS, st.none() | st.integers(0, 1)), max_size=8)


@settings(max_examples=80)
@given(found=st.tuples(SHORT, st.floats(0.1, 80)) | st.tuples(EVENTS, st.just(40_000.0)))
def test_youtubes_rules(tmp_path_factory, found):
    events, duration = found
    folder = tmp_path_factory.mktemp("out")
    try:
        text = write(captioned(events, duration), folder, "youtube").read_text(encoding="utf-8")
    except Refused as error:
        assert re.search(r"3|three", str(error)) and "\n" not in str(error) and not list(folder.iterdir())
        assert not three_chapters_possible(events, duration)
        return
    starts = starts_of(text)
    assert len(starts) >= 3 and starts[0] == 0 and "<" not in text and ">" not in text
    assert all(after - before >= 10 for before, after in zip(starts, [*starts[1:], duration], strict=True))
    assert set(starts) <= {0} | {-(-round(one.span.start * 1000) // 1000) for one in events}
    assert three_chapters_possible(events, duration)


def test_youtube_repairs():
    late = [event(12.2, 30, "chop"), event(30, 33, "pour"), event(33, 60, "stir"), event(60, 100, "serve")]
    assert chapters(late, 100) == [(0, "Intro"), (13, "chop"), (30, "stir"), (60, "serve")]
    assert chapters([event(3, 30, "chop"), *late[1:]], 100) == [(0, "chop"), (30, "stir"), (60, "serve")]
    assert chapters([*late, event(95, 100, "bow")], 100)[-1] == (60, "serve"), "the end is 10 seconds away, too"
    with pytest.raises(Refused, match=r"here 2 can be made \(1 event in 100 seconds\)"):
        chapters([event(12, 30, "chop")], 100)
    levels = [event(0, 50, "cook", 1), event(50, 100, "eat", 1)]
    parts = [event(start, start + 25, f"part {start}", 0) for start in (0, 25, 50, 75)]
    assert [title for _, title in chapters([*levels, *parts], 100)] == ["part 0", "part 25", "part 50", "part 75"]


def test_youtubes_list_stays_readable_and_fits_a_description():
    many = [event(second, second + 10, "卵 <b>" * 40) for second in range(0, 9_000, 10)]
    text = "".join(f"{title}\n" for _, title in chapters(many, 9_000))
    assert 15 <= text.count("\n") <= 30 and len(text.encode()) < 5000
    assert {len(line) for line in text.splitlines()} == {70} and text.startswith("卵 ‹b›卵")
