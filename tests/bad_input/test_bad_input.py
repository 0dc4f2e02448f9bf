"""Bad input through the command line: one line that names file and item, status 2, and nothing lost that was there."""

import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from hicm.cli import main
from hicm.data.features import open_features, write_features
from hicm.files import read_json, sha256, write_json
from tests.tiny import WIDTH

# annotations

@pytest.mark.parametrize("verb", [["memory", "build"], ["train"], ["retrieve"]])
def test_truncated_annotations(sound, refused, tmp_path, verb):
    whole = (sound.data / "train.json").read_text()
    (tmp_path / "train.json").write_text(whole[:len(whole) // 2])
    said = refused(*verb, sound.config, "--set", f"data.annotations.train={tmp_path}/train.json",
                   "--set", f"memory.path={tmp_path}/bank", *(["--split", "train"] if verb == ["retrieve"] else []))
    assert re.match(rf"{tmp_path}/train.json: annotation file is not valid json .line \d+, column \d+", said)
    assert not (tmp_path / "bank").exists()


def test_a_mended_file_lets_the_same_command_go_on(sound, refused, tmp_path):
    whole = (sound.data / "val.json").read_text()
    command = ["train", str(sound.config), "--set", f"data.annotations.val={tmp_path}/val.json", "--out", "run"]
    (tmp_path / "val.json").write_text(whole[:-9])
    assert refused(*command).startswith(f"{tmp_path}/val.json: annotation file is not valid json")
    (tmp_path / "val.json").write_text(whole)
    assert main(command) == 0


def test_truncated_annotations_are_a_finding_of_the_check(sound, tmp_path, capsys):
    (tmp_path / "train.json").write_text('{"a": ')
    assert main(["data", "check", str(sound.config), "--set", f"data.annotations.train={tmp_path}/train.json"]) == 1
    assert f"error: {tmp_path}/train.json: annotation file is not valid json (line 1" in capsys.readouterr().out


@pytest.mark.parametrize(("changes", "match"), [
    ({"sentences": ["only one"]}, "expected as many timestamps as sentences, found"),
    ({"duration": -1}, "duration: expected seconds > 0, found -1"),
    ({"timestamps": [[0, None]], "sentences": ["x"]}, r"timestamps\[0\]: expected \[start, end\]"),
    ({"timestamps": [[0, 1]], "sentences": [None]}, r"sentences\[0\]: expected text, found null"),
])
def test_malformed_video(sound, refused, tmp_path, changes, match):
    video = sound.videos("val")[0]
    file = sound.change("val", tmp_path, **{video: changes})
    said = refused("retrieve", sound.config, "--set", f"data.annotations.val={file}")
    assert re.match(rf"{file}: video {video}: {match}", said)


@pytest.fixture
def blank(sound, tmp_path) -> tuple[Path, str]:
    """Training annotations whose first video has a blank first caption, and that video."""
    video = sound.videos("train")[0]
    texts = read_json(sound.data / "train.json")[video]["sentences"]
    changes = {video: {"sentences": ["  ", *texts[1:]]}}
    return sound.change("train", tmp_path, **changes), video


def test_empty_caption_is_a_finding_of_the_check(sound, blank, capsys):
    file, video = blank
    assert main(["data", "check", str(sound.config), "--set", f"data.annotations.train={file}"]) == 1
    assert f"error: {file}: 1 empty captions: {video} event 0; remove" in capsys.readouterr().out


def test_empty_caption_stops_the_memory(sound, refused, blank, tmp_path):
    said = refused("memory", "build", sound.config, "--set", f"data.annotations.train={blank[0]}",
                   "--set", f"memory.path={tmp_path}/bank")
    assert re.match(rf"{blank[0]}: .*{blank[1]}.*sentences\[0\]", said)


def test_empty_caption_stops_training(sound, refused, blank, tmp_path):
    """With a bank made from other captions nothing looks at them before the first step."""
    said = refused("train", sound.config, "--set", f"data.annotations.train={blank[0]}", "--out", tmp_path / "run")
    assert re.search(rf"{blank[1]}.*sentences\[0\]", said)


def test_events_reversed_and_past_the_end_are_reported_and_survived(sound, tmp_path, capsys):
    video = sound.videos("train")[0]
    odd = {"timestamps": [[9, 3], [5, 1e4], [-2, 4]], "sentences": ["stir it", "add salt", "heat oil"]}
    use = ["--set", "data.annotations.train=" + str(sound.change("train", tmp_path, **{video: odd}))]
    assert main(["data", "check", str(sound.config), *use]) == 0
    out = capsys.readouterr().out
    for what in (f"1 events that end before they start: {video} event 0", f"1 events past the video's end: {video} "
                 "event 1", f"1 events that start before 0 s: {video} event 2"):
        assert what in out
    use += ["--set", f"memory.path={tmp_path}/bank", "--set", "train.eval_every=0"]
    assert main(["memory", "build", str(sound.config), *use]) == 0
    assert main(["train", str(sound.config), *use, "--out", str(tmp_path / "run")]) == 0


# features

def features(sound, target: Path, **changes: np.ndarray | None) -> Path:
    """The features with some videos changed, or left out (None)."""
    store = open_features(sound.data / "features.h5")
    ids = [*sound.videos("train"), *sound.videos("val")]
    arrays = {video: store.read(video) for video in ids} | changes
    return write_features(target, {video: x for video, x in arrays.items() if x is not None})


STAGES = [["train"], ["retrieve"], ["data", "check"]]


def stage(verb: list[str], sound, file: Path, refused, capsys) -> str:
    """What a stage says about a features file; the check says it in its report."""
    use = ["--set", f"data.features={file}"]
    if verb != ["data", "check"]:
        return refused(*verb, sound.config, *use, "--out", file.parent / "out")
    assert main([*verb, str(sound.config), *use]) == 1
    return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("error: "))


def test_features_narrower_than_the_bank(sound, refused, tmp_path):
    arrays = {video: np.ones((30, 16), np.float32) for split in ("train", "val")
              for video in sound.videos(split)}
    file = write_features(tmp_path / "narrow.h5", arrays)
    for command in (["retrieve"], ["train", "--out", tmp_path / "run"]):
        said = refused(*command, sound.config, "--set", f"data.features={file}")
        assert f"features are 16 wide and the memory bank {WIDTH}" in said
        assert str(file) in said and str(sound.bank) in said


def test_features_of_other_width_than_the_captioner(sound, refused, tmp_path):
    arrays = {video: np.ones((30, 16), np.float32) for video in sound.videos("val")}
    file = write_features(tmp_path / "narrow.h5", arrays)
    shutil.copytree(sound.run, tmp_path / "run")
    said = refused("predict", tmp_path / "run", "--set", f"data.features={file}", "--set", "retrieval.search=none",
                   "--out", tmp_path / "p.json")
    assert said.startswith(f"{file}: features are 16 wide, the captioner reads {WIDTH}")


@pytest.mark.parametrize("verb", STAGES, ids=" ".join)
def test_one_video_of_other_width(sound, refused, tmp_path, capsys, verb):
    video = sound.videos("val")[1]
    file = features(sound, tmp_path / "x.h5", **{video: np.ones((30, WIDTH + 1), np.float32)})
    said = stage(verb, sound, file, refused, capsys)
    assert str(file) in said and video in said
    assert f"rows of {WIDTH} numbers as in the first video, found {WIDTH + 1}" in said


@pytest.mark.parametrize("verb", STAGES, ids=" ".join)
def test_video_without_features(sound, refused, tmp_path, capsys, verb):
    video = sound.videos("val")[1]
    file = features(sound, tmp_path / "x.h5", **{video: None})
    said = stage(verb, sound, file, refused, capsys)
    assert str(file) in said and video in said and re.search("1 of 3 videos", said) and "data.missing_features" in said


@pytest.mark.parametrize("verb", STAGES, ids=" ".join)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite(sound, refused, tmp_path, capsys, verb, value):
    video = sound.videos("val")[1]
    x = np.ones((30, WIDTH), np.float32)
    x[7, 3] = value
    said = stage(verb, sound, features(sound, tmp_path / "x.h5", **{video: x}), refused, capsys)
    assert str(tmp_path / "x.h5") in said and f"video {video}: features hold NaN or infinity (first in row 7)" in said


@pytest.mark.parametrize("verb", STAGES, ids=" ".join)
def test_features_that_are_no_features(sound, refused, tmp_path, capsys, verb):
    (tmp_path / "x.h5").write_bytes((sound.data / "features.h5").read_bytes()[:1000])
    said = stage(verb, sound, tmp_path / "x.h5", refused, capsys)
    assert f"{tmp_path}/x.h5: cannot be read as HDF5" in said


# speech

class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_malicious_speech(sound, refused, tmp_path, capsys):
    file, marker = tmp_path / "asr.pkl", tmp_path / "marker"
    file.write_bytes(pickle.dumps({sound.videos("train")[0]: Evil(marker)}))
    use = ["--set", f"data.speech={file}"]
    assert re.match(rf"{file}: speech file refused .it names (posix|nt).mkdir", refused(
        "train", sound.config, *use, "--out", tmp_path / "run"))
    assert main(["data", "check", str(sound.config), *use]) == 1
    assert f"error: {file}: speech file refused" in capsys.readouterr().out
    assert not marker.exists()


# memory

def broken_bank(sound, target: Path, **arrays: np.ndarray) -> Path:
    """A copy of the bank in which some arrays are others, and the hash fits."""
    shutil.copytree(sound.bank, target)
    with np.load(target / "bank.npz") as stored:
        content = dict(stored) | arrays
    np.savez(target / "bank.npz", **content)
    texts = read_json(target / "bank.json")
    write_json(target / "bank.json", texts | {"arrays_sha256": sha256(target / "bank.npz")})
    return target


def test_children_that_point_nowhere(sound, refused, tmp_path):
    with np.load(sound.bank / "bank.npz") as stored:
        children = stored["level_1_children"].copy()
    children[0] = 999
    bank = broken_bank(sound, tmp_path / "bank", level_1_children=children)
    match = rf"{bank}: level 1, node 0: child 999 does not exist"
    for command in (["memory", "show", bank], ["retrieve", sound.config, "--set", f"memory.path={bank}"],
                    ["train", sound.config, "--set", f"memory.path={bank}", "--out", tmp_path / "run"]):
        assert re.match(match, refused(*command))


def test_bank_with_nan(sound, refused, tmp_path):
    bank = broken_bank(sound, tmp_path / "bank", level_1_embeddings=np.full_like(
        np.load(sound.bank / "bank.npz")["level_1_embeddings"], np.nan))
    assert refused("memory", "show", bank).startswith(f"{bank}: level 1, row 0: the embedding is not finite")


def test_bank_of_two_writes(sound, refused, tmp_path):
    shutil.copytree(sound.bank, tmp_path / "bank")
    (tmp_path / "bank" / "bank.npz").write_bytes(b"cut")
    assert refused("memory", "show", tmp_path / "bank").startswith(
        f"{tmp_path}/bank/bank.npz: does not belong to the bank.json beside it")


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_no_bank(sound, refused, tmp_path, name):
    assert re.match(r"(nowhere/)?bank.json: memory bank not found; build it", refused("memory", "show", name))
    assert "bank.json: memory bank not found; build it" in refused("retrieve", sound.config, "--set",
                                                                   f"memory.path={tmp_path}/{name}")


def test_other_bank_is_not_overwritten(sound, refused):
    said = refused("memory", "build", sound.config, "--set", "memory.early_exit=false")
    assert said.startswith(f"{sound.bank}: holds another memory bank (clustering: ") and "--overwrite" in said
