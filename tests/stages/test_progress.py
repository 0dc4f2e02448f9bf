"""Progress of the captioning of a video, by stage."""

import io
import re
from types import SimpleNamespace

import pytest

from hicm.recognisers.whisper import Whisper
from hicm.stages.build_memory import build_memory
from hicm.stages.caption import caption_files
from hicm.stages.video_captioner import VideoCaptioner
from tests.memory_data import write_config
from tests.video.videos import write_video


def test_stages_of_a_video(tmp_path):
    video = write_video(tmp_path / "talk.mp4", [0.0, 20.0, 40.0], 70.0)
    bank = build_memory(write_config(tmp_path, summariser="medoid"))
    captioner = VideoCaptioner(memory=str(bank), encoder="blocks:32", cache=tmp_path / "cache", window=20)
    reports = []
    captioned = captioner.caption(video, lambda *one: reports.append(one))
    frames = [one for one in reports if one[0] == "frames"]
    assert frames == [("frames", 32.0, 70), ("frames", 64.0, 70), ("frames", 70.0, 70)]
    windows = int(reports[-1][2])
    assert windows > 2 and reports[len(frames):] == [(stage, number, windows) for stage in ("recall", "captions")
                                                  for number in range(1, windows + 1)]
    reports.clear()
    captioner.caption(video, lambda *one: reports.append(one))
    assert "frames" not in {stage for stage, _, _ in reports}, "they are in the cache"
    by_setting = VideoCaptioner(memory=str(bank), encoder="blocks:32", cache=tmp_path / "cache",
                                overrides=["data.longest=20"])
    assert by_setting.caption(video).events == captioned.events, "as --window"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def captioned(tmp_path, monkeypatch):
    """Captions a video of 70 seconds; returns what stands on standard error."""
    bank = build_memory(write_config(tmp_path, summariser="medoid"))
    video = write_video(tmp_path / "talk.mp4", [0.0, 20.0, 40.0], 70.0)

    def caption(stream):
        captioner = VideoCaptioner(memory=str(bank), encoder="blocks:32", cache=tmp_path / "cache", window=20)
        monkeypatch.setattr("sys.stderr", stream)
        assert caption_files([video], captioner, tmp_path / "out", ["json", "srt"]).ok
        return stream.getvalue()

    return caption


def test_one_line_on_a_terminal(captioned):
    """The stage and how far it has come, on one line, which is removed at the end."""
    text = captioned(Terminal())
    shown = [line for line in text.split("\r") if line.strip()]
    stages = [re.match(r"talk\.mp4: (\w+): ", line)[1] for line in shown if "talk.mp4: " in line]
    assert list(dict.fromkeys(stages)) == ["opening", "frames", "recall", "captions", "files"]
    assert any("/70 s [" in line for line in shown) and any("/2 files [" in line for line in shown)
    assert "\n" not in text and not text.split("\r")[-1].strip()


def test_no_line_elsewhere(captioned, monkeypatch):
    assert captioned(io.StringIO()) == ""


def test_no_line_in_workers(captioned, monkeypatch):
    """They share the terminal, where a bar counts the videos."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert captioned(Terminal()) == ""


def test_speech_is_reported_by_segment(tmp_path, monkeypatch):
    segments = [SimpleNamespace(start=0.0, end=end, text=" said", words=None) for end in (4.0, 9.5)]
    recogniser = Whisper("base", offline=True)
    recogniser.__dict__["_model"] = SimpleNamespace(
        transcribe=lambda sound, **_: (iter(segments), SimpleNamespace(duration=12.0)))
    monkeypatch.setattr(pytest.importorskip("faster_whisper"), "decode_audio", lambda path: None)
    reports = []
    found = recogniser.transcribe(tmp_path / "talk.mp4", lambda *one: reports.append(one))
    assert reports == [("speech", 4.0, 12.0), ("speech", 9.5, 12.0)]
    assert [one["text"] for one in found] == ["said", "said"]
