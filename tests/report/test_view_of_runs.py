"""hicm view of run folders: their predictions, references and what was recalled, as the report shows them."""

import re

import pytest

from hicm.cli import main
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.stages.view import view
from tests.viewer.pages import views_in


def test_runs_are_lanes_beside_their_references(world, runs, tmp_path):
    page = tmp_path / "page.html"
    assert view([str(run) for run in runs], out=str(page)) == f"{page}: 7 videos"
    views = views_in(page.read_text(encoding="utf-8"))
    references = read_json(world / "data" / "val.json")
    assert [one["id"] for one in views] == list(references)
    for one in views:
        first, *systems = one["lanes"]
        assert (first["name"], first["kind"]) == ("reference", "reference")
        assert [event["text"] for event in first["events"]] == references[one["id"]]["sentences"]
        assert [lane["name"] for lane in systems] == ["none", "descend"]
        assert one["duration"] == references[one["id"]]["duration"]
        assert not systems[0]["recalled"] and len(systems[1]["recalled"]) >= 5
        assert one["made_by"]["descend"] == {"run": "demo-11111111", "split": "val",
                                             "checkpoint": {"name": "best", "step": 20}}


def test_one_run_and_a_split(runs, capsys):
    assert main(["view", str(runs[1]), "--videos", "nope"]) == 2
    assert "--videos nope: not among the predictions" in capsys.readouterr().err
    assert main(["view", str(runs[1])]) == 0
    first, *_ = views_in((runs[1] / "view.html").read_text(encoding="utf-8"))
    assert [lane["name"] for lane in first["lanes"]] == ["reference", "descend"]
    assert main(["view", str(runs[1]), "--split", "train"]) == 2
    assert re.search(r"no predictions of split train to show .*hicm predict", capsys.readouterr().err)


def test_predictions_with_times_that_are_no_numbers(runs, tmp_path):
    content = read_json(runs[0] / "predictions_val.json")
    next(iter(content["results"].values()))[0]["timestamp"] = [0, float("nan")]
    write_json(runs[0] / "predictions_val.json", content)
    with pytest.raises(UserError, match=r"no predictions of split val to show .*event 1: expected .*predict again"):
        view([str(runs[0])], out=str(tmp_path / "page.html"))
