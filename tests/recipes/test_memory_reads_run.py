"""The memory benchmark from specification to tables: what it leaves, how it goes on, what it refuses."""

import json

import pytest
import yaml

import hicm.stages.predict as stage
from hicm.files import read_json, write_text
from hicm.memory.bank import load_bank
from hicm.recipes.memory_reads import written
from hicm.recipes.memory_reads.others import other_videos
from hicm.recipes.memory_reads.page import marks
from tests.scripts import load_script
from tests.tiny import make_tiny

CONDITIONS = ["none", "swapped", "captions", "frames", "events", "random"]


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    tiny = make_tiny(folder, videos=12, train__epochs=1, train__eval_every=0, captioner__decode__max_tokens=12)
    content = {"base": str(tiny), "seeds": [0], "conditions": [*CONDITIONS, "flat"], "baseline": "none",
               "set": {"data.holdout": 0.5, "memory.path": ""}, "cells": [
                   {"name": "none", "set": {"retrieval.search": "none"}, "conditions": ["swapped"]},
                   {"name": "text", "set": {"captioner.memory_as": "text", "retrieval.read": "items",
                                            "retrieval.search": "flat", "retrieval.flat_level": 0}}]}
    path = folder / "tiny_spec.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def bench():
    return load_script("bench_memory_reads").main


@pytest.fixture(scope="module")
def done(spec, bench, tmp_path_factory):
    """A finished benchmark of two cells; read only."""
    out = tmp_path_factory.mktemp("out") / "bench"
    assert bench([str(spec), "--out", str(out), "--samples", "50"]) == 0
    return out


def test_every_condition_that_applies_is_measured(done):
    results = read_json(done / "results.json")
    found = {(one["cell"], one["condition"]): one for one in results["entries"]}
    assert found.keys() == {("none", "own"), *(("text", name) for name in ("own", *CONDITIONS))}
    assert results["skipped"] == {"none": {"swapped": "reads no memory"},
                                  "text": {"flat": "is how it was trained"}}
    for one in found.values():
        assert (done / one["run"] / "manifest.json").exists() and (done / one["predictions"]).exists()
        assert one["seconds"]["training"] > 0 and one["machine"] and one["date"] and len(one["settings"]) == 16
    assert found["text", "events"]["scores"]["F1_of_means"] == 1, "their events are the annotated ones"
    assert (done / "picture_holdout.png").read_bytes().startswith(b"\x89PNG")
    assert len({one["settings"] for one in found.values()}) == 2, "one per cell"
    assert found["text", "own"]["said"]["copied"] is not None is found["none", "own"]["said"]["copied"]


def test_predictions_say_what_they_read(done):
    folder = done / "text" / "seed_0" / "holdout"
    made = {name: read_json(folder / f"predictions_{name}.json")["decided_by"] for name in ("own", *CONDITIONS)}
    own = made["own"]
    assert {name: sorted(key for key in {**own["inputs"], **one["inputs"]}
                         if own["inputs"].get(key) != one["inputs"].get(key)) for name, one in made.items()} == {
        "own": [], "random": [], "none": ["memory bank"], "swapped": ["videos whose memory is read"],
        "captions": ["queries to the memory"], "frames": ["features of holdout"],
        "events": ["events given for holdout"]}
    assert made["random"]["settings"]["retrieval.levels"] == [0], "captions, as with the flat search of captions"
    assert made["swapped"]["settings"] == own["settings"]


def test_held_out_captions_are_not_in_the_memory(done):
    held = read_json(done / "text" / "seed_0" / "holdout" / "predictions_own.json")["results"].keys()
    bank = load_bank(done / "text" / "seed_0" / "run" / "bank")
    assert held and not held & set(bank.leaves.videos) and other_videos(list(held)).keys() == held


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures are empty, since drawing takes long."""
    monkeypatch.setattr(written, "draw", lambda found, cells, path, about: write_text(path, "a picture"))


def test_it_continues_where_it_was_interrupted(spec, bench, done, undrawn, capsys):
    stamps = {path: path.stat().st_mtime_ns for path in done.rglob("*")
              if path.suffix in (".safetensors", ".h5", ".npz")}
    lost = done / "text" / "seed_0" / "holdout" / "measured_swapped.json"
    before = lost.read_text()
    lost.unlink()
    assert bench([str(spec), "--out", str(done), "--only", "text", "--samples", "50"]) == 0
    said = capsys.readouterr().out
    assert said.count("measured before") == len(CONDITIONS) and "swapped: CIDEr" in said and "trained in" in said
    after = json.loads(lost.read_text())
    assert {key: after[key] for key in ("scores", "said", "made_of")} == {
        key: json.loads(before)[key] for key in ("scores", "said", "made_of")}
    assert {path: path.stat().st_mtime_ns for path in stamps if "swapped" not in path.name} == {
        path: stamp for path, stamp in stamps.items() if "swapped" not in path.name}, "nothing else was made again"


def test_tables_go_into_a_page_and_other_settings_are_refused(spec, bench, done, undrawn, tmp_path, capsys):
    page, (first, last) = tmp_path / "page.md", marks("memory_reads_tiny_spec_holdout")
    page.write_text(f"head\n{first}\n{last}\nfoot\n")
    again = [str(spec), "--out", str(done), "--samples", "50", "--table-only"]
    assert bench([*again, "--docs", str(page)]) == 0 and capsys.readouterr().out == f"{done}/table_holdout.md\n"
    text = page.read_text()
    assert text.startswith(f"head\n{first}\n") and text.endswith(f"{last}\nfoot\n")
    for name in ("table_holdout.md", "examples_holdout.md"):
        assert (done / name).read_text().strip() in text
    assert (tmp_path / "images" / "memory_reads_tiny_spec_holdout.png").read_text() == "a picture"
    changed = yaml.safe_load(spec.read_text())
    changed["cells"][1]["set"]["train.lr"] = 1.0
    other = tmp_path / "tiny_spec.yaml"
    other.write_text(yaml.safe_dump(changed))
    for words in (["--table-only"], ["--only", "text"]):
        assert bench([str(other), "--out", str(done), *words]) == 2
        assert "seed_0: was made otherwise (train.lr is 0.001 there and 1.0 here" in capsys.readouterr().err
    assert bench([str(other), "--out", str(tmp_path / "none"), "--table-only"]) == 2
    assert "nothing was measured on split holdout yet" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_a_dry_run_trains_nothing(spec, bench, tmp_path, capsys):
    assert bench([str(spec), "--out", str(tmp_path / "new"), "--dry-run", "--seeds", "1", "2"]) == 0
    assert capsys.readouterr().out.startswith("none, seeds 1, 2: own, swapped (left out: reads no memory)\n")
    assert not (tmp_path / "new").exists()


def test_the_memory_of_another_video_reaches_the_system(done, tmp_path, monkeypatch):
    caught = []

    def catch(system, samples, *rest):
        caught.append({sample.id: sample.recalled.texts for sample in samples})
        return {}, {}

    monkeypatch.setattr(stage, "_predict", catch)
    others = other_videos(list(read_json(done / "text" / "seed_0" / "holdout" / "predictions_own.json")["results"]))
    for place, memory_of in enumerate((None, others)):
        stage.predict(done / "text" / "seed_0" / "run", "holdout", out=tmp_path / f"{place}.json", memory_of=memory_of)
    own, swapped = caught
    assert swapped == {video: own[other] for video, other in others.items()} != own


def test_tables_hold_all_that_was_measured_whatever_is_asked_for(spec, bench, done, undrawn, capsys):
    whole = (done / "table_holdout.md").read_text()
    assert bench([str(spec), "--out", str(done), "--samples", "50", "--table-only", "--seeds", "7", "--only",
                  "none"]) == 0
    assert (done / "table_holdout.md").read_text() == whole and "| text |" in whole


@pytest.mark.parametrize(("words", "said"), [
    (["--split", "vla"], "split vla: expected one of data.annotations (train, val), or holdout"),
    (["--docs", "README.md"], "README.md: expected the lines '<!-- generated: memory_reads_tiny_spec_holdout -->'")])
def test_what_cannot_be_written_is_refused_before_anything_is_trained(spec, bench, tmp_path, words, said, capsys):
    assert bench([str(spec), "--out", str(tmp_path / "new"), *words]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["--samples", "--bootstrap-seed"])
def test_numbers_below_0_are_refused(spec, bench, name, capsys):
    with pytest.raises(SystemExit):
        bench([str(spec), name, "-3"])
    assert f"{name}: expected 0 or more, found -3" in capsys.readouterr().err
