"""Comparisons of a few videos: no intervals, no p values, and why."""

import numpy as np
import pytest
from test_significance import mean_of, system

from hicm.evaluation.measures import mean_measure
from hicm.evaluation.significance import compare


@pytest.mark.parametrize("videos", range(1, 9))
@pytest.mark.parametrize("better", [0.0, 0.1], ids=["equal", "better"])
def test_too_few_videos_are_no_test(videos, better):
    """Five videos that are all better: 2 / 2^5 > 0.05.  Equal systems of enough videos have p = 1, as they should."""
    values = np.random.default_rng(3).random(videos)
    found = compare({"a": system(mean_of(values)), "b": system(mean_of(values + better))}, samples=2000)
    row, cells = found.rows[0], str(found).splitlines()[2].split()
    if videos < 6:
        assert (row.interval, row.bootstrap_p, row.randomisation_p) == (None, None, None)
        assert cells.count("n/a") == 3 and "warning: n/a: intervals and p values need at least 6" in str(found)
        assert found.to_markdown().count("| n/a |") and found.to_json()["comparisons"][0]["interval"] is None
    else:
        assert "n/a" not in str(found) and row.interval is not None
        assert (row.bootstrap_p == row.randomisation_p == 1) == (not better)
        assert row.randomisation_p > 0.8 * 2 / 2**videos


def test_videos_that_a_metric_leaves_out_are_not_counted():
    """Of eight videos three have a score by the second metric; what is not tested is not adjusted."""
    some = np.arange(8) < 3
    whole, part = np.random.default_rng(4).random((2, 3, 8))
    systems = {name: system(mean_of(whole[at]), mean_measure("soda_c", np.where(some, part[at], 0)[:, None],
                                                             some.astype(float)[:, None]))
               for at, name in enumerate("abc")}
    found = compare(systems, samples=50)
    assert {row.metric for row in found.rows if row.bootstrap_p is None} == {"soda_c"}
    assert all((row.bootstrap_p_holm is None) == (row.metric == "soda_c") for row in found.rows)
    assert found.warnings[0].startswith("soda_c: n/a: intervals")
    assert len({len(line.split("|")) for line in found.to_markdown().splitlines()[:8]}) == 1
