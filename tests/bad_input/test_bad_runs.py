"""Places that cannot be written, full disks, damaged runs and predictions: one line, status 2, and nothing lost."""

import json
import os
import pickle
import re
import shutil
from pathlib import Path

import pytest

from hicm.cli import main
from hicm.files import read_json, sha256
from hicm.recipes.demo import side_by_side

# places that cannot be written

@pytest.fixture
def below(tmp_path) -> Path:
    """A path below a regular file."""
    (tmp_path / "file").write_text("keep")
    yield tmp_path / "file" / "out"
    assert (tmp_path / "file").read_text() == "keep"


@pytest.mark.parametrize("command", [
    "memory build {config} --set memory.path={below}", "retrieve {config} --out {below}/x.h5",
    "train {config} --out {below}", "predict {run} --out {below}/p.json",
    "evaluate {run} --metrics soda_d --out {below}/m.json", "demo --out {below}"])
def test_output_below_a_file(sound, refused, below, monkeypatch, command):
    monkeypatch.setattr(side_by_side, "FORKS", False)  # the demo would begin imports in vain, and instead of ours
    said = refused(*command.format(config=sound.config, run=sound.run, below=below).split())
    assert said.startswith(f"{below}") and re.search("Not a directory|File exists", said)


@pytest.mark.parametrize(("command", "file"), [
    ("memory build {config} --overwrite --set memory.path={copy}/bank", "bank/bank.npz"),
    ("retrieve {config} --out {copy}/run/retrieved_val.h5 --overwrite --set retrieval.windows=3",
     "run/retrieved_val.h5"),
    ("predict {copy}/run --overwrite --set captioner.decode.max_tokens=20", "run/predictions_val.json"),
    ("evaluate {copy}/run --metrics soda_d", "run/metrics_val.json")])
@pytest.mark.parametrize("half", [False, True], ids=["full", "fills"])
def test_full_disk(sound, refused_on_full_disk, tmp_path, command, file, half):
    copy = tmp_path / "copy"
    for part in ("bank", "run"):
        shutil.copytree(getattr(sound, part), copy / part)
    arguments = command.format(config=sound.config, copy=copy).split()
    assert main(arguments) == 0
    size = (copy / file).stat().st_size // 2 if half else 0
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    if arguments[0] in ("predict", "retrieve"):  # done already: ask for something else
        arguments[-1] = "captioner.decode.max_tokens=21" if arguments[0] == "predict" else "retrieval.windows=2"
    said = refused_on_full_disk(size, *arguments)
    partial = (copy / file).with_name(f".{Path(file).name}.part")
    assert re.match(rf"({copy / file}|{partial}|{copy}/bank/embeddings.npz): .*File too large", said)
    assert {path: path.read_bytes() for path in before} == before, "old files are whole"
    made = {path.name for path in copy.rglob("*") if path.is_file()} - {path.name for path in before}
    kept = {".predictions_val.json.part", "embeddings.npz", "partitions.npz"}
    assert made <= kept, "no half file is left; what was predicted or computed is kept"
    assert main(arguments) == 0, "with room again, the same command works"


def test_full_disk_in_a_report(run, refused_on_full_disk):
    (run / "report").mkdir()
    (run / "report" / "index.html").write_text("old")
    said = refused_on_full_disk(1000, "report", run, "--videos", 0, "--out", run / "report")
    assert re.match(rf"{run}/report/\S+: cannot be written .File too large", said)
    assert [path.name for path in (run / "report").iterdir()] == ["index.html"]
    assert (run / "report" / "index.html").read_text() == "old"


@pytest.mark.parametrize("size", [300, 60_000])
def test_full_disk_in_training(sound, refused_on_full_disk, tmp_path, size):
    """Wherever the disk fills (settings, recall, diary, tokenizer, checkpoint, weights), training goes on later."""
    run = tmp_path / "run"
    said = refused_on_full_disk(size, "train", sound.config, "--out", run)
    assert str(run) in said or "spiece.model: cannot be written" in said  # which stands in the system's folder
    assert main(["train", str(sound.config), "--out", str(run)]) == 0
    assert sha256(run / "last" / "model.safetensors") == sha256(sound.run / "last" / "model.safetensors")


# runs

class Evil:
    """Unpickled without care it would make a folder."""

    def __reduce__(self):
        return os.mkdir, ("marker",)


@pytest.mark.parametrize("damage", [lambda whole: whole[:len(whole) // 2], lambda whole: b"", lambda whole: b"x" * 500,
                                    lambda whole: pickle.dumps({"model": Evil()})])
def test_damaged_checkpoint(sound, refused, run, damage):
    content = damage((run / "checkpoint.pt").read_bytes())
    (run / "checkpoint.pt").write_bytes(content)
    assert refused("train", sound.config, "--out", run).startswith(
        f"{run}/checkpoint.pt: checkpoint cannot be read; remove it to start the run again")
    assert (run / "checkpoint.pt").read_bytes() == content and not Path("marker").exists()


def test_other_settings_in_the_same_folder(sound, refused, run):
    assert re.match(rf"{run}: holds run tiny-\w+, started differently .train\.lr is 0\.001 there and 0\.01 here.; "
                    "choose", refused("train", sound.config, "--out", run, "--set", "train.lr=1e-2"))


@pytest.mark.parametrize(("name", "content", "match"), [
    ("model.safetensors", b"cut", "weights cannot be read"), ("model.safetensors", None, "weights not found"),
    ("captioner.json", b"{", "not valid json"),
    ("captioner.json", b"{}", "captioner.json"), ("tokenizer/tokenizer.json", b"{", "cannot be read")])
def test_damaged_captioner(refused, run, name, content, match):
    file = run / "best" / name
    file.write_bytes(content) if content is not None else file.unlink()
    said = refused("predict", run)
    assert said.startswith(str(run / "best")) and match in said


def test_no_captioner_yet(refused, run):
    for name in ("best", "last"):
        shutil.rmtree(run / name)
    assert refused("predict", run).startswith(f"{run}: no best or last checkpoint yet; train first")
    assert refused("predict", run, "--checkpoint", "bset") == "--checkpoint bset: expected best or last"


@pytest.mark.parametrize("command", ["predict {}", "evaluate {}", "report {}"])
def test_a_run_folder_that_is_none(sound, refused, tmp_path, command):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        said = refused(*command.format(tmp_path / name).split())
        assert said.startswith(f"{tmp_path / name}") and "not found" in said
    assert not any((tmp_path / "empty").iterdir())


@pytest.mark.parametrize(("file", "verbs"), [("config.yaml", ["predict", "evaluate", "report"]),
                                             ("manifest.json", ["report"])])
def test_damaged_run_files(refused, run, file, verbs):
    (run / file).write_text("{")
    for verb in verbs:
        assert refused(verb, run).startswith(f"{run / file}")


def test_evaluation_without_predictions(refused, run):
    (run / "predictions_val.json").unlink()
    assert refused("evaluate", run).startswith(f"{run}/predictions_val.json: predictions not found; make them with")


def test_report_on_a_run_without_predictions_says_so(run, capsys):
    for name in ("predictions_val.json", "stats.jsonl"):
        (run / name).unlink()
    assert main(["report", str(run), "--videos", "0", "--out", str(run / "report")]) == 0
    assert "predictions_val.json" in (run / "report" / "index.html").read_text(encoding="utf-8")


# predictions

@pytest.mark.parametrize(("timestamp", "match"), [
    ("[NaN, 3]", "expected finite seconds"), ("[1, Infinity]", "expected finite seconds"),
    ('["1", 3]', "expected numbers"), ("[1]", r"expected \[start, end\]")])
def test_predictions_with_impossible_times(sound, refused, tmp_path, timestamp, match):
    video = sound.videos("val")[0]
    file = tmp_path / "predictions_val.json"
    good = '{"sentence": "stir", "timestamp": [0, 1]}'
    file.write_text(f'{{"results": {{"{video}": [{good}, {{"sentence": "stir", "timestamp": {timestamp}}}]}}}}')
    said = refused("evaluate", file, sound.data / "val.json", "--metrics", "soda_d")
    assert re.match(rf"{file}: video {video}, event 1: timestamp .*{match}", said)
    assert not (tmp_path / "metrics_val.json").exists()


def test_truncated_predictions_and_references(sound, refused, tmp_path):
    whole = (sound.run / "predictions_val.json").read_text()
    (tmp_path / "p.json").write_text(whole[:-20])
    assert refused("evaluate", tmp_path / "p.json", sound.data / "val.json").startswith(
        f"{tmp_path}/p.json: predictions is not valid json")
    (tmp_path / "r.json").write_text(json.dumps(read_json(sound.data / "val.json"))[:-20])
    assert refused("evaluate", sound.run / "predictions_val.json", tmp_path / "r.json", "--out", "m.json").startswith(
        f"{tmp_path}/r.json: references")
