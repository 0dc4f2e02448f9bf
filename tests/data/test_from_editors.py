"""Annotations from editors' files: what is exported comes back, and what is wrong in a file is said."""

import json
import os
import re
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings

from hicm.cli import main
from hicm.data.annotations import read_annotations
from hicm.data.imports import import_annotations
from hicm.data.text import mend
from hicm.errors import UserError
from hicm.exports import write
from hicm.exports.clock import editor_rate, one_line
from hicm.stages.import_annotations import import_files, read_durations
from hicm.types import Event, Span
from tests.exports.made_up import DURATION, EVENTS, captioned, spans, ticks
from tests.video.videos import write_video

FORMS = {"srt": "subtitles", "vtt": "subtitles", "elan": "elan", "labelstudio": "label_studio", "csv": "csv"}


def known(video: str) -> tuple[str, float]:
    return video, DURATION


def imported(form: str, path: Path, durations=known) -> dict:
    """The videos of one file."""
    import_annotations(form, [path], path.parent / "annotations.json", durations, overwrite=True)
    return read_annotations(path.parent / "annotations.json")


# round trips

@pytest.mark.filterwarnings("ignore:.*nobody has annotated it")
@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=25)
@given(found=EVENTS.filter(len))
def test_what_is_exported_comes_back(tmp_path_factory, name, found):
    """Within the resolution of the form: milliseconds, frames; a table keeps all digits and line breaks."""
    whole = captioned(found)
    path = write(whole, tmp_path_factory.mktemp("out"), name)
    [video] = imported(FORMS[name], path).values()
    assert video.duration == DURATION
    assert [event.span.start for event in video.events] == sorted(event.span.start for event in video.events)
    if name == "csv":
        texts = (re.sub(r"\r\n?", "\n", mend(event.text)) for event in whole.events)
        assert video.events == tuple(Event(event.span, text) for event, text in zip(whole.events, texts, strict=True))
    elif name == "labelstudio":
        rate = editor_rate(whole.picture.frame_rate)
        frames = ((round(event.span.start * rate), round(event.span.end * rate), event.text) for event in video.events)
        assert sorted((first, end - first, text) for first, end, text in frames) == spans(found, rate)
    else:
        tags = re.compile(r"<(?=[A-Za-z/])")
        assert ticks(list(video.events)) == sorted(
            (start, end, tags.sub("‹", text).replace("{\\", "(\\") if name == "srt" else text)
            for start, end, text in ticks(found))


@pytest.mark.filterwarnings("ignore:.*nobody has annotated it")
@pytest.mark.parametrize("name", FORMS)
def test_corrected_and_read_back(tmp_path, name, capsys):
    """Exported, edited as text, imported on the command line with the durations of what hicm wrote."""
    found = [Event(Span(0, 12), "chop the onion"), Event(Span(12, 40.04), "fry it & stir\nwell")]
    whole = captioned(found, 40.04)
    write(whole, tmp_path, "json")
    path = write(whole, tmp_path, name)
    text = path.read_text(encoding="utf-8")
    assert text.count("onion") == 1
    path.write_text(text.replace("onion", "red onion"), encoding="utf-8")
    verb = FORMS[name].replace("_", "-")
    assert main(["data", f"from-{verb}", str(path), "--durations", str(tmp_path), "--out",
                 str(tmp_path / "train.json")]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/train.json: 1 videos, 2 events\n"
    [video] = read_annotations(tmp_path / "train.json").values()
    assert (video.id, video.duration) == ("video", 40.04)
    assert [one_line(event.text) for event in video.events] == ["chop the red onion", "fry it & stir well"]
    assert video.events[-1].span.end == 40.04 and video.events[0].span.end == pytest.approx(12, abs=0.02)


# durations

def test_durations_are_found(tmp_path):
    (tmp_path / "a.csv").write_text("video,duration,more\ntalk,12.5,x\n")
    (tmp_path / "a.json").write_text('{"talk": 12.5, "walk": {"duration": 3, "timestamps": []}}')
    assert read_durations(tmp_path / "a.csv") == {"talk": 12.5}
    assert read_durations(tmp_path / "a.json") == {"talk": 12.5, "walk": 3.0}
    for name, content, said in (("b.json", '{"talk": "x"}', "video talk: duration: expected seconds > 0, found 'x'"),
                                ("b.json", "[1]", "expected {video id: seconds}, found list"),
                                ("b.json", "{}", "no durations in it"),
                                ("b.csv", "id,seconds\n", "expected columns video and duration"),
                                ("b.csv", "video,duration\ntalk,0\n", "video talk: duration: expected seconds > 0")):
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError, match=re.escape(f"{name}: {said}")):
            read_durations(tmp_path / name)
    with pytest.raises(UserError, match="none: durations not found"):
        read_durations(tmp_path / "none")


def test_durations_of_video_files(tmp_path):
    """A subtitle in a language belongs to the video without it; a name with a point is a name."""
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "talk.mp4", [0.0, 1.0], 2.0)
    write_video(tmp_path / "videos" / "v1.2.mkv", [0.0], 3.0)
    for name in ("talk.en.srt", "v1.2.srt"):
        (tmp_path / name).write_text("1\n00:00:00,000 --> 00:00:01,500\nhello\n")
    said = import_files("subtitles", [str(tmp_path / "talk.en.srt"), str(tmp_path / "v1.2.srt")],
                        str(tmp_path / "out.json"), videos=str(tmp_path / "videos"))
    assert said.endswith("out.json: 2 videos, 2 events")
    found = read_annotations(tmp_path / "out.json")
    assert {video.id: round(video.duration) for video in found.values()} == {"talk": 2, "v1.2": 3}


def test_without_a_duration_the_last_event_counts(tmp_path):
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:07,250\nhello\n")
    with pytest.warns(UserWarning, match=r"duration not known, .*; give --durations or --videos: 1 videos \(a\)"):
        found = imported("subtitles", tmp_path / "a.srt", lambda video: None)
    assert found["a"].duration == 7.25
    with pytest.warns(UserWarning, match=r"events end after their video: 1 videos \(a\)"):
        found = imported("subtitles", tmp_path / "a.srt", lambda video: (video, 5.0))
    assert found["a"].events == (Event(Span(1, 7.25), "hello"),), "kept: hicm data check counts them"
    found = imported("subtitles", tmp_path / "a.srt", lambda video: (video, 7.0))
    assert found["a"].events == (Event(Span(1, 7.0), "hello"),), "rounding is cut off"


def test_what_is_left_out_is_said(tmp_path):
    (tmp_path / "a.csv").write_text("video,start,end,sentence\na,0,1,\na,2,3,stir\n")
    with pytest.warns(UserWarning, match=r"events without text are left out: 1 videos \(a\)"):
        assert imported("csv", tmp_path / "a.csv")["a"].events == (Event(Span(2, 3), "stir"),)


# what other programs write

CUE = "1\n00:00:01,000 --> 00:00:02,000\nhello\n"


def test_subtitles_of_others(tmp_path):
    (tmp_path / "a.srt").write_bytes("\ufeff1\r\n0:00:01,5 --> 0:00:02,000 X1:10\r\n<i>Bring</i> {\\an8}water\r\n"
                                     "\r\nto a boil\r\n\r\n\r\n2\r\n00:01:00.250 --> 00:01:02.000\r\nserve\r\n"
                                     .encode())
    assert imported("subtitles", tmp_path / "a.srt")["a"].events == (
        Event(Span(1.5, 2), "Bring water to a boil"), Event(Span(60.25, 62), "serve"))
    (tmp_path / "b.vtt").write_text("WEBVTT - a talk\nKind: captions\n\nSTYLE\n::cue {color: red}\n\nNOTE to be checked"
                                    "\n\nintro\n00:01.000 --> 00:02.000 align:start line:0%\n<v Ann><b>cut</b> &lt;1 cm"
                                    "\npieces\n\n01:00:00.000 --> 01:00:01.000\nR&amp;B\n")
    assert imported("subtitles", tmp_path / "b.vtt")["b"].events == (
        Event(Span(1, 2), "cut <1 cm pieces"), Event(Span(3600, 3601), "R&B"))


def test_cues_without_empty_lines_and_milliseconds(tmp_path):
    (tmp_path / "a.srt").write_text(CUE + "2\n00:00:03 --> 00:00:04\nchop\n")
    assert imported("subtitles", tmp_path / "a.srt")["a"].events == (
        Event(Span(1, 2), "hello"), Event(Span(3, 4), "chop"))


def test_tables_of_others(tmp_path):
    """As a spreadsheet with decimal commas saves it; without a column video, the file is the video."""
    (tmp_path / "a.csv").write_bytes("\ufeffstart;end;sentence;note\r\n0,5;12,25;\"chop; then\nfry\";x\r\n".encode())
    assert imported("csv", tmp_path / "a.csv")["a"].events == (Event(Span(0.5, 12.25), "chop; then\nfry"),)


def test_elan_of_others(tmp_path):
    """Tiers that refer to others have no times of their own; several tiers make one list of events."""
    (tmp_path / "a.eaf").write_text("""<?xml version="1.0"?><ANNOTATION_DOCUMENT>
<HEADER TIME_UNITS="milliseconds"/><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="1500"/>
<TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="2000"/><TIME_SLOT TIME_SLOT_ID="c"/></TIME_ORDER><TIER TIER_ID="x"><ANNOTATION>
<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="a" TIME_SLOT_REF2="b"><ANNOTATION_VALUE>chop
 it</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER><TIER TIER_ID="y"><ANNOTATION>
<REF_ANNOTATION ANNOTATION_ID="a2" ANNOTATION_REF="a1"><ANNOTATION_VALUE>hacken</ANNOTATION_VALUE></REF_ANNOTATION>
</ANNOTATION></TIER></ANNOTATION_DOCUMENT>""")
    assert imported("elan", tmp_path / "a.eaf")["a"].events == (Event(Span(1.5, 2), "chop it"),)


def test_label_studio_of_others(tmp_path):
    """The last annotation that was not cancelled; an uploaded file without its prefix; the text without its region."""
    region = {"id": "x", "type": "timelinelabels", "value": {"ranges": [{"start": 26, "end": 50}]}}
    text = {"id": "x", "type": "textarea", "value": {"text": ["chop", "it"]}}
    task = {"id": 7, "data": {"video": "http://host/data/upload/1/0a1b2c3d-my%20talk.mp4?x=1", "fps": "25"},
            "annotations": [{"result": []}, {"result": [text, region]}, {"was_cancelled": True, "result": []}]}
    (tmp_path / "a.json").write_text(json.dumps([task]))
    with pytest.warns(UserWarning, match="task 7: 2 annotations; the last one is taken"):
        found = imported("label_studio", tmp_path / "a.json")
    assert found["my talk"].events == (Event(Span(1, 2), "chop it"),)


# what is wrong

ELAN = ('<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="{}"><MEDIA_DESCRIPTOR TIME_ORIGIN="{}"/></HEADER>{}'
        '</ANNOTATION_DOCUMENT>')
LOST = '<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="t1" TIME_SLOT_REF2="t2"/>'


@pytest.mark.parametrize(("form", "name", "content", "said"), [
    ("subtitles", "a.ass", "", "expected subtitles as .srt or .vtt"),
    ("subtitles", "a.srt", "hello\n", "found no line of times"),
    ("subtitles", "a.srt", f"{CUE}\n2\n00:00:03,0x --> 00:00:04\nx\n", "line 6: expected hours:minutes:seconds"),
    ("subtitles", "a.srt", CUE.replace("01,000", "03,000"), "video a: 'hello': expected 0 <= start <= end, found 3.0"),
    ("subtitles", "a.srt", b"1\n00:00:01,000 --> 00:00:02,000\n\xe9t\xe9\n", "is not UTF-8 text (byte 32)"),
    ("subtitles", "a.vtt", "WEBVTT\n\nhello\n", "line 3: expected a cue with its times, found 'hello'"),
    ("subtitles", "a.srt", "", "no events and no duration"),
    ("csv", "a.csv", "start,end,text\n", "no column sentence; expected a header with start, end, sentence"),
    ("csv", "a.csv", "start,end,sentence\n0,x,stir\n", "line 2: end: expected seconds of 0 or more, found 'x'"),
    ("csv", "a.csv", "start,end,sentence\n0,nan,stir\n", "line 2: end: expected seconds of 0 or more, found 'nan'"),
    ("csv", "a.csv", "start,end,sentence\n0,1,chop, stir\n", "line 2: expected 3 columns; put texts with ','"),
    ("csv", "a.csv", "start,end,sentence,duration\n0,1,a,9\n0,1,b,8\n", "line 3: duration: 8 s, but 9 s in another"),
    ("csv", "a.csv", "start,end,sentence\n", "no video in these files"),
    ("elan", "a.eaf", "<a", "expected an ELAN file (unclosed token"),
    ("elan", "a.eaf", "<a/>", "expected an ELAN file, found <a>"),
    ("elan", "a.eaf", ELAN.format("PAL-frames", 0, ""), "expected times in milliseconds, found PAL-frames"),
    ("elan", "a.eaf", ELAN.format("milliseconds", 500, ""), "the video begins 500 ms before the annotations do"),
    ("elan", "a.eaf", ELAN.format("milliseconds", 0, LOST), "annotation a1: its times are not in the file"),
    ("label_studio", "a.json", "{}", "expected a list of tasks"),
    ("label_studio", "a.json", '[{"video": "a.mp4"}]', "task 1: expected data.video; export as JSON, not as JSON-MIN"),
    ("label_studio", "a.json", '[{"id": 3, "data": {"video": "a.mp4"}}]', "task 3: data.fps: expected the frames"),
    ("label_studio", "a.json", '[{"data": {"video": "a.mp4", "fps": 25}}]', "task 1: has neither annotations nor pred"),
    ("label_studio", "a.json", '[{"data": {"video": "a.mp4", "fps": 25}, "annotations": [{"result": [{"id": "r", '
     '"type": "timelinelabels", "value": {}}]}]}]', "task 1: region r: expected value.ranges with start and end"),
])
def test_what_is_wrong_is_said(tmp_path, form, name, content, said):
    """In one line that names the file; nothing is written."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=re.escape(said)) as error:
        import_annotations(form, [path], tmp_path / "out.json", lambda video: None)
    assert name in str(error.value) or "these files" in said
    assert not (tmp_path / "out.json").exists()


def test_files_of_one_video(tmp_path):
    for name in ("a.srt", "a.vtt"):
        (tmp_path / name).write_text(("WEBVTT\n\n" if name == "a.vtt" else "") + CUE.replace(",", "."))
    with pytest.raises(UserError, match=r"a\.vtt: video a is also in .*a\.srt; keep one"):
        import_annotations("subtitles", [tmp_path / "a.srt", tmp_path / "a.vtt"], tmp_path / "out.json", known)
    with pytest.raises(UserError, match=r"none\.srt: file not found"):
        import_annotations("subtitles", [tmp_path / "none.srt"], tmp_path / "out.json", known)
    with pytest.raises(UserError, match="form: expected one of 'csv', 'elan', 'label_studio', 'subtitles'"):
        import_annotations("word", [tmp_path / "a.srt"], tmp_path / "out.json", known)


def test_an_input_is_never_written(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("start,end,sentence\n0,1,chop\n")
    for files, durations in (([str(table)], ""), ([], str(table))):
        with pytest.raises(UserError, match=r"a\.csv: is the input .*a\.csv, which would be lost"):
            import_files("csv", files, str(table), durations)
    assert table.read_text().startswith("start")


# where it is written

def lines_of(capsys) -> list[str]:
    return capsys.readouterr().err.splitlines()


@pytest.fixture
def subtitles(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.srt").write_text(CUE)
    Path("b.srt").write_text(CUE.replace("hello", "bye"))
    return tmp_path


def test_other_annotations_are_replaced_on_request_only(subtitles, capsys):
    """The same ones are left as they are, without a new time stamp."""
    with pytest.warns(UserWarning, match="duration not known"):
        assert main(["data", "from-subtitles", "a.srt", "--out", "out.json"]) == 0
    before = Path("out.json").stat()
    Path("reformatted.json").write_text(json.dumps(json.loads(Path("out.json").read_text())))
    for out in ("out.json", "reformatted.json"):
        content = Path(out).read_bytes()
        with pytest.warns(UserWarning, match="duration not known"):
            assert main(["data", "from-subtitles", "a.srt", "--out", out]) == 0
        assert Path(out).read_bytes() == content and Path("out.json").stat() == before
    capsys.readouterr()
    assert main(["data", "from-subtitles", "b.srt", "--out", "out.json"]) == 2
    assert lines_of(capsys) == ["hicm: error: out.json: holds other annotations; choose another --out, or replace them "
                                "with --overwrite"]
    assert Path("out.json").stat() == before
    with pytest.warns(UserWarning, match="duration not known"):
        assert main(["data", "from-subtitles", "b.srt", "--out", "out.json", "--overwrite"]) == 0
    assert set(read_annotations("out.json")) == {"b"}


@pytest.mark.parametrize("content", ["", "notes", "[]", '{"events": [], "video": "talk"}', '{"a": {"duration": 3}}',
                                     CUE])
@pytest.mark.parametrize("verb", ["from-subtitles", "from-csv", "from-elan", "from-label-studio"])
def test_other_files_are_never_replaced(subtitles, capsys, content, verb):
    """In one line, without the warnings of an import that is not written."""
    made = {"from-subtitles": "a.srt", "from-csv": "a.csv", "from-elan": "a.eaf", "from-label-studio": "a.json"}[verb]
    captions = captioned([Event(Span(0, 2), "hello")])
    write(captions, subtitles, "elan")
    write(captions, subtitles, "csv")
    write(captions, subtitles, "labelstudio")
    for name in ("video.eaf", "video.csv", "video.labelstudio.json"):
        Path(name).rename(f"a.{name.rpartition('.')[2]}")
    Path("mine.json").write_text(content)
    for more in ([], ["--overwrite"]):
        assert main(["data", verb, made, "--out", "mine.json", *more]) == 2
        assert lines_of(capsys) == ["hicm: error: mine.json: exists and holds no annotations; choose another --out, or "
                                    "remove it"]
    assert Path("mine.json").read_text() == content


@pytest.mark.parametrize(("words", "said"), [
    (("a.srt", "--out", ""), "--out: expected a file to write to, found an empty name"),
    (("a.srt", "--out", "."), ".: cannot be written (it is a folder); choose another --out"),
    (("a.srt", "--out", "b.srt/out.json"), "b.srt/out.json: cannot be written (Not a directory); choose another --out"),
    (("a.srt", "--out", "pipe.srt"), "pipe.srt: cannot be written (it is not a regular file); choose another --out"),
    (("",), "an empty name among the files; give files to import"),
    (("pipe.srt",), "pipe.srt: expected a file, found a named pipe"),
    (("a.srt", "--durations", "pipe.srt"), "pipe.srt: expected a file, found a named pipe"),
    (("p.srt", "--videos", "p.mp4"), "p.mp4: expected a video file, found a named pipe"),
])
def test_paths_that_are_wrong(subtitles, capsys, words, said):
    """One line before anything is read, and no waiting for what a pipe may bring."""
    os.mkfifo("pipe.srt")
    os.mkfifo("p.mp4")
    Path("p.srt").write_text(CUE)
    before = sorted(subtitles.iterdir())
    assert main(["data", "from-subtitles", *words]) == 2
    assert lines_of(capsys) == [f"hicm: error: {said}"]
    assert sorted(subtitles.iterdir()) == before


def test_a_full_disk(subtitles, capsys):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        assert main(["data", "from-subtitles", "a.srt", "--out", "out.json"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert lines_of(capsys) == ["hicm: error: out.json: cannot be written (File too large); free space or choose "
                                "another output folder"]
    assert not Path("out.json").exists()


@pytest.mark.parametrize(("form", "name", "content", "said"), [
    ("label_studio", "a.json", '[{"data": {"video": "a", "fps": 25}, "annotations": [5]}]',
     "task 1: annotations: expected a list of objects"),
    ("label_studio", "a.json", '[{"data": {"video": "a", "fps": ' + "9" * 400 + "}}]", "data.fps: expected the frames"),
    ("label_studio", "a.json", '[{"data": {"video": "http://[x/a.mp4", "fps": 25}, "annotations": [{"result": []}]}]',
     "video a: no events and no duration"),
    ("label_studio", "a.json", '[{"data": {"video": "", "fps": 25, "duration": 9}, "annotations": [{"result": []}]}]',
     "this id cannot name a file"),
    ("elan", "a.eaf", ELAN.format("milliseconds", 0, '<TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="' + "9" * 5000 + '"/>'
                                  + LOST.replace("t2", "t1")), "annotation a1: its times are not in the file"),
    ("csv", "a.csv", 'video,start,end,sentence\n"a\nb",0,1,stir\n', "an id may not hold"),
])
def test_odd_content_is_refused(tmp_path, form, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=re.escape(said)):
        import_annotations(form, [tmp_path / name], tmp_path / "out.json", lambda video: None)


def test_odd_durations(tmp_path):
    """What is no caption is passed over in a folder; tables are known by their ending in capitals too."""
    (tmp_path / "A.CSV").write_text("video,duration\ntalk,12.5\n")
    assert read_durations(tmp_path / "A.CSV") == {"talk": 12.5}
    for content in (f'video,duration\n"{"x" * 200_000}",3\n', "duration,video\n3\n"):
        (tmp_path / "A.CSV").write_text(content)
        with pytest.raises(UserError, match=r"A\.CSV: "):
            read_durations(tmp_path / "A.CSV")
    (tmp_path / "captions").mkdir()
    for name, video in (("a", []), ("b", {"x": 3}), ("c", "talk")):
        (tmp_path / "captions" / f"{name}.json").write_text(json.dumps({"video": video, "duration": 3}))
    assert read_durations(tmp_path / "captions") == {"talk": 3.0}
