"""hicm caption replaces nothing that it did not write, corrected captions least of all; a killed call continues."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hicm.cli import main
from hicm.data.annotations import read_annotations
from hicm.exports import write
from hicm.stages.caption import caption_files
from hicm.stages.import_annotations import import_files
from tests.stages.test_caption import ANYTHING, bank, captioner, videos

ROOT = Path(__file__).resolve().parents[2]

__all__ = ["bank", "captioner", "videos"]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", ["short.srt", "short.vtt", "short.txt", "short.eaf", "short.json"])
def test_side_cars_of_others_are_not_replaced(captioner, videos, tmp_path, capsys, name):
    """As with --out . beside the videos: that video is recorded, the others continue; --overwrite replaces it."""
    (tmp_path / name).write_text("mine")
    formats = ("srt", "vtt", "txt", "elan")
    files = [videos / "scenes.mp4", videos / "short.mkv"]
    summary = caption_files(files, captioner, tmp_path, formats)
    assert (summary.done, summary.failed) == (("scenes",), ("short",))
    said = ("exists and holds no captions; choose another --out, or remove it" if name == "short.json" else
            "exists without short.json, so hicm caption did not write it; choose another --out, or replace it with")
    assert f"{tmp_path / name}: {said}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("short.*")] == [name] and (tmp_path / name).read_text() == "mine"
    summary = caption_files(files, captioner, tmp_path, formats, overwrite=True)
    if name == "short.json":
        assert summary.failed == ("short",) and (tmp_path / name).read_text() == "mine", "no captions: never replaced"
    else:
        assert set(summary.done) == {"scenes", "short"} and (tmp_path / name).read_text() != "mine"


def test_a_link_that_leads_nowhere_is_not_replaced(captioner, videos, tmp_path):
    (tmp_path / "short.srt").symlink_to("unmounted/short.srt")
    assert caption_files([videos / "short.mkv"], captioner, tmp_path).failed == ("short",)
    assert (tmp_path / "short.srt").is_symlink()


@pytest.mark.parametrize("content", ["[]", "null", "torn {", '{"made_by": {"decided_by": null}}', '{"events": {}}'])
def test_json_that_holds_no_captions(captioner, videos, tmp_path, content):
    (tmp_path / "short.json").write_text(content)
    for overwrite in (False, True):
        assert caption_files([videos / "short.mkv"], captioner, tmp_path, overwrite=overwrite).failed == ("short",)
        assert (tmp_path / "short.json").read_text() == content
    assert "short.json: exists and holds no captions" in (tmp_path / "failed.jsonl").read_text()


def test_corrected_captions_stay(captioner, videos, tmp_path):
    """Captioned, corrected in an editor, read for training: the same call, repeated, touches nothing of it."""
    formats = ("srt", "vtt", "txt", "elan")
    assert caption_files([videos / "scenes.mp4"], captioner, tmp_path, formats).ok
    subtitle = tmp_path / "scenes.srt"
    corrected = subtitle.read_text().splitlines()
    corrected[2] = "Peel the green mango."
    subtitle.write_text("\n".join(corrected) + "\n")
    before = contents(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("scenes.*")}
    assert caption_files([videos / "scenes.mp4"], captioner, tmp_path, formats).skipped == ("scenes",)
    assert {path: path.stat().st_mtime_ns for path in times} == times and contents(tmp_path) == before
    assert caption_files([videos / "scenes.mp4"], captioner, tmp_path, (*formats, "csv")).done == ("scenes",)
    assert contents(tmp_path) == before | {"scenes.csv": (tmp_path / "scenes.csv").read_bytes()}
    import_files("subtitles", [str(subtitle)], str(tmp_path / "train.json"), durations=str(tmp_path))
    assert read_annotations(tmp_path / "train.json")["scenes"].events[0].text.startswith("Peel the green mango.")
    assert caption_files([videos / "scenes.mp4"], captioner, tmp_path, formats).skipped == ("scenes",)
    assert subtitle.read_bytes() == before["scenes.srt"]


def test_an_edited_json_names_no_other_file(captioner, videos, tmp_path):
    """Names with folders and times that are none are refused."""
    caption_files([videos / "short.mkv"], captioner, tmp_path / "out")
    path = tmp_path / "out" / "short.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"video": "../elsewhere"}))
    assert caption_files([videos / "short.mkv"], captioner, tmp_path / "out", ("csv",)).failed == ("short",)
    assert not list(tmp_path.rglob("*.csv"))
    for start_, end in ((float("inf"), 1), (2, 1), (-1, 1), (None, 1), (10 ** 400, 1)):
        path.write_text(json.dumps(content | {"events": [{"start": start_, "end": end, "sentence": "x"}]}))
        assert caption_files([videos / "short.mkv"], captioner, tmp_path / "out", ("edl",)).failed == ("short",)
        assert "short.json: expected captions as" in (tmp_path / "out" / "failed.jsonl").read_text()


def test_a_call_that_ends_between_two_files_is_continued(captioner, videos, tmp_path, monkeypatch):
    """What it has written is known as its own."""
    def dies(captioned, folder, name):
        if name == "vtt":
            raise KeyboardInterrupt
        return write(captioned, folder, name)

    monkeypatch.setattr("hicm.exports.write", dies)
    with pytest.raises(KeyboardInterrupt):
        caption_files([videos / "short.mkv"], captioner, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} - {"cache"} == {"short.json", "short.srt"}
    monkeypatch.undo()
    monkeypatch.setattr(captioner, "caption", None)
    assert caption_files([videos / "short.mkv"], captioner, tmp_path).done == ("short",)
    assert (tmp_path / "short.vtt").exists() and (tmp_path / "short.txt").exists()


# Ctrl-C

WAITS = """
import signal, sys, time
from pathlib import Path
from hicm.cli import main
from hicm.video import features

signal.signal(signal.SIGINT, signal.default_int_handler)
extract = features._extract

def slowly(video, *more):
    if video.path.stem == "short":
        Path(sys.argv.pop()).touch()
        time.sleep(60)
    return extract(video, *more)

features._extract = slowly
sys.exit(main(sys.argv[1:-1]))
"""


def test_ctrl_c_keeps_what_is_finished(bank, videos, tmp_path, capsys):
    """A process that is interrupted in its second video; the same command then skips the first."""
    words = ["caption", str(videos), "--memory", bank, "--out", str(tmp_path / "out"), "--cache",
             str(tmp_path / "cache"), *(word for one in ANYTHING for word in ("--set", one))]
    process = subprocess.Popen([sys.executable, "-c", WAITS, *words, str(tmp_path / "waiting")], cwd=ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "waiting").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and said.endswith("hicm: interrupted; the same command continues\n")
    kept = contents(tmp_path / "out")
    assert set(kept) == {f"scenes.{suffix}" for suffix in ("json", "srt", "vtt", "txt", "html")}
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".npz"], "of the first video alone"
    assert main(words) == 0
    assert capsys.readouterr().out.endswith("out: 1 captioned, 1 already there\n")
    assert contents(tmp_path / "out").items() > kept.items()
