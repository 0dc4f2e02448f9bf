"""The scripts behind docs/scaling.md: each part at its smallest, and the arithmetic of the plan."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, ROOT / "scripts" / script, *arguments], capture_output=True, text=True,
                          check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("part", "sizes", "columns"), [
    ("hours", ("0.02", "0.04"), "recall, s | parallel, s"), ("speech", ("8", "16"), "encoding, s | decoding, s"),
    ("bank", ("100", "200"), "descend, s | flat, level 1, s | flat, captions, s"),
    ("videos", ("10", "20"), "reading, s | scoring, s")])
def test_a_curve_has_a_row_per_size_and_a_picture(tmp_path, part, sizes, columns):
    found = run("bench_scaling.py", part, "--sizes", *sizes, "--picture", str(tmp_path / "curves.png"))
    assert found.returncode == 0, found.stderr
    head, _, *rows = found.stdout.strip().splitlines()
    assert columns in head
    assert [row.split("|")[1].strip() for row in rows] == [*sizes, "exponent at the end"]
    assert (tmp_path / "curves.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_plan_is_proportional_to_the_videos():
    def hours(*arguments: str) -> dict[str, float]:
        lines = run("plan_scaling.py", *arguments).stdout.split("\n\n")[0].splitlines()[2:]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        return {cell[0]: float(cell[3].split()[0].replace(",", "")) for cell in cells}

    one, ten = hours("--videos", "1e6"), hours("--videos", "1e7")
    for stage in ("read frames", "encode frames", "transcribe", "train", "caption"):
        assert ten[stage] == pytest.approx(10 * one[stage], rel=0.01)
    assert ten["cluster"] == one["cluster"]  # that is the bank's


def test_nonsense_is_refused():
    assert "expected positive numbers" in run("plan_scaling.py", "--videos", "-1").stderr
    assert "no part weeks" in run("bench_scaling.py", "weeks").stderr
