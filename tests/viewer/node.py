"""Runs the viewer's scripts in node, where it is installed."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hicm.viewer import page


def node() -> str:
    """The program, or a skipped test."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs node, which runs the scripts of the viewer")
    return found


def run(code: str, given: Any, folder: Path) -> Any:
    """What the function ``code`` returns for ``given``, after the viewer's scripts; both ways as json."""
    program = folder / "program.js"
    program.write_text(f"{page.script()}\nconst given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n"
                       f"process.stdout.write(JSON.stringify(({code})(given)));\n", encoding="utf-8")
    done = subprocess.run([node(), str(program)], input=json.dumps(given), capture_output=True, text=True,
                          encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
