"""What the evaluator's tests share."""

import json
import os
from pathlib import Path

import pytest
from golden_case import GoldenCase


@pytest.fixture(scope="session")
def protocols_golden(shared: Path) -> GoldenCase:
    """80 YouCook2 videos with scores of every toolkit, or the folder that HICM_DVC_GOLDEN names."""
    folder = Path(os.environ.get("HICM_DVC_GOLDEN") or shared / "golden" / "dvc_eval_protocols")
    references = sorted(folder.glob("references*.json"))
    assert references, f"{folder} holds no references*.json"
    return GoldenCase(folder / "predictions.json", references, json.loads((folder / "scores.json").read_text()))


@pytest.fixture(scope="session", params=["toolkits", "made_up"])
def any_golden(request: pytest.FixtureRequest, golden: Path) -> GoldenCase:
    """`protocols_golden`, then ten made-up videos with two annotators (tests/golden/make_dvc_protocols.py)."""
    if request.param == "toolkits":
        return request.getfixturevalue("protocols_golden")
    folder = golden / "dvc_eval"
    return GoldenCase(folder / "predictions.json", sorted(folder.glob("references*.json")),
                      json.loads((folder / "protocols.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def yc2_golden(shared: Path) -> GoldenCase:
    """All 457 YouCook2 validation videos with the scores of the vidchapters toolkit."""
    folder = shared / "golden" / "dvc_eval_yc2"
    return GoldenCase(folder / "predictions.json", [folder / "references.json"],
                      json.loads((folder / "reference_scores.json").read_text()))


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment without Java; returns the only folder on the path."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path / "bin"
