"""The demo from data to report, on fewer videos."""

import subprocess
import sys

import pytest

from hicm.config import dump_config, load_config, save_config
from hicm.errors import UserError
from hicm.files import read_json
from hicm.recipes.demo import run as demo
from hicm.recipes.demo.dataset import make_dataset, write_parallel_settings
from tests.tiny import WIDTH


def test_the_settings_of_the_parallel_demo_are_for_its_data(tmp_path):
    base = make_dataset(tmp_path, {"train": 2, "val": 1}, width=WIDTH)
    found, own = load_config(write_parallel_settings(base)), load_config(base)
    assert found.system == "parallel" and found.data.annotations == own.data.annotations
    assert found.memory == own.memory and found.data.features == own.data.features
    assert found.retrieval.levels == [1] and own.retrieval.levels == [0], "only the captioner reads recalled text"
    assert (found.room.width, found.train.batch, found.data.speech) == (128, 16, "")
    assert dump_config(own)["system"] == "captioner"


def test_another_system_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(UserError, match="demo --system recal: expected captioner or parallel"):
        demo.run_demo(tmp_path / "demo", system="recal")
    assert not list(tmp_path.iterdir())


def test_the_processes_import_while_the_command_still_has_to():
    script = """
import sys
from hicm.recipes.demo import side_by_side

def begin():
    print(sorted({"torch", "matplotlib", "hicm.recipes.demo.run"} & sys.modules.keys()))
    sys.exit()

side_by_side.begin_imports = begin
from hicm import verbs
verbs.demo()
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.slow
def test_the_parallel_demo_ends_with_a_report(tmp_path, monkeypatch, capsys):
    def few_epochs(base):
        path = write_parallel_settings(base)
        save_config(load_config(path, ["train.epochs=1", "train.eval_every=1"]), path)
        return path

    monkeypatch.setattr(demo, "make_dataset", lambda folder, seed: make_dataset(
        folder, {"train": 8, "val": 3}, WIDTH, seed))
    monkeypatch.setattr(demo, "write_parallel_settings", few_epochs)
    page = demo.run_demo(tmp_path, system="parallel")
    runs, said = tmp_path / "runs", capsys.readouterr().out
    assert page == tmp_path / "report_parallel" / "index.html" and "parallel" in page.read_text(encoding="utf-8")
    spans = [[[event["timestamp"] for event in events] for events in read_json(runs / path)["results"].values()]
             for path in ("parallel/predictions_val.json", "recall/predictions_val.parallel.json")]
    assert spans[0] == spans[1]
    assert {path.name for path in runs.rglob("metrics_*.json")} == {
        "metrics_val.json", "metrics_val.parallel.json", "metrics_val.val.json"}
    assert f"hicm predict {runs / 'recall'} --events {runs / 'parallel'}" in said
    assert demo.run_demo(tmp_path, system="parallel") == page, "again"


@pytest.mark.slow
def test_the_demo_trains_two_captioners_at_a_time_and_ends_with_a_report(tmp_path, monkeypatch, capsys):
    def few(folder, seed):
        path = make_dataset(folder, {"train": 8, "val": 3}, WIDTH, seed)
        save_config(load_config(path, ["train.epochs=1", "train.eval_every=1"]), path)
        return path

    monkeypatch.setattr(demo, "make_dataset", few)
    page = demo.run_demo(tmp_path)
    runs, said = tmp_path / "runs", capsys.readouterr().out
    assert page == tmp_path / "report" / "index.html"
    assert {path.parent.name for path in runs.rglob("metrics_val.json")} == {"none", "descend", "recall"}
    for name in ("none", "descend"):
        assert read_json(runs / name / "manifest.json")["device"].get("threads", 1) == 1
    assert all(f"\n{name}: " in said for name in ("none", "descend", "recall"))
    assert "hicm caption" in said and list((tmp_path / "captions").glob("*.html"))
    stamps = {path: path.stat().st_mtime_ns for path in runs.glob("*/best/model.safetensors")}
    assert len(stamps) == 2
    assert demo.run_demo(tmp_path) == page and {path: path.stat().st_mtime_ns for path in stamps} == stamps
