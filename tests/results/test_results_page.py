"""The page of results: complete, up to date, and clear about what was recalled or never measured."""

from pathlib import Path

import pytest

from hicm.cli import main
from hicm.dvc_eval import PROTOCOLS
from hicm.errors import UserError
from hicm.moments_eval import PROTOCOLS as OF_MOMENTS
from hicm.results.page import results_page
from hicm.results.published import METRICS, benchmarks, find_benchmark
from hicm.results.record import Record, read_record, write_record

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_in_the_repository_is_what_the_command_writes(tmp_path):
    assert main(["results", *map(str, sorted((ROOT / "docs" / "results").glob("*.json"))), "--out",
                 str(tmp_path / "results.md")]) == 0
    assert (tmp_path / "results.md").read_text() == (ROOT / "docs" / "results.md").read_text()


def test_published_scores_are_complete():
    for name in ("yc2", "vitt"):
        benchmark = find_benchmark(name)
        assert benchmark.released.method == "HiCM2", name
        assert set(benchmark.tolerance) == set(METRICS) == set(benchmark.metrics)
    for name, benchmark in benchmarks().items():
        moments = benchmark.protocol in OF_MOMENTS
        assert (moments or benchmark.protocol in PROTOCOLS) and benchmark.command, name
        assert not moments or set(benchmark.metrics) <= set(OF_MOMENTS[benchmark.protocol].metrics), name
        for row in benchmark.published:
            assert row.source and row.scores, row
            assert set(row.recalled) <= set(row.scores) <= set(benchmark.metrics), row
    with pytest.raises(UserError, match="tacos: no published scores to compare with; known are yc2, vitt"):
        find_benchmark("tacos")
    with pytest.raises(UserError, match="mesm_tacos: no released weights are known; known are yc2, vitt"):
        find_benchmark("mesm_tacos")


def test_rows_of_moments_say_what_was_recalled():
    page = (ROOT / "docs" / "results.md").read_text()
    assert "| MESM | | *56.69* | *35.99* | | AAAI 2024" in page.replace("  ", " ")
    assert "| MESM |  | 52.66 |  | 46.38 | as printed" in page, "read in another paper"


RECORD = Record("yc2", "ours", "yc2-12345678", "p:x|v:1", 456, 1, {"CIDEr": 0.7012, "soda_c": 0.1},
                {"CIDEr": [0.6, 0.8]}, "2026-01-02T00:00:00", "0123456789abcdef", "hicm reproduce yc2")


def test_a_measured_row(tmp_path):
    page = results_page([RECORD])
    assert "| ours | 70.12 [60.00, 80.00] |  | 10.00 |  |  | 456, 1 missing | yc2-12345678, 2026-01-02 |" in page
    assert "1. `hicm reproduce yc2`, revision 0123456789ab; signature `p:x|v:1`" in page
    assert page.count("not yet: `") == len(benchmarks()) - 1
    assert read_record(write_record(RECORD, tmp_path / "r.json")) == RECORD


@pytest.mark.parametrize("content", ["[]", "{}", '{"dataset": "yc2"}', "no json"])
def test_files_that_are_not_a_record_are_refused(tmp_path, content):
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(UserError, match=r"r\.json: "):
        read_record(tmp_path / "r.json")
