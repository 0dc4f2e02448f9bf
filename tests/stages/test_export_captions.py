"""Captions in other formats, after they were corrected."""

from dataclasses import replace

import pytest

from hicm.cli import main
from hicm.exports import Captioned, write
from hicm.types import Event, Span

WHOLE = Captioned("talk", "talk.mp4", 90.0, (Event(Span(1.0, 3.0), "stir", 0.5),), {"device": "cpu"})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_default_and_other_formats(here, capsys):
    path = write(WHOLE, here / "captions", "json")
    assert main(["export", str(path)]) == 0
    assert {file.name for file in path.parent.iterdir()} == {
        f"talk.{one}" for one in ("json", "srt", "vtt", "txt", "html")}
    assert main(["export", str(path), "--format", "elan", "csv", "--out", "other"]) == 0
    assert {file.name for file in (here / "other").iterdir()} == {"talk.eaf", "talk.csv"}
    assert capsys.readouterr().out.splitlines()[-2:] == ["other/talk.eaf", "other/talk.csv"]


def test_every_format_is_what_hicm_caption_writes(here):
    names = ("json", "vtt", "html")
    written = {name: write(WHOLE, here / "captions", name).read_bytes() for name in names}
    assert main(["export", "captions/talk.json", "--format", *names, "--out", "again"]) == 0
    for name in names:
        assert (here / "again" / f"talk.{name}").read_bytes() == written[name]


def test_corrected_captions_replace_others_when_asked(here, capsys):
    write(WHOLE, here, "json")
    assert main(["export", "talk.json", "--format", "srt", "vtt"]) == 0
    before = {name: (here / name).read_bytes() for name in ("talk.srt", "talk.vtt")}
    write(replace(WHOLE, events=(Event(Span(1, 3), "corrected"),)), here, "json")
    (here / "talk.srt").unlink()
    assert main(["export", "talk.json", "--format", "srt", "vtt"]) == 2
    assert "talk.vtt: exists and holds something else" in capsys.readouterr().err
    assert not (here / "talk.srt").exists() and (here / "talk.vtt").read_bytes() == before["talk.vtt"]
    assert main(["export", "talk.json", "--format", "srt", "vtt", "--overwrite"]) == 0
    assert b"corrected" in (here / "talk.srt").read_bytes() and b"corrected" in (here / "talk.vtt").read_bytes()


def test_formats_that_cannot_hold_them(here, capsys):
    """Each has a line with its reason; the others are written; the exit status says that something is missing."""
    write(replace(WHOLE, duration=24 * 3600.0), here, "json")
    write(replace(WHOLE, id="short"), here, "json")
    assert main(["export", "talk.json", "short.json", "--format", "youtube", "srt", "edl", "vtt"]) == 1
    out, err = capsys.readouterr()
    assert out.split() == ["talk.srt", "talk.vtt", "short.srt", "short.edl", "short.vtt"]
    assert all((here / name).exists() for name in out.split())
    lines = [line.partition(" not written as ") for line in err.splitlines()]
    assert [(before, after.partition(":")[0]) for before, _, after in lines] == [
        ("hicm: error: talk.json:", "youtube"), ("hicm: error: talk.json:", "edl"),
        ("hicm: error: short.json:", "youtube")]
    assert not (here / "talk.edl").exists()
    assert main(["export", "short.json", "--format", "youtube"]) == 1
    assert capsys.readouterr().out == "no file was written\n"


def test_what_is_refused(here, capsys):
    write(WHOLE, here / "a", "json")
    write(WHOLE, here / "b", "json")
    (here / "x.json").write_text('{"video": "../x", "source": "", "duration": 1, "events": []}')
    mistakes = {("gone.json",): "gone.json: captions not found", ("x.json",): "x.json: expected captions",
                ("a",): "a: expected captions, found a folder; give a .json",
                ("a/talk.json", "--format", "docx"): "--format: expected one of",
                ("a/talk.json", "b/talk.json", "--out", "c"): "b/talk.json: would be written to c/talk.srt, as another"}
    for arguments, message in mistakes.items():
        assert main(["export", *arguments]) == 2
        assert message in capsys.readouterr().err, arguments
    assert {path.name for path in here.iterdir()} == {"a", "b", "x.json"}
