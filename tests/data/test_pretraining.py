"""The pre-training data: HowTo100M's list and transcripts, VidChapters' chapters, and a few steps on either."""

import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from hicm import verbs
from hicm.config import load_config
from hicm.data.annotations import read_annotations
from hicm.data.pretraining import convert_chapters, read_listing
from hicm.data.samples import open_samples
from hicm.data.speech import open_speech
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.stages.check import check_data
from hicm.stages.train import train
from hicm.systems.captioner.dataset import VideoDataset
from hicm.systems.captioner.prepare import open_vocabulary

WIDTH = 8
SMALL = ["captioner.t5=scratch", "captioner.tokenizer=train", "captioner.vocabulary=60", "captioner.visual_depth=1",
         "captioner.visual_heads=2", "captioner.visual_mlp=16", "captioner.max_speech_tokens=30", "train.workers=0",
         "captioner.t5_config={d_model: 16, d_kv: 8, d_ff: 16, num_layers: 1, num_decoder_layers: 1, num_heads: 2}",
         "train.batch=2", "train.epochs=2", "train.log_every=1", "data.frames=10", "captioner.decode.max_tokens=12",
         "captioner.decode.beams=1", "train.select_on=soda_d"]
WORDS = "now we add the salt to the pan and stir it well until the sauce is thick and brown"


def make_htm(folder: Path) -> list[str]:
    """Three videos in a subfolder, one under its id, one without features; settings for the recipe."""
    rng = np.random.default_rng(0)
    lines = ["video_id,video_path"]
    for i, file in enumerate(["a/0.mp4.npy", "a/1.npy", "a/2.mp4.npy", "gone/3.npy", "elsewhere/4.npy"]):
        video = f"howto{i:06d}"
        lines.append(f"{video},{file}")
        target = folder / "features" / (f"{video}.mp4.npy" if i == 4 else file)
        if i != 3:
            target.parent.mkdir(parents=True, exist_ok=True)
            np.save(target, rng.normal(size=(12 + i, WIDTH)).astype(np.float16))
        entry = {"start": [0.0, 4.0, 9.0], "end": [3.0, 8.0, 12.5 + i], "text": [WORDS, f"{WORDS} {i}", "the end"]}
        if i == 1:
            entry["duration"] = 10.0
        (folder / "speech").mkdir(exist_ok=True)
        (folder / "speech" / f"{video}.pkl").write_bytes(pickle.dumps(entry))
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    return [*SMALL, f"data.annotations.train={folder / 'train.csv'}", f"data.features={folder / 'features'}",
            f"data.speech={folder / 'speech'}"]


@pytest.fixture(scope="module")
def htm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("htm")
    return load_config("configs/pretrain_htm.yaml", make_htm(folder)), folder


def test_the_list_is_read(htm):
    config, folder = htm
    listed = read_listing(folder / "train.csv")
    assert len(listed) == 5 and listed["howto000001"] == "a/1.npy"
    videos = read_annotations(folder / "train.csv")
    assert list(videos) == list(listed) and all(math.isnan(v.duration) and not v.events for v in videos.values())
    report = check_data(config, deep=True)
    assert report.ok and report.rows[0][2:4] == (5, 0)
    assert any("1 of 5 videos have no features" in str(problem) for problem in report.problems)
    assert "selection: last checkpoint" in str(report)


def test_frames_learn_to_write_the_transcript(htm, tmp_path):
    """The target is the whole speech sequence, nothing is heard, and durations are rows + 1 unless told."""
    config, _ = htm
    vocabulary = open_vocabulary(config, tmp_path, open_speech(config.data.speech))
    dataset = VideoDataset(config, open_samples(config.data, "train"), vocabulary)
    assert list(dataset.samples.ids) == ["howto000000", "howto000001", "howto000002", "howto000004"]
    items = [dataset[0, row] for row in range(4)]
    assert [item.duration for item in items] == [13.0, 10.0, 15.0, 17.0], "12 + i rows and one more; 10 s by its file"
    assert all(item.speech == [1] and dataset.speech_length(0) == 1 for item in items)
    assert [item.target[-1] for item in items] == [1] * 4 and len(items[0].target) == 30
    text, bins = vocabulary.text_size, vocabulary.bins
    assert items[0].target[:2] == [text, text + int((bins - 1) * 3 / 13)]
    times = [[i for i in item.target if i >= text] for item in items]
    assert all(len(found) >= 2 for found in times)
    assert items[0].noisy_target[-2:] == [1, 1] and items[0].noisy_speech != items[0].target


def test_segments_past_the_end_are_dropped(htm):
    config, _ = htm
    speech = open_speech(config.data.speech)
    assert speech.duration("howto000001") == 10.0 and speech.duration("howto000000") is None
    assert [len(speech.get("howto000000", seconds)) for seconds in (13.0, 12.0, math.nan)] == [3, 2, 3]
    assert speech.duration("unknown") is None


def test_a_few_steps_on_howto100m(htm, tmp_path):
    config, _ = htm
    folder = train(config, "htm", tmp_path / "run")
    manifest = read_json(folder / "manifest.json")
    assert manifest["selected_on"] == "last checkpoint: nothing is evaluated while training"
    assert (folder / "last" / "model.safetensors").exists() and not (folder / "best").exists()
    losses = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    assert len(losses) == 4 and all(line["generative"] > 0 and line["denoising"] > 0 for line in losses)


def test_speech_as_target_needs_speech():
    with pytest.raises(UserError, match=r"data.target: speech needs transcripts; set data.speech"):
        open_samples(load_config("configs/pretrain_htm.yaml", ["data.speech="]).data, "train")


@pytest.mark.parametrize(("text", "match"), [
    ("id,video_path\na,b\n", "no column video_id; expected a header with video_id and video_path"),
    ("", "no column video_id, video_path"),
    ("video_id,video_path\n", "lists no video"),
    ("video_id,video_path\na,b\na,c\n", "line 3: video a occurs twice; keep one"),
    ("video_id,video_path\na\n", "line 2: video_id or video_path is empty"),
    ("video_id,video_path\n,b\n", "line 2: video_id or video_path is empty")])
def test_broken_lists(tmp_path, text, match):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(UserError, match=match) as caught:
        read_listing(tmp_path / "x.csv")
    assert str(caught.value).startswith(str(tmp_path / "x.csv")) and "\n" not in str(caught.value)


def test_lists_that_cannot_be_read(tmp_path):
    for name, match in (("none.csv", "list of videos"), ("folder.csv", "Is a directory"), ("binary.csv", "UTF-8")):
        (tmp_path / "folder.csv").mkdir(exist_ok=True)
        (tmp_path / "binary.csv").write_bytes(b"video_id,video_path\n\xff\xfe,b\n")
        with pytest.raises(UserError, match=match):
            read_listing(tmp_path / name)


# VidChapters-7M

def chapters(duration, *pairs):
    return {"duration": duration, "chapters": [{"time": time, "label": label} for time, label in pairs]}


CHAPTERS = {"good": chapters(60, (0, "Intro"), (20.5, " Oven: 200 °C "), (40, "Taste")),
            "late": chapters(30, (0, "One"), (12, "Two"), (40, "After the end"), (50, "Also")),
            "back": chapters(50, (0, "One"), (20, "Two"), (10, "Three")),
            "mute": chapters(30, (0, "One"), (12, "...")),
            "void": chapters(30, (40, "Past")),
            "long": {"chapters": [{"time": 0, "label": "One"}]}}


def convert(folder: Path, content=None, ids=(*CHAPTERS, "none"), suffix="json"):
    path = folder / f"chapters.{suffix}"
    content = CHAPTERS if content is None else content
    path.write_bytes(pickle.dumps(content) if suffix == "pkl" else json.dumps(content).encode())
    (folder / "ids.json").write_text(json.dumps(ids))
    return convert_chapters(path, folder / "ids.json", folder / "out.json")


@pytest.mark.parametrize("suffix", ["json", "pkl"])
def test_chapters_last_until_the_next(tmp_path, suffix):
    counts = convert(tmp_path, suffix=suffix)
    videos = read_annotations(tmp_path / "out.json")
    events = {video.id: [(e.span.start, e.span.end, e.text) for e in video.events] for video in videos.values()}
    assert events == {"good": [(0, 20.5, "Intro"), (20.5, 40, "Oven: 200 °C"), (40, 60, "Taste")],
                      "late": [(0, 12, "One")], "back": [(0, 20, "One"), (10, 50, "Three")]}
    assert counts == {"videos": 3, "chapters": 6, "chapters with impossible times": 5, "without chapters": 1,
                      "with a title without text": 1, "without a chapter inside the video": 1, "without duration": 1}


@pytest.mark.parametrize(("content", "ids", "match"), [
    ([], ["a"], "expected {video id: {duration, chapters}}, found list"),
    (CHAPTERS, {"a": 1}, "expected a list of video ids"),
    (CHAPTERS, ["other"], "has no usable video of .* .1 without chapters.; do the two belong together"),
    ({"a": {"chapters": 3}}, ["a"], "video a: expected {duration, chapters"),
    ({"a": chapters("x", (0, "One"))}, ["a"], "video a: duration: expected a number of seconds, found 'x'"),
    ({"a": chapters(9, (True, "One"))}, ["a"], r"chapters\[0\].time: expected a number of seconds, found True"),
    ({"a": chapters(9, (0, 3))}, ["a"], r"chapters\[0\]: expected {time, label}, found"),
    ({"a": chapters(0, (0, "One"))}, ["a"], "1 without a chapter inside the video")])
def test_broken_chapters(tmp_path, content, ids, match):
    with pytest.raises(UserError, match=match):
        convert(tmp_path, content, ids)
    assert not (tmp_path / "out.json").exists()


def test_annotations_do_not_take_the_place_of_an_input(tmp_path):
    write_json(tmp_path / "chapters.json", {"a": chapters(9, (0, "One"))})
    write_json(tmp_path / "split.json", ["a"])
    for name in ("chapters.json", "split.json"):
        with pytest.raises(UserError, match=r"is the input .*, which would be lost; name another file to write"):
            convert_chapters(tmp_path / "chapters.json", tmp_path / "split.json", tmp_path / name)
    assert read_json(tmp_path / "split.json") == ["a"]


def test_a_few_steps_on_vidchapters(tmp_path):
    rng = np.random.default_rng(0)
    overrides = [*SMALL, f"data.features={tmp_path / 'f'}", f"data.speech={tmp_path / 's'}", "captioner.time_bins=10"]
    for folder in "fs":
        (tmp_path / folder).mkdir()
    content = {f"chap{i:07d}": chapters(20, (0, f"Intro {WORDS}"), (8, f"Mix {i}"), (15, "Eat it")) for i in range(8)}
    for video in content:
        np.save(tmp_path / "f" / f"{video}.mp4.npy", rng.normal(size=(20, WIDTH)).astype(np.float16))
        (tmp_path / "s" / f"{video}.pkl").write_bytes(pickle.dumps({"start": [1], "end": [7], "text": [WORDS]}))
    for split, ids in (("train", list(content)[:4]), ("val", list(content)[4:6]), ("test", list(content)[6:])):
        (tmp_path / split).mkdir()
        convert(tmp_path / split, content, ids)
        overrides.append(f"data.annotations.{split}={tmp_path / split / 'out.json'}")
    config = load_config("configs/pretrain_vidchapters.yaml", overrides)
    assert check_data(config, deep=True).ok
    overrides.append("captioner.init=gone")
    problems = check_data(load_config("configs/pretrain_vidchapters.yaml", overrides)).problems
    assert "captioner.init: gone not found; get it" in str(problems[0])
    torch.manual_seed(0)
    folder = train(config, "chapters", tmp_path / "run")
    scores = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    assert sum(line.get("split") == "select" for line in scores) == 2, "every epoch"
    assert read_json(folder / "manifest.json")["selected_on"] == "best soda_d on split val"


def test_the_command_says_what_it_made(tmp_path):
    convert(tmp_path)
    told = verbs.data_chapters(str(tmp_path / "chapters.json"), str(tmp_path / "ids.json"), str(tmp_path / "x.json"))
    assert told.splitlines()[-1] == str(tmp_path / "x.json") and "        3 videos\n" in told
    assert (tmp_path / "x.json").read_text() == (tmp_path / "out.json").read_text()
