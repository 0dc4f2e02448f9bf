"""What ``hicm convert`` reports about a file, Vid2Seq without a memory, and the folder it writes."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

import tests.released as released_file
from hicm import verbs
from hicm.config import load_config
from hicm.errors import UserError
from hicm.files import read_json, sha256
from hicm.stages.convert import convert_checkpoint
from hicm.systems.captioner.weights import from_pretrained, save_pretrained
from tests.released import refused, released_args

golden, weights, write = released_file.golden, released_file.weights, released_file.write
settings, released, run = released_file.settings, released_file.released, released_file.run


# what the file says about its training

def test_differences_from_the_settings_in_the_file_are_reported(golden, write, settings, tmp_path):
    path = write(args=released_args(golden, window_size=30, soft_k=30, heads=8, hier_ret_num="max", num_beams=1))
    with pytest.warns(UserWarning) as warned:
        run = convert_checkpoint(path, load_config(settings, ["retrieval.levels=[1, 2]"]), tmp_path / "run")
    lines = read_json(run / "manifest.json")["warnings"]
    assert lines == ["trained with heads=8, captioner.visual_heads=12",
                     "trained with num_beams=1, captioner.decode.beams=4",
                     "trained with window_size=30, retrieval.windows=10", "trained with soft_k=30, retrieval.top_k=10",
                     "trained with hier_ret_num=max, retrieval.select=top-k",
                     "trained with hier_use=[1, 2, 3, 4], retrieval.levels=[1, 2]"]
    assert [str(one.message).split(": ", 1)[1] for one in warned] == lines
    assert all(line in (run / "README.md").read_text() for line in lines)


def test_settings_that_agree_are_not_reported(run):
    assert read_json(run / "manifest.json")["warnings"] == []


def test_default_and_published_behaviour_differ_and_it_is_reported(released, settings, tmp_path):
    given = yaml.safe_load(settings.read_text())
    del given["preset"]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(given))
    with pytest.warns(UserWarning, match=r"captioner.mask_padding=False \(here True\), retrieval.search=top_only"):
        convert_checkpoint(released, load_config(tmp_path / "own.yaml"), tmp_path / "run")
    by_hand = ["captioner.mask_padding=false", "retrieval.search=top_only", "retrieval.tail=drop",
               "retrieval.mask_padding=false", "retrieval.precision=stored"]
    run = convert_checkpoint(released, load_config(tmp_path / "own.yaml", by_hand), tmp_path / "other")
    assert read_json(run / "manifest.json")["warnings"] == []


def test_text_in_the_file_does_not_break_the_card(golden, write, settings, tmp_path):
    path = write(args=released_args(golden, load="a|b`\n\n# Title\n"), **{"lr_scheduler|`x": {}})
    run = convert_checkpoint(path, load_config(settings), tmp_path / "run")
    card = (run / "README.md").read_text()
    assert "\n# Title" not in card and "a/b'" in card
    assert read_json(run / "manifest.json")["dropped"] == ["lr_scheduler|`x", "optimizer"]


# Vid2Seq

@pytest.fixture(scope="module")
def vid2seq(write) -> Path:
    return write(lambda state: [state.pop(name) for name in list(state) if name.startswith("ret2t5_proj")],
                 "vid2seq_htmchapters.pth")


def test_vid2seq_with_a_memory_must_be_asked_for(vid2seq, settings, tmp_path):
    refused(vid2seq, settings, tmp_path / "run", "retrieval.search=none", "--fresh-memory")
    refused(vid2seq, settings, tmp_path / "run", "leave the option out", set_=["retrieval.search=none"],
            fresh_memory=True)


def test_vid2seq_without_memory(vid2seq, settings, tmp_path, weights):
    run = convert_checkpoint(vid2seq, load_config(settings, ["retrieval.search=none"]), tmp_path / "run")
    model, _ = from_pretrained(run)
    assert model.memory_projection is None
    manifest = read_json(run / "manifest.json")
    assert manifest["source"]["kind"] == "vid2seq" and manifest["bank"] is None
    assert manifest["keys"]["used"] == len(weights) - 3 - 8
    assert manifest["warnings"] == [], "arguments about the memory do not concern a model without one"


def test_vid2seq_with_a_fresh_memory(vid2seq, settings, tmp_path):
    with pytest.warns(UserWarning, match="random weights"):
        runs = [convert_checkpoint(vid2seq, load_config(settings), tmp_path / name, fresh_memory=True) for name in "ab"]
    manifest = read_json(runs[0] / "manifest.json")
    assert len(manifest["keys"]["fresh"]) == 8 and "random weights" in manifest["warnings"][-1]
    assert "not yet trained" in (runs[0] / "README.md").read_text()
    model, _ = from_pretrained(runs[0])
    assert model.memory_projection.layers[0].linear.weight.shape == (24, 24)
    assert len({sha256(run / "best" / "model.safetensors") for run in runs}) == 1, "the same each time"


def test_fresh_memory_is_not_for_a_file_that_has_one(released, settings, tmp_path):
    refused(released, settings, tmp_path / "run", "--fresh-memory", "it has one", fresh_memory=True)


# the folder that is written

def contents(folder: Path) -> dict[str, tuple[int, str]]:
    return {str(path): (path.stat().st_mtime_ns, sha256(path)) for path in folder.rglob("*") if path.is_file()}


def test_the_same_again_does_nothing(run, released, settings):
    before = contents(run)
    assert verbs.convert(str(released), str(settings), str(run)) == run
    assert contents(run) == before


def test_another_source_is_refused_unless_asked(run, vid2seq, settings, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    (out / "predictions_val.json").write_text("{}")
    before = contents(out)
    without = ["retrieval.search=none"]
    refused(vid2seq, settings, out, "best_model-", "--overwrite", set_=without)
    assert contents(out) == before
    convert_checkpoint(vid2seq, load_config(settings, without), out, overwrite=True)
    assert read_json(out / "manifest.json")["run"].startswith("vid2seq_htmchapters-")
    assert not (out / "predictions_val.json").exists() and os.listdir(tmp_path) == ["run"]


def test_other_settings_are_another_run(run, released, settings):
    refused(released, settings, run, "other weights or settings", set_=["captioner.decode.beams=1"])


@pytest.mark.parametrize("holds", ["photo.png", "manifest.json"])
def test_what_is_no_conversion_is_never_replaced(released, settings, tmp_path, holds):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / holds).write_text(json.dumps({"kind": "train", "run": "x"}))
    refused(released, settings, tmp_path / "mine", "not overwritten", overwrite=True)
    assert (tmp_path / "mine" / holds).exists()
    (tmp_path / "file").write_text("x")
    refused(released, settings, tmp_path / "file", "not overwritten", overwrite=True)
    refused(released, settings, tmp_path / "file" / "run", "cannot be written")


def test_a_folder_that_holds_the_checkpoint_is_not_replaced(run, vid2seq, settings, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    shutil.copy(vid2seq, out / "own.pth")
    refused(out / "own.pth", settings, out, "holds the checkpoint", set_=["retrieval.search=none"], overwrite=True)
    assert (out / "own.pth").exists()


def test_an_empty_folder_is_taken(released, settings, tmp_path):
    (tmp_path / "run").mkdir()
    convert_checkpoint(released, load_config(settings), tmp_path / "run")
    assert (tmp_path / "run" / "best" / "model.safetensors").exists()


def test_a_failure_while_writing_leaves_nothing(released, settings, tmp_path, monkeypatch):
    from hicm.stages import convert as module

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_json", fail)
    refused(released, settings, tmp_path / "run", "No space left")


def test_a_run_of_ours_is_taken_too(run, settings, tmp_path):
    with pytest.warns(UserWarning, match=r"now captioner\.mask_padding=True"):
        other = convert_checkpoint(run, load_config(settings, ["captioner.mask_padding=true"]), tmp_path / "other")
    manifest = read_json(other / "manifest.json")
    assert manifest["source"]["kind"] == "hicm" and manifest["source"]["parent"].startswith("best_model-")
    assert manifest["warnings"] == ["trained with captioner.mask_padding=False, now captioner.mask_padding=True"]
    assert sha256(other / "best" / "model.safetensors") == sha256(run / "best" / "model.safetensors")
    inner = convert_checkpoint(run / "best", load_config(settings), tmp_path / "inner")
    assert read_json(inner / "manifest.json")["source"] == manifest["source"], "same for a run and for its checkpoint"
    refused(run / "best", settings, tmp_path / "more", "captioner.visual_depth=3", set_=["captioner.visual_depth=3"])


@pytest.mark.parametrize("file", ["best/captioner.json", "manifest.json"])
def test_a_damaged_run_of_ours_is_refused(run, settings, tmp_path, file):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / file).write_text("[]")
    refused(tmp_path / "run", settings, tmp_path / "out", file, "expected an object")


def test_a_description_without_a_t5_is_refused(run, settings, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "best" / "captioner.json").write_text("{}")
    refused(tmp_path / "run", settings, tmp_path / "out", "captioner.json: cannot be read as a captioner's description")


def test_save_and_load_by_the_names_of_transformers(run, tmp_path):
    model, vocabulary = from_pretrained(run)
    save_pretrained(model, vocabulary, tmp_path / "copy", run="x")
    again, _ = from_pretrained(tmp_path / "copy")
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    with pytest.raises(UserError, match=r"no captioner\.json"):
        from_pretrained(tmp_path)


# hicm predict

@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Records the calls of predict instead of predicting."""
    from hicm.stages import predict

    calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predict, "predict", lambda *given: calls.append(given) or given[0])
    return calls


def test_predict_takes_a_released_file_and_converts_it_once(released, settings, asked, tmp_path):
    for more in ([], ["captioner.decode.beams=1"]):
        verbs.predict(str(released), config=str(settings), set_=more)
    folders = list(Path("presave/converted").iterdir())
    assert len(folders) == 1 and re.fullmatch(r"best_model-[0-9a-f]{8}", folders[0].name)
    assert [given[0] for given in asked] == folders * 2
    assert [given[4] for given in asked] == [[], ["captioner.decode.beams=1"]]
    assert load_config(folders[0] / "config.yaml").room.decode.beams == 4


def test_predict_asks_for_settings_where_they_are_needed(released, run, settings, asked):
    with pytest.raises(UserError, match="--config"):
        verbs.predict(str(released))
    with pytest.raises(UserError, match="own settings"):
        verbs.predict(str(run), config=str(settings))
    with pytest.raises(UserError, match="checkpoint not found"):
        verbs.predict("absent.pth", config=str(settings))
    assert asked == []


def test_a_dry_prediction_converts_nothing(released, settings, asked, capsys):
    assert verbs.predict(str(released), config=str(settings), dry_run=True) is None
    assert "convert" in capsys.readouterr().out and not Path("presave").exists() and asked == []
