"""Runs of the recall system: hicm view and hicm report show for each event where in the memory its caption stands."""

import shutil
from pathlib import Path

import pytest

from hicm import verbs
from hicm.files import read_json, write_json
from hicm.report import page
from hicm.stages.view import view
from tests.tiny import make_tiny
from tests.viewer.pages import views_in


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of the recall system with predictions; read only."""
    config = make_tiny(tmp_path_factory.mktemp("tiny"), videos=4, system="recall")
    run = verbs.train(str(config), out=str(tmp_path_factory.mktemp("run") / "mine"))
    verbs.predict(str(run))
    return run


@pytest.fixture
def run(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "mine"))


def quoted(lane):
    """Times, text and cosine of the caption at the end of each path."""
    found = []
    for part in lane["recalled"]:
        [node] = part["nodes"]
        while node["below"]:
            [node] = node["below"]
        found.append((part["start"], part["end"], node["text"], node["score"]))
    return found


def check(views, run):
    """Every event of the run is quoted on the page; returns how many there are."""
    results = read_json(run / "predictions_val.json")["results"]
    count = 0
    for one in views:
        [lane] = [lane for lane in one["lanes"] if lane["kind"] == "prediction"]
        events = results[one["id"]]
        assert quoted(lane) == [(*event["timestamp"], event["sentence"], event["score"]) for event in events]
        assert all(part["nodes"][0]["level"] > 0 for part in lane["recalled"]), "the path begins at the top"
        count += len(lane["recalled"])
    return count


def test_view(run, tmp_path):
    view([str(run)], out=str(tmp_path / "page.html"))
    assert check(views_in((tmp_path / "page.html").read_text(encoding="utf-8")), run) > 0


def test_view_without_references(run, tmp_path):
    """The durations of the videos are not known then, and not needed."""
    config = (run / "config.yaml").read_text().replace("val.json", "gone.json")
    (run / "config.yaml").write_text(config)
    view([str(run)], out=str(tmp_path / "page.html"))
    assert check(views_in((tmp_path / "page.html").read_text(encoding="utf-8")), run) > 0


def test_report(run, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "save", lambda figure, path, about: b"")
    verbs.report([str(run)], out=str(tmp_path / "report"))
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert check(views_in(text), run) > 0
    assert "Quoted from memory, for each event" in text and "for each window of the video" not in text


def test_another_bank(run, tmp_path, capsys):
    """Its captions would stand elsewhere."""
    content = read_json(run / "predictions_val.json")
    content["decided_by"]["inputs"]["memory bank"] = "0" * 64
    write_json(run / "predictions_val.json", content)
    view([str(run)], out=str(tmp_path / "page.html"))
    assert "is not the memory bank that the predictions quote" in capsys.readouterr().err
    [*views] = views_in((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert not any(lane["recalled"] for one in views for lane in one["lanes"])
