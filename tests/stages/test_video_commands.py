"""The commands for videos, called as careless users call them: one line each, before a model is loaded."""

import json
import os
import re
import resource
import shutil
import socket
from pathlib import Path

import h5py
import pytest

from hicm.cli import main, make_parser
from hicm.stages.each_video import find_videos
from hicm.video.speech import video_speech
from tests.stages.test_caption import ANYTHING, bank, videos

__all__ = ["bank", "videos"]

SETTINGS = [word for one in ANYTHING for word in ("--set", one)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to work in; no model can be loaded."""
    def load(*_):
        raise AssertionError("a model is loaded")

    monkeypatch.chdir(tmp_path)
    for name in ("hicm.encoders.make_image_encoder", "hicm.recognisers.make_recogniser",
                 "hicm.stages.video_captioner._open_system"):
        monkeypatch.setattr(name, load)
    Path("file").write_text("mine")
    return tmp_path


COMMANDS = {"caption": ("--memory", "bank"), "features": (), "speech": ()}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("words", "said"), [
    (("--out", ""), "--out: expected a f.* to write to, found an empty name"),
    (("--cache", ""), "--cache: expected a folder to write to, found an empty name"),
    (("--out", "file/below"), r"file/below: cannot be written \(Not a directory\); choose another --out"),
    (("--cache", "file"), r"file: cannot be written \(Not a directory\); choose another --cache"),
    (("--cache", "file/below"), r"file/below: cannot be written \(Not a directory\); choose another --cache"),
    (("--cache", "/proc/none"), r"/proc/none: cannot be written \(.*\); choose another --cache"),
    (("--out", "pipe"), r"pipe: cannot be written \(.*\); choose another --out"),
    (("--shard", "-1/2"), "--shard -1/2: expected i/n with 1 <= i <= n"),
    (("",), "an empty name among the videos"),
])
def test_what_is_wrong_is_said_first(place, videos, capsys, command, words, said):
    os.mkfifo("pipe")
    assert main([command, str(videos), *words, *COMMANDS[command]]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and err.startswith("hicm: error: ")
    assert re.search(said, err)
    assert {path.name for path in place.iterdir()} == {"file", "pipe"} and Path("file").read_text() == "mine"
    assert Path("pipe").is_fifo()


@pytest.mark.parametrize(("words", "said"), [
    (("features", "--out", "."), r"\.: cannot be written (it is a folder)"),
    (("features", "--out", "/"), "/: cannot be written (it is a folder)"),
    (("features", "--out", "file"), "file: exists and holds no features"),
])
def test_no_file_of_features(videos, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    assert main([words[0], str(videos), *words[1:], "--encoder", "hashing:8"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and said.replace("\\", "") in err and Path("file").read_text() == "mine"


@pytest.mark.parametrize(("words", "said"), [
    (("--format", "SRT"), "found 'SRT'; did you mean 'srt'?"),
    (("--format", ".vtt"), "found '.vtt'; did you mean 'vtt'?"),
    (("--format", "srt,vtt"), "--format srt,vtt: expected names separated by blanks; write --format srt vtt"),
    (("--format", "srt vtt"), "write --format srt vtt"),
    (("--format", "srt", "--format", "wtt"), "found 'wtt'; did you mean 'vtt'?"),
    (("--window", "inf"), "--window inf: expected 1 second or more"),
    (("--speech", "/nope", "--no-speech"), "--speech /nope: contradicts --no-speech; give one of them"),
])
def test_slips_in_options(place, videos, capsys, words, said):
    assert main(["caption", str(videos), "--memory", "bank", *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_repeated_options_add_up():
    parse = make_parser().parse_args
    for _ in range(2):  # the default is not changed
        assert parse(["caption", "x", "--format", "srt", "--format", "vtt", "edl"]).format_ == ["srt", "vtt", "edl"]
        assert parse(["caption", "x"]).format_ == []
    assert parse(["evaluate", "p", "r", "--metrics", "F1", "--metrics", "CIDEr"]).metrics == ["F1", "CIDEr"]
    assert parse(["caption", "-1.mp4", "-12/3.mp4"]).videos == ["-1.mp4", "-12/3.mp4"]


def test_speech_that_is_not_read_is_said(bank, videos, tmp_path, capsys):
    words = ["caption", str(videos / "short.mkv"), "--memory", bank, "--out", str(tmp_path / "out"), "--cache",
             str(tmp_path / "cache"), *SETTINGS]
    with pytest.warns(UserWarning, match="--speech /nope: has no effect, as this model reads no speech"):
        assert main([*words, "--speech", "/nope"]) == 0


@pytest.mark.filterwarnings("ignore:hashing")
def test_a_folder_of_everything(bank, videos, tmp_path, capsys):
    """Each file that is no video has its line; hidden files are none; names in any language stay in one line."""
    folder = tmp_path / "videos"
    folder.mkdir()
    os.mkfifo(folder / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.mp4"))
    (folder / "empty.mp4").touch()
    (folder / "lost.mp4").symlink_to("nowhere")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "folder.mp4").mkdir()
    (folder / "notes.txt").write_text("no video")
    (folder / "._talk.mp4").write_bytes(b"\0\5\x16\7")
    named = [folder / name for name in ("é 日本.MKV", "two\nlines\x1b[2J.mkv", os.fsdecode(b"caf\xe9.mkv"), "-1.mkv")]
    for path in named:
        shutil.copy(videos / "short.mkv", path)
    words = [str(folder), "--cache", str(tmp_path / "cache")]
    for _ in range(2):  # the second time for new formats
        assert main(["caption", *words, "--memory", bank, "--out", str(tmp_path / "out"), *SETTINGS,
                     *(["--format", "elan", "csv"] if (tmp_path / "out").exists() else [])]) == 1
        out, err = capsys.readouterr()
        said = set(re.findall(r"\w\.mp4: (?!\s)(.*)", err))
        assert said == {"expected a video file, found a named pipe", "expected a video file, found a socket",
                        "expected a video file, found an empty file", "expected a video file, found a folder",
                        "video not found; give a video file"}
        assert out.endswith("out: 4 captioned, 6 failed (see " + f"{tmp_path}/out/failed.jsonl)\n")
    for path in named:
        assert all((tmp_path / "out" / f"{path.stem}.{suffix}").exists() for suffix in ("json", "srt", "eaf", "csv"))
    with pytest.warns(UserWarning, match="failures are printed, but not recorded"):
        (tmp_path / "f.h5.failed.jsonl").mkdir()
        assert main(["features", *words, "--encoder", "hashing:8", "--out", str(tmp_path / "f.h5")]) == 1
    assert "two lines\\x1b[2J.mkv: video 'two\\nlines\\x1b[2J': an id may not hold" in capsys.readouterr().err
    with h5py.File(tmp_path / "f.h5") as file:
        assert set(file) == {"é 日本", "-1"}


def test_a_pipe_with_captions_is_not_read(bank, videos, tmp_path, capsys):
    """It was a video when it was captioned."""
    video = tmp_path / "a.mkv"
    shutil.copy(videos / "short.mkv", video)
    words = ["caption", str(video), "--memory", bank, "--out", str(tmp_path / "out"), "--cache",
             str(tmp_path / "cache"), *SETTINGS]
    with pytest.warns(UserWarning, match="hashing"):
        assert main(words) == 0
    video.unlink()
    os.mkfifo(video)
    with pytest.warns(UserWarning, match="hashing"):
        assert main(words) == 1
    assert "a.mkv: expected a file, found a named pipe" in capsys.readouterr().err


def test_one_file_under_two_paths_is_one_video(videos, monkeypatch):
    monkeypatch.chdir(videos)
    assert find_videos(["short.mkv", "./short.mkv", str(videos / "short.mkv"), "."]) == [
        Path("short.mkv"), Path("scenes.mp4")]


def test_features_that_cannot_be_made_again_stay(videos, tmp_path, capsys):
    """Those of a video that has become unreadable, and those of another file of the same name."""
    folder = tmp_path / "videos"
    shutil.copytree(videos, folder)
    words = ["features", str(folder), "--out", str(tmp_path / "f.h5"), "--cache", str(tmp_path / "cache"),
             "--encoder", "hashing:8"]
    assert main(words) == 0
    before = (tmp_path / "f.h5").read_bytes()
    (folder / "short.mkv").write_text("broken")
    assert main(words) == 2
    assert "f.h5: not changed: it holds short, which cannot be read any more" in capsys.readouterr().err
    shutil.copy(videos / "scenes.mp4", folder / "short.mkv")
    assert main(words) == 2
    assert "f.h5: the features of short are those of another file than" in capsys.readouterr().err
    assert (tmp_path / "f.h5").read_bytes() == before


@pytest.mark.parametrize("content", ["[]", "{}", '{"segments": null}', "{", '{"segments": [1], "recogniser": "stub"}',
                                     '{"segments": [], "recogniser": "other"}'])
def test_a_damaged_cache_of_speech_is_made_again(videos, tmp_path, content):
    class Stub:
        name = "stub"

        def transcribe(self, path):
            raise AssertionError("there is no sound")

    made = video_speech(videos / "short.mkv", Stub(), tmp_path)
    [kept] = tmp_path.iterdir()
    kept.write_text(content)
    assert video_speech(videos / "short.mkv", Stub(), tmp_path) == made == json.loads(kept.read_text())


@pytest.mark.filterwarnings("ignore:hashing", "ignore:.*failures are printed")
@pytest.mark.parametrize("size", [0, 600])
def test_a_full_disk(bank, videos, tmp_path, capsys, size):
    """Nothing half-written stays, and the next call makes it."""
    words = ["caption", str(videos), "--memory", bank, "--out", str(tmp_path / "out"), "--cache",
             str(tmp_path / "cache"), *SETTINGS]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        assert main(words) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in capsys.readouterr().err
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"failed.jsonl"}
    assert main(words) == 0 and len(list((tmp_path / "out").iterdir())) == 10
