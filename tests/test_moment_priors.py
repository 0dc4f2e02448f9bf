"""The floor of the benchmarks of moments, its table, and annotations as dense captions."""

import json
import re

import numpy as np
import pytest

from hicm.errors import UserError
from hicm.files import write_json
from hicm.moments.records import Annotations, Query
from hicm.moments_eval import evaluate
from tests.scripts import load_script


@pytest.fixture(scope="module")
def priors():
    return load_script("moment_priors")


@pytest.fixture(scope="module")
def tables():
    return load_script("tabulate_moments")


def query(name, duration, *windows):
    return Query(name, f"sentence {name}", f"video {name}", duration, np.array(windows, np.float64).reshape(-1, 2))


def dense(path, **videos):
    """An annotation file; of each video its duration, and spans."""
    write_json(path, {name: {"duration": duration, "timestamps": spans, "sentences": ["x"] * len(spans)}
                      for name, (duration, *spans) in videos.items()})
    return str(path)


# the windows

def test_all_windows_of_the_grid(priors):
    assert priors.grid(2).tolist() == [[0, 0.5], [0, 1], [0.5, 1]]


def test_each_query_counts_by_the_moment_that_fits_best(priors):
    found = Annotations((query("a", 10.0, [0, 5], [5, 10]), query("b", 20.0), query("c", 40.0, [10, 30])), "x")
    fits = priors.overlaps(np.array([[0, 0.5], [0, 1]]), found)
    np.testing.assert_allclose(fits, [[1, 0.25 / 0.75], [0.5, 0.5]])


def test_moments_are_needed(priors):
    with pytest.raises(UserError, match="no moments"):
        priors.overlaps(priors.grid(2), Annotations((query("a", 10.0),), "x"))


def test_the_first_window_reaches_most_queries_and_the_next_ones_the_rest(priors):
    fits = np.array([[0.5, 0.5, 0.4, 0.0],   # two queries
                     [0.9, 0.2, 0.4, 0.0],   # one of them
                     [0.0, 0.9, 0.9, 0.0],   # two, and better
                     [0.0, 0.0, 0.0, 0.6]])
    assert priors.choose_windows(np.zeros((4, 2)), fits, 0.5, 10) == [2, 1, 3, 0]
    assert priors.choose_windows(np.zeros((4, 2)), fits, 0.9, 2) == [2, 1]


# the file

def test_learnt_from_the_training_annotations_and_scored(priors, tmp_path, capsys):
    train = dense(tmp_path / "train.json", a=(10, [0, 5]), b=(100, [2, 49], [80, 100]), c=(40, [0, 19]))
    test = dense(tmp_path / "test.json", d=(30, [0, 15], [24, 30]))
    out = tmp_path / "prior.json"
    asked = [train, "--for", test, "--out", str(out), "--windows", "2"]
    assert priors.main(asked) == 0 and "an IoU of 0.5 or more: 75.00 %" in capsys.readouterr().out
    assert json.loads(out.read_text())["made_by"]["windows"] == [[0, 0.5], [0.8, 1]]
    scores = evaluate(str(out), test, "charades").scores
    assert scores["R1@0.5"] == 0.5 and scores["mAP@0.5"] == 0.75
    assert priors.main(asked) == 0, "the same again is fine"
    assert priors.main([*asked[:-1], "3"]) == 2 and "holds other predictions" in capsys.readouterr().err
    assert priors.main([*asked[:-1], "3", "--overwrite"]) == 0
    assert len(json.loads(out.read_text())["results"]["d"][0]["windows"]) == 3


def test_the_whole_video(priors, tmp_path):
    test, out = dense(tmp_path / "test.json", d=(30, [0, 15], [24, 30])), tmp_path / "whole.json"
    assert priors.main(["--whole", "--for", test, "--out", str(out)]) == 0
    assert evaluate(str(out), test, "charades").scores["mIoU"] == pytest.approx((0.5 + 0.2) / 2)


def test_durations_are_needed(priors, tmp_path, capsys):
    (tmp_path / "sta.txt").write_text("AMT7R 24.3 30.4##person turn a light on.\n")
    assert priors.main(["--whole", "--for", str(tmp_path / "sta.txt"), "--out", str(tmp_path / "o.json")]) == 2
    assert "AMT7R: its duration is not known" in capsys.readouterr().err and not (tmp_path / "o.json").exists()


@pytest.mark.parametrize("words", [[], ["train.json", "--whole"], ["train.json", "--iou", "0"],
                                   ["train.json", "--windows", "0"]])
def test_what_cannot_be_asked(priors, words):
    with pytest.raises(SystemExit):
        priors.main([*words, "--for", "test.json", "--out", "o.json"])


# annotations as dense captions

def test_dense_captions_have_cleaned_times(tmp_path, capsys):
    script = load_script("as_dense")
    (tmp_path / "sta.txt").write_text("AMT7R 24.3 99##a light goes on.\nAMT7R 2 1##she sits.\n")
    (tmp_path / "table.csv").write_text("id,subject,scene,quality,relevance,verified,script,objects,descriptions,"
                                        "actions,length\nAMT7R,,,,,,,,,,30.5\n")
    files, out = [str(tmp_path / "sta.txt"), str(tmp_path / "table.csv")], tmp_path / "dense.json"
    assert script.main([*files, "--out", str(out)]) == 0 and "ends cut" in capsys.readouterr().err
    assert json.loads(out.read_text()) == {"AMT7R": {
        "duration": 30.5, "timestamps": [[24.3, 30.5], [1, 2]], "sentences": ["a light goes on.", "she sits."]}}
    assert script.main([*files, "--out", str(out)]) == 2 and "exists; choose another" in capsys.readouterr().err
    assert script.main([files[0], "--out", str(tmp_path / "o.json")]) == 2 and "no duration" in capsys.readouterr().err
    with pytest.raises(UserError, match="query q: its video has no name"):
        script.as_dense([Query("q", "x", "", 5.0, np.zeros((0, 2)))])


def test_sentences_are_exchanged_between_videos():
    script = load_script("as_dense")
    queries = [Query(str(place), f"{video}{place}", video, 9.0, np.array([[place, 9.0]]))
               for place, video in enumerate("aaab")]
    found = script.as_dense(script.exchanged(queries))
    assert found["a"]["sentences"] == ["b3", "b3", "b3"] and found["b"]["sentences"] == ["a1"]
    assert found["a"]["timestamps"] == [[0, 9], [1, 9], [2, 9]], "times are those of the queries"
    with pytest.raises(UserError, match="all queries are about one video"):
        script.exchanged(queries[:3])


# the table

def scores(path, value, **changes):
    path.parent.mkdir(exist_ok=True)
    write_json(path, {"task": "moments", "protocol": "charades", "references": {"test.txt": "abc"},
                      "coverage": {"queries": 3720},
                      "scores": dict.fromkeys(("R1@0.3", "R1@0.5", "R1@0.7", "mIoU", "mAP"), value)} | changes)
    return str(path)


def test_a_table_of_means_and_seeds(tables, tmp_path):
    one, two = (scores(tmp_path / f"run{seed}" / "metrics_test.json", value) for seed, value in ((1, 0.5), (2, 0.6)))
    write_json(tmp_path / "run1" / "manifest.json", {"started": "2026-12-01T10:00:00+00:00",
                                                     "finished": "2026-12-01T10:07:00+00:00"})
    floor = scores(tmp_path / "floor.json", 0.25, references={"other/name.txt": "abc"})
    page = tmp_path / "page.md"
    page.write_text("# x\n<!-- generated: p -->\n<!-- end of generated: p -->\n")
    assert tables.main([f"floor={floor}", f"MESM={one},{two}", "--out", str(tmp_path / "t.md"),
                        "--command", "bash x.sh", "--docs", str(page), "--part", "p"]) == 0
    text = (tmp_path / "t.md").read_text()
    assert "| MESM | 55.00 (50.00, 60.00) |" in text and "| floor | 25.00 |" in text
    assert "`bash x.sh`; protocol `charades`, 3,720 queries; 2026-12-01; " in text
    assert "; 7 minutes per training." in text and text.strip() in page.read_text()


@pytest.mark.parametrize(("changes", "message"), [
    ({"protocol": "tacos"}, "protocol tacos, but .* has charades"), ({"task": "dvc"}, "expected scores of moments"),
    ({"references": {"test.txt": "abd"}}, "references"), ({"coverage": {"queries": 4}}, "queries 4"),
    ({"scores": {"mIoU": 1}}, "lack R1@0.3, R1@0.5, R1@0.7, mAP")])
def test_scores_that_cannot_be_compared(tables, tmp_path, capsys, changes, message):
    first, other = scores(tmp_path / "a.json", 0.5), scores(tmp_path / "b.json", 0.5, **changes)
    assert tables.main([f"a={first}", f"b={other}", "--out", str(tmp_path / "t.md")]) == 2
    assert re.search(rf"b\.json: .*{message}", capsys.readouterr().err) and not (tmp_path / "t.md").exists()


def test_what_is_no_table(tables, tmp_path, capsys):
    assert tables.main(["a", "--out", str(tmp_path / "t.md")]) == 2
    assert "a: expected NAME=SCORES" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tables.main(["a=b", "--out", "t.md", "--docs", "page.md"])
