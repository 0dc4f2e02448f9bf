"""From a video file to captions: without training, from a memory alone; nothing mixed, nothing lost."""

import dataclasses
import json
import re
import urllib.parse

import numpy as np
import pytest

import hicm
from hicm.cli import main
from hicm.data.samples import single_sample
from hicm.data.speech import open_speech
from hicm.errors import UserError
from hicm.exports.json import read
from hicm.stages.build_memory import build_memory
from hicm.stages.caption import caption_files
from hicm.stages.each_video import find_videos
from hicm.stages.video_captioner import VideoCaptioner, _open_memory
from hicm.types import Event, Span
from tests.memory_data import write_config
from tests.tiny import WIDTH, tiny_config
from tests.video.videos import write_video
from tests.viewer.pages import views_in

ANYTHING = ["recall.threshold=-1", "recall.penalty=0.5"]  # made-up pictures have nothing to do with the captions


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    return str(build_memory(write_config(tmp_path_factory.mktemp("memory"), summariser="medoid")))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Twelve seconds of two scenes, and three of one."""
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "scenes.mp4", [0.0, 6.0, 6.5], 12.0)
    write_video(folder / "short.mkv", [0.0], 3.0)
    return folder


@pytest.fixture
def captioner(bank, tmp_path):
    return VideoCaptioner(memory=bank, cache=str(tmp_path / "cache"), overrides=ANYTHING)


def test_events_cover_the_video_and_quote_the_memory(captioner, videos):
    captioned = captioner.caption(videos / "scenes.mp4")
    assert captioned.duration == pytest.approx(12.0, abs=0.1)
    assert captioned.events[0].span.start == 0 and captioned.events[-1].span.end == captioned.duration
    assert [event.span.start for event in captioned.events] == sorted(event.span.start for event in captioned.events)
    assert {event.text for event in captioned.events} <= set(captioner.system.captions.texts)


def test_features_are_made_once(captioner, videos, monkeypatch):
    first = captioner.events(videos / "scenes.mp4")
    monkeypatch.setattr(captioner.encoder, "encode_images", None, raising=False)
    assert captioner.events(videos / "scenes.mp4") == first


def test_what_a_part_recalls_is_timed_by_its_windows(tmp_path):
    """Stretches of 2, 9 and 4 seconds; without a trained model, which plays no part in it."""
    config = tiny_config(tmp_path, videos=4, retrieval__windows=3, retrieval__window_shape="ward")
    captioner = VideoCaptioner.__new__(VideoCaptioner)
    captioner.config = config
    captioner._reader, captioner._memory = _open_memory(config, None)
    rows = np.repeat(np.random.default_rng(0).standard_normal((3, WIDTH)), [2, 9, 4], axis=0)
    tokens, parts = captioner._recall(single_sample("v", rows))
    assert tokens.window_rows.tolist() == [[0, 2], [2, 11], [11, 15]]
    assert [part.span for part in parts] == [Span(0, 2), Span(2, 11), Span(11, 15)]


def test_images_that_are_not_like_texts(bank, tmp_path):
    with pytest.warns(UserWarning, match="hashing:32 embeds images and texts in different spaces"):
        VideoCaptioner(memory=bank, cache=tmp_path)


def test_three_lines_of_python(bank, videos, tmp_path, captioner):
    for _ in range(2):
        events = hicm.caption(str(videos / "scenes.mp4"), memory=bank, cache=tmp_path, overrides=ANYTHING)
        assert events == captioner.events(videos / "scenes.mp4")


def test_a_folder_with_a_broken_file(captioner, videos, tmp_path, capsys):
    for video in videos.iterdir():
        (tmp_path / video.name).write_bytes(video.read_bytes())
    (tmp_path / "broken.mp4").write_text("no video\n" * 100)
    summary = caption_files(find_videos([str(tmp_path)]), captioner, tmp_path / "out")
    assert (set(summary.done), summary.failed, summary.ok) == ({"scenes", "short"}, ("broken",), False)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"failed.jsonl"} | {
        f"{name}.{suffix}" for name in ("scenes", "short") for suffix in ("json", "srt", "vtt", "txt", "html")}
    [record] = map(json.loads, (tmp_path / "out" / "failed.jsonl").read_text().splitlines())
    assert record["video"].endswith("broken.mp4") and "cannot be read as a video" in record["reason"]
    assert record["stage"] == "frames"
    before = (tmp_path / "out" / "scenes.json").stat().st_mtime_ns
    again = caption_files(find_videos([str(tmp_path)]), captioner, tmp_path / "out")
    assert (set(again.skipped), again.failed) == ({"scenes", "short"}, ("broken",))
    assert (tmp_path / "out" / "failed.jsonl").read_text().count("broken.mp4") == 2  # one line: its name and reason
    assert (tmp_path / "out" / "scenes.json").stat().st_mtime_ns == before
    (tmp_path / "broken.mp4").write_bytes((videos / "scenes.mp4").read_bytes())
    assert caption_files(find_videos([str(tmp_path)]), captioner, tmp_path / "out").ok
    assert not (tmp_path / "out" / "failed.jsonl").exists()


def test_what_a_sentence_stands_on_is_kept(captioner, videos, tmp_path):
    """The path of each quote in the memory, in the json file and in the page, also in one that is made later."""
    video = videos / "scenes.mp4"
    caption_files([video], captioner, tmp_path / "out")
    events, recalled = captioner.events(video), read(tmp_path / "out" / "scenes.json").recalled
    assert [part.span for part in recalled] == [event.span for event in events]
    for event, part in zip(events, recalled, strict=True):
        node, = part.nodes
        while node.below:
            node, = node.below
        assert (node.level, node.text, node.score) == (0, event.text, event.score)
    page = tmp_path / "out" / "scenes.html"
    view, = views_in(page.read_text())
    assert [one["text"] for one in view["lanes"][0]["events"]] == [event.text for event in events]
    assert len(view["lanes"][0]["recalled"]) == len(events) and view["picture"]["size"] == [64, 48]
    assert (page.parent / urllib.parse.unquote(view["video"])).samefile(video)
    before = page.read_bytes()
    page.unlink()
    content = json.loads((tmp_path / "out" / "scenes.json").read_text())
    (tmp_path / "out" / "scenes.json").write_text(json.dumps(content | {"source": "moved/away.mp4"}))
    caption_files([video], captioner, tmp_path / "out")
    assert page.read_bytes() == before


def test_what_was_heard_is_kept(captioner, videos, tmp_path):
    (tmp_path / "speech").mkdir()
    (tmp_path / "speech" / "scenes.srt").write_text("1\n00:00:01,000 --> 00:00:02,500\nnow we boil\n\n")
    assert captioner.caption(videos / "scenes.mp4").speech == ()
    captioner.speech = open_speech(tmp_path / "speech")
    caption_files([videos / "scenes.mp4"], captioner, tmp_path / "out")
    said = Event(Span(1.0, 2.5), "now we boil")
    assert read(tmp_path / "out" / "scenes.json").speech == (said,)
    view, = views_in((tmp_path / "out" / "scenes.html").read_text())
    assert [(lane["kind"], lane["events"][0]["text"]) for lane in view["lanes"][1:]] == [("speech", said.text)]


def test_a_format_that_is_refused_or_added(captioner, videos, tmp_path, capsys, monkeypatch):
    """What is refused is recorded, the rest is written.  A new format needs no captioner."""
    out = tmp_path / "out"
    summary = caption_files(find_videos([str(videos)]), captioner, out, ("youtube", "srt", "json"))
    assert (summary.done, summary.failed, summary.refused, summary.ok) == ((), (), ("scenes", "short"), False)
    assert str(summary) == f"{out}: 2 captioned, 2 of them not in every format (see {out}/failed.jsonl)"
    assert {path.name for path in out.iterdir()} == {"failed.jsonl", "scenes.json", "scenes.srt", "short.json",
                                                     "short.srt"}
    record = json.loads((out / "failed.jsonl").read_text().splitlines()[-1])
    assert record["stage"] == "files"
    assert "short.mkv: not written as youtube: YouTube shows chapters only if there are" in record["reason"]
    kept = (out / "short.srt").stat().st_mtime_ns
    monkeypatch.setattr(captioner, "caption", None)
    added = caption_files(find_videos([str(videos)]), captioner, out, ("srt", "elan", "fcpxml", "json"))
    assert (set(added.done), added.ok) == ({"scenes", "short"}, True)
    assert 'width="64" height="48"' in (out / "scenes.fcpxml").read_text() and (out / "short.eaf").exists()
    assert (out / "short.srt").stat().st_mtime_ns == kept, "what is there may have been corrected"
    again = caption_files(find_videos([str(videos)]), captioner, out, ("srt", "elan"))
    assert (set(again.skipped), again.ok) == ({"scenes", "short"}, True)


def test_captions_of_another_memory_are_not_replaced(captioner, videos, tmp_path):
    video = videos / "short.mkv"
    caption_files([video], captioner, tmp_path / "out")
    config = write_config(tmp_path, 25, summariser="medoid")
    other = dataclasses.replace(config.memory, path=str(tmp_path / "other"))
    bank = build_memory(dataclasses.replace(config, memory=other))
    another = VideoCaptioner(memory=str(bank), cache=str(tmp_path / "cache"), overrides=ANYTHING)
    assert caption_files([video], another, tmp_path / "out").failed == ("short",)
    assert "holds other captions" in (tmp_path / "out" / "failed.jsonl").read_text()
    assert caption_files([video], another, tmp_path / "out", overwrite=True).done == ("short",)


def test_what_is_wrong_is_said_before_a_video_is_read(bank, videos, tmp_path, capsys):
    video = str(videos / "short.mkv")
    mistakes = {
        ("none.mp4", "--memory", bank): "none.mp4: video not found",
        (video,): r"nothing to caption with; give a run folder \(--model\), or a memory bank",
        (video, "--memory", str(tmp_path)): "memory bank not found",
        (video, "--model", str(tmp_path)): "run not found",
        (video, "--memory", bank, "--format", "docx"): "--format: expected one of 'activitynet', .*found 'docx'",
        (video, "--memory", bank, "--encoder", "hashing:7"): "features are 7 wide",
        (video, "--memory", bank, "--encoder", "hf:a/b"): "'hf:a/b' embeds no images; expected one of",
        (str(tmp_path), "--memory", bank): "no video in this folder",
    }
    for arguments, message in mistakes.items():
        assert main(["caption", *arguments, "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]) == 2
        assert re.search(message, capsys.readouterr().err), arguments
    assert not (tmp_path / "out").exists() and not (tmp_path / "cache").exists()


def test_two_files_of_one_name(tmp_path):
    for name in ("a.mp4", "a.mkv"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.mp4: would be written under the name of .*a\.mkv"):
        find_videos([str(tmp_path)])
