"""The script that sets descending beside a flat search: its trees, and a row per search."""

import json
import sys

import numpy as np
import pytest

from tests.scripts import load_script


@pytest.fixture(scope="module")
def script():
    return load_script("bench_descent")


def test_the_halved_tree_is_balanced_and_nested(script):
    rng = np.random.default_rng(0)
    points = np.repeat(np.eye(4, dtype=np.float32), 75, axis=0) + 0.05 * rng.standard_normal((300, 4)).astype("f")
    points = points[rng.permutation(300)]
    labels = script.halved(points)
    assert [len(np.unique(column)) for column in labels.T] == [64, 16]
    assert all(np.ptp(np.bincount(column)) <= 1 for column in labels.T)
    bank = script.bank_of(points, labels).validate()
    for number, column in enumerate(labels.T, start=1):
        np.testing.assert_array_equal(bank.ancestors(number), column)
    means = [points[children].mean(axis=0) for children in bank.level(1).children]
    np.testing.assert_allclose(bank.level(1).embeddings, means, atol=1e-5)
    kinds = points.argmax(axis=1)  # a node's captions are alike
    assert np.mean([len(set(kinds[labels[:, 1] == node])) == 1 for node in range(16)]) > 0.7


@pytest.mark.parametrize(("option", "value", "least"), [("--captions", "24", 25), ("--finch", "9", 25),
                                                        ("--beams", "5", 10), ("--videos", "0", 1),
                                                        ("--repeat", "0", 1)])
def test_sizes_that_cannot_be_measured(script, monkeypatch, capsys, option, value, least):
    monkeypatch.setattr(sys, "argv", ["bench_descent.py", option, value])
    with pytest.raises(SystemExit):
        script.main()
    assert f"{option}: expected {least} or more, found {value}" in capsys.readouterr().err


def test_the_smallest_trees_can_be_measured(script):
    for tree in ("halved", "finch"):
        assert script.measure(script.FEWEST, tree, [script.KEPT], 1, 1)[1]["found"] >= 0


def test_a_row_per_search(script, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["bench_descent.py", "--captions", "300", "--finch", "200", "--beams", "10", "400",
                                      "--videos", "6", "--repeat", "2", "--json", str(tmp_path / "found.json")])
    script.main()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:3] for row in rows] == [[count, tree, search] for count, tree in (("200", "finch"), ("300", "halved"))
                                         for search in ("flat", "descend, beam 10", "descend, beam 400")]
    for row in json.loads((tmp_path / "found.json").read_text()):
        assert len(row["ms"]) == 2 and row["cosines"] >= row["captions"] * (row["search"] == "flat")
        assert row["found"] == 1 or row["search"] == "descend, beam 10"
