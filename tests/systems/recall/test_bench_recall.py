"""The benchmark: on a small made-up data set recall is better than every floor, and what it writes can be scored."""

import sys

from hicm.dvc_eval import evaluate
from tests.scripts import load_script
from tests.tiny import make_tiny


def test_recall_is_better_than_the_floors(tmp_path, monkeypatch, capsys):
    config = make_tiny(tmp_path, videos=30)
    bench = load_script("bench_recall")
    monkeypatch.setattr(bench, "METRICS", ("CIDEr", "F1"))
    monkeypatch.setattr(sys, "argv", ["bench_recall.py", str(config), "--metric", "CIDEr", "--videos", "10", "--out",
                                      str(tmp_path / "out")])
    bench.main()
    printed = capsys.readouterr().out
    rows = [line.strip("| ").split(" | ") for line in printed[printed.index("| x100"):].splitlines()[2:] if line]
    scores = {name: float(cider) for name, cider, *_ in rows}
    assert list(scores) == ["recall", "reference spans", "uniform cuts", "random captions",
                            "uniform cuts, random captions"]
    assert scores["recall"] > 2 * max(scores["uniform cuts"], scores["random captions"]) > 0
    again = evaluate(tmp_path / "out" / "predictions_recall.json", tmp_path / "data" / "val.json", metrics=["CIDEr"])
    assert round(100 * again.scores["CIDEr"], 2) == scores["recall"]
