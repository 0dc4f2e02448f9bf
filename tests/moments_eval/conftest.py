"""What the tests of moments share."""

import json
import os
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def moments_golden(shared: Path) -> dict[str, Any]:
    """Scores of MESM's and Moment-DETR's own evaluation on made-up moments, or the file HICM_MESM_EVAL names."""
    path = Path(os.environ.get("HICM_MESM_EVAL") or shared / "golden" / "mesm_eval.json")
    if not path.is_file():
        pytest.skip(f"needs {path}, scores of MESM's own evaluation")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def qvhighlights(shared: Path) -> Path:
    """The folder of real predictions on QVHighlights val, with the scores that their authors published."""
    folder = shared / "real" / "predictions" / "qvhighlights"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}, real predictions on QVHighlights")
    return folder


@pytest.fixture(scope="session")
def annotated(shared: Path) -> Path:
    """The folder of real annotations."""
    folder = shared / "data"
    if not (folder / "charades").is_dir():
        pytest.skip(f"needs {folder}, real annotations")
    return folder
