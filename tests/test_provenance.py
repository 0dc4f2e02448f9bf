"""What a run leaves behind: the manifest, the settings, the refusal to mix two runs in one folder."""

import datetime
import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hicm
from hicm import provenance
from hicm.config import digest, load_config
from hicm.errors import UserError
from hicm.files import read_json, sha256
from hicm.provenance import describe, now, open_run, revision, run_id, versions

CONFIG = load_config(None, ["data.name=tiny"])
OTHER = load_config(None, ["data.name=tiny", "train.lr=1e-3"])


@pytest.fixture
def inputs(tmp_path):
    """Two annotation files and a folder with a file in a folder."""
    for name in ("train.json", "val.json"):
        (tmp_path / name).write_text(json.dumps({name: {}}))
    (tmp_path / "bank" / "deep").mkdir(parents=True)
    (tmp_path / "bank" / "bank.json").write_text("{}")
    (tmp_path / "bank" / "deep" / "x.npz").write_bytes(b"x")
    return [tmp_path / "train.json", str(tmp_path / "val.json"), tmp_path / "bank"]


def repository(folder: Path, monkeypatch) -> Path:
    """A git repository with one commit that passes for the one hicm lies in; returns its one file."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    (folder / "hicm").mkdir(parents=True)
    file = folder / "hicm" / "__init__.py"
    file.write_text("one\n")
    for command in (["init", "-q"], ["add", "."],
                    ["-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True)
    monkeypatch.setattr(hicm, "__file__", str(file))
    return file


def test_run_id_is_a_function_of_the_settings():
    assert re.fullmatch(r"yc2-[0-9a-f]{8}", run_id("yc2", CONFIG))
    assert run_id("yc2", CONFIG) == run_id("yc2", load_config(None, ["data.name=tiny"])) != run_id("yc2", OTHER)
    assert run_id("yc2", CONFIG) != run_id("vitt", CONFIG)


def test_run_id_is_stable():
    """Folders made by an older version would not be found again if the hash of equal content changed."""
    assert digest({"train": {"lr": 3e-4, "epochs": 20}, "levels": [4, 1]}) == "87fc3b1a"


def test_now_is_utc_to_the_second():
    moment = datetime.datetime.fromisoformat(now())
    assert moment.utcoffset() == datetime.timedelta(0) and moment.microsecond == 0
    assert abs(datetime.datetime.now(datetime.UTC) - moment) < datetime.timedelta(seconds=60)


def test_versions_name_what_decides_numbers(monkeypatch):
    found = versions()
    assert found["hicm"] == hicm.__version__ and found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__ and {"torch", "transformers", "accelerate", "h5py"} <= found.keys()
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    assert versions().keys() == {"python", "platform", "hicm", "numpy"}


def test_describe(inputs, tmp_path):
    manifest = describe("train", "yc2-12345678", inputs, selected_on="best CIDEr on split val")
    assert (manifest["kind"], manifest["run"], manifest["selected_on"]) == (
        "train", "yc2-12345678", "best CIDEr on split val")
    assert manifest["command"] == sys.argv and manifest["versions"] == versions()
    assert manifest["inputs"] == {str(path): sha256(path) for path in (
        tmp_path / "train.json", tmp_path / "val.json", tmp_path / "bank" / "bank.json",
        tmp_path / "bank" / "deep" / "x.npz")}
    assert json.loads(json.dumps(manifest)) == manifest, "plain data"
    assert describe("train", "x")["inputs"] == {}
    with pytest.raises(UserError, match=r"none\.json: cannot be read"):
        describe("train", "x", [tmp_path / "none.json"])


def test_revision_and_dirt(tmp_path, monkeypatch):
    file = repository(tmp_path / "checkout", monkeypatch)
    clean = revision()
    assert re.fullmatch(r"[0-9a-f]{40}", clean["commit"]) and clean["dirty"] is False
    file.write_text("two\n")
    assert revision() == {"commit": clean["commit"], "dirty": True}


def test_no_revision_outside_a_checkout(tmp_path, monkeypatch):
    """An installed package, even below somebody's repository, has no revision; nor has a machine without git."""
    file = repository(tmp_path / "checkout", monkeypatch)
    (tmp_path / "checkout" / "site" / "hicm").mkdir(parents=True)
    monkeypatch.setattr(hicm, "__file__", str(tmp_path / "checkout" / "site" / "hicm" / "__init__.py"))
    assert revision() == {}
    monkeypatch.setattr(hicm, "__file__", str(file))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision() == {}
    assert open_run(tmp_path / "run", "r", CONFIG) is False


def test_a_new_run_leaves_settings_and_manifest(tmp_path, inputs):
    folder = tmp_path / "runs" / "tiny-1"
    assert open_run(folder, "tiny-1", CONFIG, inputs, selected_on="best") is False
    assert load_config(folder / "config.yaml") == CONFIG
    manifest = read_json(folder / "manifest.json")
    assert manifest["run"] == "tiny-1" and manifest["selected_on"] == "best" and len(manifest["inputs"]) == 4
    assert {path.name for path in folder.iterdir()} <= {"config.yaml", "manifest.json", "uncommitted.diff"}


def test_uncommitted_changes_are_kept(tmp_path, monkeypatch):
    file = repository(tmp_path / "checkout", monkeypatch)
    open_run(tmp_path / "clean", "r", CONFIG)
    assert not (tmp_path / "clean" / "uncommitted.diff").exists()
    file.write_bytes("two, crème, \udcff\n".encode("utf-8", "surrogateescape"))  # no valid UTF-8
    open_run(tmp_path / "changed", "r", CONFIG)
    difference = (tmp_path / "changed" / "uncommitted.diff").read_text(encoding="utf-8")
    assert "-one\n+two, crème, " in difference
    assert read_json(tmp_path / "changed" / "manifest.json")["revision"]["dirty"]


def test_the_same_run_continues(tmp_path, inputs):
    open_run(tmp_path / "run", "tiny-1", CONFIG, inputs)
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert open_run(tmp_path / "run", "tiny-1", CONFIG, inputs) is True
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_start_that_was_killed_before_the_manifest_begins_again(tmp_path):
    open_run(tmp_path / "run", "tiny-1", CONFIG)
    (tmp_path / "run" / "manifest.json").unlink()
    assert open_run(tmp_path / "run", "tiny-2", OTHER) is False
    assert load_config(tmp_path / "run" / "config.yaml") == OTHER


def test_two_settings_never_share_a_folder(tmp_path):
    folder = tmp_path / "run"
    open_run(folder, run_id("tiny", CONFIG), CONFIG)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=f"^{folder}: holds run {run_id('tiny', CONFIG)}, not {run_id('tiny', OTHER)}; "
                                        "choose another --out or remove it$"):
        open_run(folder, run_id("tiny", OTHER), OTHER)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_run_does_not_continue_on_other_data(tmp_path, inputs):
    folder = tmp_path / "run"
    open_run(folder, "tiny-1", CONFIG, inputs)
    (folder / "stats.jsonl").write_text("{}\n")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    Path(inputs[1]).write_text("{}")
    with pytest.raises(UserError, match=f"run: was begun on another {inputs[1]} .its content differs.; choose"):
        open_run(folder, "tiny-1", CONFIG, inputs)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_data_that_are_mended_before_anything_was_learnt(tmp_path, inputs):
    """A broken annotation file stops training at once; the same command goes on when it is mended."""
    folder = tmp_path / "run"
    open_run(folder, "tiny-1", CONFIG, inputs)
    (folder / "retrieved_training.h5").touch()
    Path(inputs[1]).write_text("{}")
    assert open_run(folder, "tiny-1", CONFIG, inputs) is False
    assert read_json(folder / "manifest.json")["inputs"][inputs[1]] == sha256(inputs[1])
    assert open_run(folder, "tiny-1", CONFIG, inputs) is True


@pytest.mark.parametrize(("content", "match"), [("{", "run manifest is not valid json"), ("[]", "holds run None"),
                                                ("{}", "holds run None")])
def test_a_damaged_manifest_is_no_licence_to_overwrite(tmp_path, content, match):
    open_run(tmp_path / "run", "tiny-1", CONFIG)
    (tmp_path / "run" / "manifest.json").write_text(content)
    with pytest.raises(UserError, match=match):
        open_run(tmp_path / "run", "tiny-1", CONFIG)
    assert (tmp_path / "run" / "manifest.json").read_text() == content


def test_missing_input_leaves_no_folder(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: cannot be read"):
        open_run(tmp_path / "run", "tiny-1", CONFIG, [tmp_path / "none.json"])
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("keep")
    with pytest.raises(UserError, match=r"file/run/config\.yaml: cannot be written"):
        open_run(tmp_path / "file" / "run", "tiny-1", CONFIG)
    assert (tmp_path / "file").read_text() == "keep"
