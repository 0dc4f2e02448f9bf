"""What is written is read back: every format by what reads it elsewhere."""

import json
import re
import typing
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from hicm import verbs
from hicm.errors import Refused, UserError
from hicm.exports import Captioned, check_formats, path_of, write, write_all
from hicm.exports import json as own
from hicm.plugins import known
from hicm.types import Event, Span
from tests.exports import webvtt
from tests.exports.ffmpeg import read_chapters, read_cues
from tests.exports.made_up import EVENTS, RECALLED, captioned, ticks

FORMATS = known("hicm.exports", "hicm.exports", "render")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "own_videos.md"


@pytest.mark.parametrize("name", ["srt", "vtt"])
@settings(max_examples=20)
@given(found=EVENTS)
def test_subtitles_are_read_cues(tmp_path_factory, name, found):
    found = [*found, Event(Span(0, 1), "one at least")]
    path = write(captioned(found), tmp_path_factory.mktemp("out"), name)
    assert read_cues(path) == {(start, end) for start, end, _ in ticks(found)}


@settings(max_examples=20)
@given(found=EVENTS)
def test_webvtt_keeps_the_rules(tmp_path_factory, found):
    path = write(captioned(found), tmp_path_factory.mktemp("out"), "vtt")
    assert sorted(webvtt.read(path.read_bytes())) == ticks(found)


@settings(max_examples=20)
@given(found=EVENTS, said=EVENTS, recalled=RECALLED)
def test_own_form_loses_nothing(tmp_path_factory, found, said, recalled):
    speech = tuple(Event(event.span, event.text) for event in said)
    whole = replace(captioned(found), speech=speech, recalled=tuple(recalled))
    back = own.read(write(whole, tmp_path_factory.mktemp("out"), "json"))
    assert vars(back) == vars(whole)


def test_older_captions_are_read(tmp_path):
    """Without what editors want to know; and what is no captions is refused in one line."""
    (tmp_path / "a.json").write_text(json.dumps({"video": "a", "source": "a.mp4", "duration": 9, "events": [
        {"start": 0, "end": 9, "sentence": "stir"}], "made_by": {}}))
    assert own.read(tmp_path / "a.json").events == (Event(Span(0, 9), "stir"),)
    (tmp_path / "b.json").write_text('{"video": "a", "source": "a", "duration": "long", "events": []}')
    with pytest.raises(UserError, match=r"b\.json: expected captions as hicm caption writes them \('long', expected"):
        own.read(tmp_path / "b.json")


@pytest.mark.parametrize(("content", "found"), [
    ("[]", "a list"), ("5", "a number"), ("null", "nothing"), ('"talk"', "text"), ("{}", "an empty object"),
    ('{"talk": {"duration": 9}}', "the keys 'talk'"), ('{"video": "a", "events": []}', "the keys 'video', 'events'"),
    (json.dumps(dict.fromkeys("abcdefghi")), "the keys 'a', 'b', 'c', 'd', 'e', ...")])
def test_a_file_of_another_program(tmp_path, content, found):
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(UserError) as refused:
        own.read(tmp_path / "b.json")
    assert str(refused.value) == (
        f"{tmp_path / 'b.json'}: expected captions as hicm caption writes them, with the keys 'video', 'source', "
        f"'duration' and 'events', found {found}; give a .json that hicm caption or its viewer wrote")


@pytest.mark.parametrize(("change", "said"), [
    ({"video": "../../a"}, "'../../a', expected the name of a video file"),
    ({"video": ""}, "expected the name of a video file"),
    ({"events": [{"start": 0, "end": 1, "sentence": "a"}, {"start": 5, "end": 3, "sentence": "b"}]},
     "event 2: .*times 5.0 to 3.0, expected 0 <= start <= end"),
    ({"events": [{"start": 0, "end": float("nan"), "sentence": "a"}]}, "event 1: .*nan, expected a number"),
    ({"events": [{"start": 0, "end": 1, "sentence": 5}]}, "event 1: .*5, expected text"),
    ({"events": [{"start": 0, "end": 1, "sentence": "a", "level": 0.5}]}, "event 1: .*expected a whole number"),
    ({"speech": [{"start": 0, "end": 1}]}, "speech 1: no key 'text'"),
    ({"recalled": [{"start": 0, "end": 1, "nodes": [{"text": "a"}]}]}, "recalled 1: no key 'level'"),
    ({"picture": {"size": [3]}}, r"picture: size \[3\], expected width and height"),
    ({"picture": [3]}, r"\[3\], expected an object"), ({"events": {"a": 1}}, "'a': 1.*, expected a list"),
    ({"events": ["a"]}, "event 1: 'a', expected an object"), ({"made_by": []}, r"made_by: \[\], expected an object"),
])
def test_what_was_edited_wrongly_is_named(tmp_path, change, said):
    """Or by someone with other intentions: the id names the files that are written."""
    content = {"video": "a", "source": "a.mp4", "duration": 9, "events": []} | change
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"a\.json: expected captions as hicm caption writes them .*{said}"):
        own.read(tmp_path / "a.json")


def test_edited_events_are_in_order_of_time(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"video": "a", "source": "a.mp4", "duration": 9, "events": [
        {"start": 5, "end": 6, "sentence": "second"}, {"start": 1, "end": 2, "sentence": "first"}]}))
    assert [event.text for event in own.read(tmp_path / "a.json").events] == ["first", "second"]


def test_exact_text():
    """Rules of the formats: decimal sign, hours, escapes, tags, no arrow and no empty line in a cue."""
    found = [Event(Span(3723.0042, 3725), "a < b & c --> d\n\n e\0"), Event(Span(0, 0.0001), "x <i>{\\i1}")]
    import hicm.exports.srt as srt
    import hicm.exports.txt as txt
    import hicm.exports.vtt as vtt

    whole = captioned(found)
    assert srt.render(whole) == ("1\n00:00:00,000 --> 00:00:00,001\nx ‹i>(\\i1}\n\n"
                                 "2\n01:02:03,004 --> 01:02:05,000\na < b & c → d e\n\n")
    assert vtt.render(whole) == ("WEBVTT\n\n1\n00:00:00.000 --> 00:00:00.001\nx &lt;i&gt;{\\i1}\n\n"
                                 "2\n01:02:03.004 --> 01:02:05.000\na &lt; b &amp; c → d e\n\n")
    assert txt.render(whole) == "0:00 - 0:00  x <i>{\\i1}\n1:02:03 - 1:02:05  a < b & c → d e\n"


@pytest.mark.parametrize(("text", "lines"), [
    ("add the chopped onions to the pan and stir", ["add the chopped onions to the pan and stir"]),
    ("add the chopped onions to the pan and stir it", ["add the chopped onions", "to the pan and stir it"]),
    ("x" * 90, ["x" * 90]), ("word " * 40, ["word " * 19 + "word", "word " * 19 + "word"])])
def test_subtitles_have_two_lines_of_one_length(text, lines):
    import hicm.exports.srt as srt

    assert srt.render(captioned([Event(Span(0, 1), text)])).splitlines()[2:-1] == lines


@pytest.mark.parametrize("name", FORMATS)
def test_a_video_without_events(tmp_path, name):
    if name == "youtube":
        with pytest.raises(Refused, match="not written as youtube: YouTube shows chapters only if there are th"):
            write(captioned([]), tmp_path, name)
        assert list(tmp_path.iterdir()) == []
    else:
        path = write(captioned([]), tmp_path, name)
        assert path.name.startswith("video.") and path.exists()


def test_all_that_can_be_written_is(tmp_path):
    whole = captioned([Event(Span(0, 5), "stir")], 23.5 * 3600)
    with pytest.raises(Refused, match=r"^some videos/video.mp4: not written as youtube: .* not written as edl: "
                                      r"time code ends at 24 hours.* has 23\.5 hours$"):
        write_all(whole, tmp_path, ["json", "youtube", "srt", "edl", "vtt"])
    assert {path.name for path in tmp_path.iterdir()} == {"video.json", "video.srt", "video.vtt"}


def test_every_format_has_a_file_of_its_own(tmp_path):
    assert len({path_of("video", tmp_path, name) for name in FORMATS}) == len(FORMATS)


def test_every_format_is_in_the_help_and_on_the_page():
    _, text = typing.get_args(verbs.caption.__annotations__["format_"])
    assert text.partition("of: ")[2].partition(";")[0].split() == FORMATS
    assert sorted(re.findall(r"^\| `(\w+)` ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == FORMATS


def test_unknown_format():
    check_formats(tuple(FORMATS))
    with pytest.raises(UserError, match=re.escape("--format: expected one of") + ".*found 'stl'; did you mean 'srt'"):
        check_formats(("stl",))


def test_a_missing_package_is_said_first(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "opentimelineio", None)
    with pytest.raises(UserError, match=re.escape("--format otio needs opentimelineio; install it: pip install "
                                                  "'hicm[export]'")):
        check_formats(("srt", "otio"))


@pytest.mark.parametrize("name", FORMATS)
def test_no_name_breaks_a_file(tmp_path, name):
    """Of a video, which may hold any sign and need not be UTF-8."""
    video = 'a"<&=|\n;b\udcff'
    found = tuple(Event(Span(start, start + 20), f'"<&>= {start}') for start in (0, 20, 40))
    path = write(Captioned(video, f"x/{video}.mp4", 60.0, found), tmp_path, name)
    text = path.read_text(encoding="utf-8")
    if name in ("elan", "fcpxml", "matroska"):
        ET.fromstring(text.encode())
    elif path.suffix == ".json" or name == "otio":
        json.loads(text)
    elif name == "ffmetadata":
        assert [start for start, *_ in read_chapters(path)] == [0, 20_000, 40_000]
    elif name == "edl":
        assert text.splitlines()[:3] == ['TITLE: a"<&=| ;b', "FCM: NON-DROP FRAME", ""]
    assert "20" in text
