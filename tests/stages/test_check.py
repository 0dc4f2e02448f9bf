import dataclasses
import json
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from hicm.cli import main
from hicm.clock import Stream
from hicm.config import Config, DataConfig, save_config
from hicm.data.catalogue import compare_counts
from hicm.data.features import write_features
from hicm.data.splits import split_with_features
from hicm.errors import UserError
from hicm.stages.check import COLUMNS, check_data

IDS = [f"video{i:06d}" for i in range(14)]
CLEAN = {"duration": 30.0, "timestamps": [[0, 10], [12, 30]], "sentences": ["boil water", "add rice"]}


@pytest.fixture
def make(tmp_path):
    """A data set of 12 training and 2 validation videos in which nothing is wrong, with the given changes."""
    def make(train=None, val=None, features=None, speech=None, **settings):
        files = {"train": dict.fromkeys(IDS[:12], CLEAN) | (train or {}),
                 "val": dict.fromkeys(IDS[12:], CLEAN) | (val or {})}
        for split, content in files.items():
            (tmp_path / f"{split}.json").write_text(json.dumps(content))
        arrays = {video_id: np.ones((30, 12), np.float32) for video_id in IDS} | (features or {})
        write_features(tmp_path / "clip.h5", {key: x for key, x in arrays.items() if x is not None})
        entries = {video_id: {"start": [1.0], "end": [2.0], "text": ["hello"]} for video_id in IDS} | (speech or {})
        (tmp_path / "asr.json").write_text(json.dumps({key: x for key, x in entries.items() if x is not None}))
        data = {"annotations": {split: [str(tmp_path / f"{split}.json")] for split in files},
                "features": str(tmp_path / "clip.h5"), "speech": str(tmp_path / "asr.json")}
        return Config(data=DataConfig(**data | settings))
    return make


def row(report, split):
    return next(dict(zip(COLUMNS, values, strict=True)) for values in report.rows if values[0] == split)


def lines(report, start):
    return [str(problem) for problem in report.problems if str(problem).startswith(start)]


@pytest.mark.parametrize("deep", [False, True])
def test_clean_data(make, deep):
    report = check_data(make(), deep)
    assert report.ok and not report.problems
    found = row(report, "train")
    assert (found["videos"], found["captions"]) == (12, 24)
    assert all(found[name] == 0 for name in COLUMNS[4:] if name != "bad features")
    assert found["bad features"] == (0 if deep else None)
    assert str(report).splitlines()[0].split() == " ".join(COLUMNS).split()
    assert str(report).endswith("ok: 0 error(s), 0 warning(s)")


def test_missing_features_refuse_or_skip(make):
    absent = dict.fromkeys(IDS[:11])
    report = check_data(make(features=absent))
    assert not report.ok and row(report, "train")["no features"] == 11
    (line,) = lines(report, "error")
    assert "train.json: 11 of 12 videos have no features in" in line and line.count("video0") == 10
    assert "and 1 more; extract them" in line
    report = check_data(make(features=absent, missing_features="skip"))
    assert report.ok and "they are left out" in lines(report, "warning")[0]
    absent[IDS[11]] = None
    assert not check_data(make(features=absent, missing_features="skip")).ok


@pytest.mark.parametrize("bad", [np.full((30, 12), np.nan), np.zeros((30, 5)), np.zeros((0, 12)), np.zeros(12)])
def test_bad_features_need_a_deep_look(make, bad):
    config = make(features={IDS[13]: bad})
    assert check_data(config).ok
    report = check_data(config, deep=True)
    assert not report.ok
    assert (row(report, "train")["bad features"], row(report, "val")["bad features"]) == (0, 1)
    (line,) = lines(report, "error")
    assert f"1 videos with unusable features: {IDS[13]}; the first: " in line


@pytest.mark.parametrize("deep", [False, True])
def test_damage_that_shows_when_a_video_is_looked_for(make, deep):
    """It ended the check, and with it the report on everything else."""
    config = make(train={IDS[0]: CLEAN | {"duration": -1}})
    path = Path(config.data.features)
    with h5py.File(path) as file:
        at = h5py.h5o.get_info(file[IDS[12]].id).addr
    content = bytearray(path.read_bytes())
    content[at + 8:at + 40] = b"\xff" * 32  # in the header of one video
    path.write_bytes(content)
    report = check_data(config, deep)
    found = lines(report, "error")
    assert any(f"{IDS[12]}: damaged or no features" in line for line in found)
    assert any("duration: expected seconds > 0" in line for line in found)


def test_wrong_frame_rate_shows(make):
    report = check_data(make(features={IDS[0]: np.ones((150, 12))}), deep=True)
    (line,) = lines(report, "warning")
    assert report.ok and f"{IDS[0]} (150 rows, 30 s)" in line and "data.feature_fps = 1" in line
    assert "They fit" not in line, "one video of many says nothing about the others"


@pytest.mark.parametrize("fps", [0.25, 0.5, 2, 5, 25])
@pytest.mark.parametrize("width", [12, 1020])
def test_other_rates_and_widths(make, tmp_path, fps, width):
    """With the right rate there is nothing to say; with a wrong one the right one is named."""
    stored = dict.fromkeys(IDS, np.ones((round(30 * fps), width), np.float16))
    assert not check_data(make(features=stored, feature_fps=fps), deep=True).problems
    for wrong in {0.1, 1} - {fps}:
        report = check_data(make(features=stored, feature_fps=wrong), deep=True)
        (line,) = lines(report, f"warning: {tmp_path / 'train.json'}")
        assert line.endswith(f"data.feature_fps = {wrong:g} the store's number of rows per second? They fit {fps:g}: "
                             f"data.feature_fps={fps:g}")


@pytest.mark.parametrize("rows", ["thinned", "all"])
def test_all_rows_of_a_store_are_no_mistake(make, rows):
    stored = dict.fromkeys(IDS, np.ones((180, 12), np.float16))
    assert not check_data(make(features=stored, feature_fps=6.0, feature_rows=rows), deep=True).problems
    wrong = lines(check_data(make(features=stored, feature_rows=rows), deep=True), "warning")
    assert len(wrong) == 2 and all(line.endswith("They fit 6: data.feature_fps=6") for line in wrong)
    (only,) = check_data(make(features=stored, feature_rows="spread"), deep=True).problems
    assert "settings: data.feature_rows=spread: this needs rows that last equally long" in str(only), "by the captioner"


def test_clips_that_end_in_the_same_times_are_different_videos(make):
    """As in QVHighlights; a YouTube video of which there are clips in both splits is told of."""
    clips = [f"video{i:06d}_{start}_{start + 150}" for i in (20, 21, 22) for start in (60, 210)]
    features = {clip: np.ones((30, 12), np.float32) for clip in clips}
    report = check_data(make(train=dict.fromkeys(clips[:2], CLEAN), val=dict.fromkeys(clips[2:], CLEAN), speech={
        clip: {"start": [1.0], "end": [2.0], "text": ["hello"]} for clip in clips}, features=features))
    assert not report.problems
    both = check_data(make(train=dict.fromkeys(clips[:3], CLEAN), val=dict.fromkeys(clips[3:], CLEAN), speech={
        clip: {"start": [1.0], "end": [2.0], "text": ["hello"]} for clip in clips}, features=features))
    (line,) = lines(both, "warning")
    assert "1 videos are in train and in val: video000021" in line


def test_each_stream_is_compared_with_the_duration(make, tmp_path):
    """At its own rate, and whatever it is cut to by the others."""
    fast = write_features(tmp_path / "fast.h5", dict.fromkeys(IDS, np.ones((60, 5))) | {IDS[0]: np.ones((20, 5))})
    report = check_data(make(streams=[Stream(str(fast), 2.0)]), deep=True)
    (line,) = lines(report, "warning")
    assert f"1 videos whose features in {fast} do not match their duration: {IDS[0]} (20 rows, 30 s)" in line
    train, val = lines(check_data(make(streams=[str(fast)]), deep=True), "warning")
    assert f"{fast} do not match" in train and f"{IDS[1]} (60 rows, 30 s)" in train and IDS[12] in val
    assert train.endswith("has it 1 rows per second? They fit 2; see data.feature_fps and fps in data.streams")


def test_the_stream_that_lacks_videos_is_named(make, tmp_path):
    short = write_features(tmp_path / "short.h5", dict.fromkeys(IDS[:11], np.ones((30, 5))))
    config = make(streams=[str(short)])
    train, val = lines(check_data(config), "error")
    assert f"1 of 12 videos have no features in {short}: {IDS[11]}" in train
    assert f"2 of 2 videos have no features in {short}" in val and f"the annotations have {IDS[12]}" in val
    assert "may be" not in val, "the other store has them"
    with pytest.raises(UserError, match=f"{short}: no features for 1 of 12 videos of split train"):
        split_with_features(config.data, "train")
    with pytest.raises(UserError, match=f"{short}: no video of split val has features: short.h5 has"):
        split_with_features(config.data, "val")


@pytest.mark.parametrize(("section", "change", "said"), [
    ("train", {"select_on": "F2"}, "train.select_on: 'F2' is no score of protocol vidchapters; the nearest is 'F1'"),
    ("evaluate", {"protocol": "charades"}, "evaluate.protocol: protocol 'charades' is unknown"),
    ("evaluate", {"metrics": ["CIDER"]}, "evaluate.metrics: metric 'CIDER' is unknown")])
def test_scores_that_there_are_not(make, section, change, said):
    config = make()
    changed = dataclasses.replace(getattr(config, section), **change)
    (line,) = lines(check_data(dataclasses.replace(config, **{section: changed})), "error")
    assert said in line


def test_events(make):
    odd = {"duration": 30.0, "timestamps": [[5, 31], [9, 4], [-1, 3], [7, 7], [0, 2]],
           "sentences": ["a", "b", "c", "d", "e"]}
    report = check_data(make(train={IDS[0]: odd}))
    found = row(report, "train")
    assert [found[name] for name in ("past end", "reversed", "negative", "zero length", "empty")] == [1, 1, 1, 1, 0]
    assert report.ok and len(lines(report, "warning")) == 4
    assert any(f"1 events that end before they start: {IDS[0]} event 1; swap" in line for line in lines(report, "w"))


def test_empty_caption_stops_training_only(make):
    empty = CLEAN | {"sentences": ["boil water", " "]}
    report = check_data(make(train={IDS[0]: empty}))
    assert not report.ok and f"1 empty captions: {IDS[0]} event 1" in lines(report, "error")[0]
    report = check_data(make(val={IDS[12]: empty}))
    assert report.ok and row(report, "val")["empty"] == 1


def test_nothing_to_learn(make):
    silent = CLEAN | {"timestamps": [], "sentences": []}
    assert "1 videos without events" in lines(check_data(make(train={IDS[0]: silent})), "warning")[0]
    report = check_data(make(train=dict.fromkeys(IDS[:12], silent)))
    assert not report.ok and "no captions to learn from" in lines(report, "error")[0]
    report = check_data(make(val=dict.fromkeys(IDS[12:], silent)))
    assert not report.ok and "2 videos without events: " in lines(report, "error")[0], "training refuses them too"
    report = check_data(make(val=dict.fromkeys(IDS[12:], silent), select="train"))
    assert report.ok and "no captions: 'hicm predict' needs none" in lines(report, "warning")[0]


def test_same_video_twice_and_in_two_splits(make):
    report = check_data(make(train={f"v_{IDS[0]}": CLEAN, f"0_{IDS[12]}": CLEAN}))
    warnings = lines(report, "warning")
    assert any(f"2 videos share their YouTube id with another one: {IDS[0]}, v_{IDS[0]}; " in line for line in warnings)
    assert any(f"settings: 1 videos are in train and in val: {IDS[12]}; " in line for line in warnings)


def test_speech(make):
    late = {"start": [40.0], "end": [41.0], "text": ["after the end"]}
    config = make(speech={IDS[0]: None, IDS[1]: late})
    assert row(check_data(config), "train")["no speech"] == 1
    report = check_data(config, deep=True)
    assert report.ok and row(report, "train")["no speech"] == 2
    report = check_data(make(speech={IDS[0]: {"start": [1.0], "end": [], "text": []}}), deep=True)
    assert not report.ok and "equal length" in lines(report, "error")[0]
    silent = dataclasses.replace(config, data=dataclasses.replace(config.data, speech=""))
    assert check_data(silent).ok and row(check_data(silent), "train")["no speech"] is None


def test_everything_missing_is_listed_at_once(tmp_path):
    data = DataConfig(annotations={"train": [str(tmp_path / "none.json")]}, features=str(tmp_path / "none.h5"),
                      speech=str(tmp_path / "none.pkl"), report="test")
    report = check_data(Config(data=data))
    errors = "\n".join(lines(report, "error"))
    for text in ("none.json: annotation file not found", "none.h5: features not found",
                 "none.pkl: speech not found",
                 "data.select is split 'val', which has no annotation file", "data.report is split 'test'"):
        assert text in errors
    assert not report.rows and not report.ok and "not usable: 5 error(s)" in str(report)
    assert all("\n" not in str(problem) for problem in report.problems)


def test_features_not_named(make):
    config = make()
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, features=""))
    assert lines(check_data(config), "error")[0].startswith("error: settings: data.features is empty: give")


def test_every_annotator_of_a_split_is_looked_at(shared):
    anet = shared / "data" / "anet"
    config = Config(data=DataConfig(annotations={
        "train": [str(anet / "train.json")], "val": [str(anet / "val_1.json"), str(anet / "val_2.json")]}))
    report = check_data(config)
    past_end = COLUMNS.index("past end")
    assert [values[past_end] for values in report.rows] == [261, 134, 111]  # facts.md 3.1
    assert [values[2:4] for values in report.rows] == [(10009, 37421), (4917, 17505), (4885, 17031)]
    assert len(lines(report, "error")) == 1  # no features named


def official(report):
    return [note for note in report.notes if note.startswith("official")]


def test_a_copy_is_held_against_the_official_counts(make):
    report = check_data(make(name="yc2"))
    assert report.ok and official(report) == [
        "official: 1,333 train videos, 1,321 not here; 10,337 captions, 10,313 not here",
        "official: 457 val videos, 455 not here; 3,492 captions, 3,488 not here"]
    assert official(report)[0] in str(report) and official(check_data(make())) == []
    assert official(check_data(make(name="vitt"))) == ["official: about 8,000 videos in all splits; 14 here"]
    assert compare_counts("yc2", [("train", "x.json", 1333, 10338)], 0) == [
        "official: 1,333 train videos, all here; 10,337 captions, 1 more here"]


def test_whole_copies_are_whole(shared):
    anet = shared / "data" / "anet"
    files = {"train": [str(anet / "train.json")], "val": [str(anet / "val_1.json"), str(anet / "val_2.json")]}
    assert official(check_data(Config(data=DataConfig(name="anet", annotations=files)))) == [
        "official: 10,009 train videos, all here; 37,421 captions, all here",
        "official: 4,917 val_1 videos, all here; 17,505 captions, all here",
        "official: 4,885 val_2 videos, all here; 17,031 captions, all here"]


def test_a_missing_released_file_names_the_command_that_gets_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = DataConfig("yc2", {"train": ["data/yc2/train.json"], "val": ["data/yc2/val.json"]},
                      "data/yc2/clipvitl14.pth", speech="data/yc2/youcook2_asr_align_proc.pkl")
    errors = lines(check_data(Config(data=data)), "error")
    assert len(errors) == 4 and all("not found; get it with 'hicm download yc2', or " in error for error in errors)


def test_so_does_every_command(tmp_path, monkeypatch, capsys):
    """The readers do not know what was released; the command line adds it to whatever they refuse."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # `main` sets it
    (tmp_path / "own.json").write_text(json.dumps({"a": CLEAN}))
    released = DataConfig("yc2", {"val": ["data/yc2/val.json"]}, "data/yc2/clipvitl14.pth")
    for data, missing in ((released, "data/yc2/val.json"),
                          (dataclasses.replace(released, annotations={"val": ["own.json"]}), released.features)):
        save_config(Config(data=data), "settings.yaml")
        assert main(["retrieve", "settings.yaml"]) == 2
        message = capsys.readouterr().err
        assert missing in message and message.count("get it with 'hicm download yc2', or ") == 1
