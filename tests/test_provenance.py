"""Where results come from: origins and how they differ, manifests, revision and versions."""

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
from hypothesis import given
from hypothesis import strategies as st

import hicm
from hicm import provenance
from hicm.config import digest
from hicm.provenance import Origin, describe, now, revision, uncommitted, versions


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


def test_the_hash_is_stable():
    """Folders made by an older version would not be found again if the hash of equal content changed."""
    assert digest({"train": {"lr": 3e-4, "epochs": 20}, "levels": [4, 1]}) == "87fc3b1a"
    assert Origin({"train.lr": 1e-3, "retrieval.levels": (1, 2)}, {"features": "abc"}).identity == IDENTITY


IDENTITY = "9687836a26b68545"

VALUES = st.dictionaries(st.sampled_from(["train.lr", "data.frames", "x.y"]), st.integers(0, 3))
DIGESTS = st.dictionaries(st.sampled_from(["features", "bank"]), st.sampled_from(["a", "b"]))


@given(VALUES, DIGESTS, VALUES, DIGESTS)
def test_origins_differ_exactly_when_their_identities_do(settings, inputs, others, other_inputs):
    one, other = Origin(settings, inputs), Origin(others, other_inputs)
    stored = json.loads(json.dumps(other.to_json()))
    assert (one.differences(stored) == []) == (one.identity == other.identity) == (one == other)


def test_differences_are_named():
    here = Origin({"train.lr": 0.1, "a.b": 2}, {"features": "x", "speech": "s", "bank": "b"})
    there = Origin({"train.lr": 0.2, "c.d": 3}, {"features": "y", "speech": "s", "model": "m"})
    assert here.differences(there.to_json()) == [
        "a.b is the default there and 2 here", "c.d is 3 there and the default here",
        "train.lr is 0.2 there and 0.1 here", "bank was not read there", "features has other content",
        "model is not read here"]


@pytest.mark.parametrize("found", [None, [], {}, {"settings": {}}, {"settings": [], "inputs": {}}])
def test_a_file_that_does_not_say_is_never_the_same(found):
    assert Origin({}, {}).differences(found) == ["the file does not say with which settings it was made"]


def test_describe():
    manifest = describe("train", "yc2-12345678", selected_on="best CIDEr on split val")
    assert (manifest["kind"], manifest["run"], manifest["selected_on"]) == (
        "train", "yc2-12345678", "best CIDEr on split val")
    assert manifest["command"] == sys.argv and manifest["versions"] == versions()
    assert json.loads(json.dumps(manifest)) == manifest, "plain data"


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
    assert uncommitted() == ""


def test_uncommitted_changes(tmp_path, monkeypatch):
    file = repository(tmp_path / "checkout", monkeypatch)
    assert uncommitted() == ""
    file.write_bytes("two, crème, \udcff\n".encode("utf-8", "surrogateescape"))  # no valid UTF-8
    assert "-one\n+two, crème, " in uncommitted()
