"""The notebooks of examples/: their cells run in order with the light installation and print what the text says.

What a cell prints is stated by the fenced ``text`` block of the markdown cell below it: each of its lines must stand
in a line of the output, whatever the spacing.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))

# of hicm[all], but not of hicm[eval,map]
ABSENT = ("torch", "torchvision", "transformers", "accelerate", "safetensors", "sentencepiece", "tokenizers",
          "open_clip", "tensorboard", "h5py", "openai", "huggingface_hub")

# Runs the cells of standard input in one namespace; prints a json list of what each of them printed.
RUN = """
import contextlib, io, json, sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))  # importing one of these fails
printed, names = [], {"__name__": "__main__"}
for number, cell in enumerate(json.load(sys.stdin)):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(cell, f"cell {number}", "exec"), names)
    printed.append(out.getvalue())
print(json.dumps(printed))
"""


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def stated(text: str) -> list[str]:
    """The lines that a markdown cell says were printed, spaces joined."""
    blocks = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [" ".join(line.split()) for block in blocks for line in block.splitlines()]


def unprinted(lines: list[str], output: str) -> list[str]:
    found = [" ".join(line.split()) for line in output.splitlines()]
    return [line for line in lines if not any(line in one for one in found)]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_its_text_says(notebook, tmp_path):
    cells = read_cells(notebook)
    code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    done = subprocess.run([sys.executable, "-c", RUN, *ABSENT], input=json.dumps(code), cwd=tmp_path, text=True,
                          capture_output=True, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    printed = iter(json.loads(done.stdout))
    checked, output = 0, ""
    for cell in cells:
        if cell["cell_type"] == "code":
            output = next(printed)
            continue
        assert unprinted(stated(cell["source"]), output) == []
        checked += bool(stated(cell["source"]))
    assert checked == len(code), "the text says of every cell what it prints"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(notebook):
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in content["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in content["cells"]:
        assert cell["cell_type"] in ("markdown", "code") and isinstance(cell["metadata"], dict)
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None


def test_a_planted_claim_is_seen():
    text = "It prints\n\n```text\na 1.00\nb\n```\n\nand\n\n```python\nc\n```\n"
    assert stated(text) == ["a 1.00", "b"]
    assert unprinted(stated(text), "x a   1.00 y\n") == ["b"]


def test_there_is_a_notebook():
    assert [path.stem for path in NOTEBOOKS] == ["first_steps"]
