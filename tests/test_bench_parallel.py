"""The benchmark of the parallel system: what it refuses and what it prints without the public code."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "scripts/bench_parallel.py", *arguments], cwd=ROOT, capture_output=True,
                          text=True, check=False)


@pytest.mark.slow
def test_ours_alone():
    done = run("--videos", "2", "--few", "2", "--batch", "2", "--repeat", "1")
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert rows == ["prediction, ours, 2 at once", "prediction, ours, 1 at once",
                    "every query captioned, ours, 2 at once", "memory, ours, 1 at once", "training, ours, 1 at once",
                    "training, ours, 2 at once"]


@pytest.mark.slow
def test_a_folder_without_the_public_code_is_refused(tmp_path):
    done = run("--reference", str(tmp_path))
    assert done.returncode == 2 and f"{tmp_path}: not the public code of CM2" in done.stderr
