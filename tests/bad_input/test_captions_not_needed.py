"""Captions that no command needs may be missing or blank; broken ones are read alike by all."""

import json

import pytest

from hicm.cli import main
from hicm.files import read_json, write_json


def use(file, split="val") -> list[str]:
    return ["--set", f"data.annotations.{split}={file}"]


def test_a_blank_validation_caption_is_no_obstacle(sound, tmp_path, capsys):
    video = sound.videos("val")[0]
    texts = read_json(sound.data / "val.json")[video]["sentences"]
    file = sound.change("val", tmp_path, **{video: {"sentences": ["  ", *texts[1:]]}})
    assert main(["data", "check", str(sound.config), *use(file)]) == 0
    assert f"warning: {file}: 1 empty captions: {video} event 0" in capsys.readouterr().out
    assert main(["train", str(sound.config), *use(file), "--out", str(tmp_path / "run")]) == 0
    assert main(["predict", str(tmp_path / "run"), *use(file)]) == 0


@pytest.mark.parametrize("lack", [{"sentences"}, {"timestamps", "sentences"}, "no times"])
def test_predicting_needs_no_captions(sound, run, refused, tmp_path, capsys, lack):
    content = read_json(sound.data / "val.json")
    for video, entry in content.items():
        content[video] = entry | {"timestamps": []} if lack == "no times" else {
            key: value for key, value in entry.items() if key not in lack}
    file = write_json(tmp_path / "test.json", content)
    assert main(["predict", str(run), "--split", "test", *use(file, "test")]) == 0
    assert (read_json(run / "predictions_test.json")["results"]
            == read_json(sound.run / "predictions_val.json")["results"])
    said = refused("evaluate", run / "predictions_test.json", file)
    assert said.startswith(f"{file}: video {next(iter(content))}: ")
    assert main(["retrieve", str(sound.config), "--split", "test", *use(file, "test"), "--out",
                 str(tmp_path / "r.h5")]) == 0
    capsys.readouterr()
    status = main(["data", "check", str(sound.config), *use(file, "test"), "--set", "data.report=test"])
    assert f"warning: {file}: no captions: 'hicm predict' needs none" in capsys.readouterr().out and status == 0


def test_one_rule_for_broken_captions(sound, tmp_path, capsys):
    """They are read with blanks by every command, which says how many; the evaluator's tokenisers drop them too."""
    video = sound.videos("train")[0]
    content = read_json(sound.data / "train.json")
    texts = content[video]["sentences"]
    content[video]["sentences"] = ["chop\x00it", "chop \ud83d", "\x1b[1mchop", *texts[3:]]
    file = tmp_path / "train.json"
    file.write_text(json.dumps(content))
    bank = ["--set", f"memory.path={tmp_path}/bank"]
    assert main(["data", "check", str(sound.config), *use(file, "train")]) == 0
    assert (f"warning: {file}: 3 captions with control characters or halves of characters: {video} sentences[0], "
            in capsys.readouterr().out)
    with pytest.warns(UserWarning, match="3 captions hold control characters"):
        assert main(["memory", "build", str(sound.config), *use(file, "train"), *bank]) == 0
    with pytest.warns(UserWarning, match="3 captions hold control characters"):
        assert main(["train", str(sound.config), *use(file, "train"), *bank, "--out", str(tmp_path / "run")]) == 0
    predictions = {"results": {video: [{"sentence": "chop", "timestamp": [0, 3]}]}}
    assert main(["evaluate", str(write_json(tmp_path / "p.json", predictions)), str(file)]) == 0
