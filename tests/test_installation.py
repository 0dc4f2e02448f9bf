"""How scripts install hicm at their first call; see `tests.sandbox`."""

import os
import shutil

import pytest

from tests.sandbox import RECORD, STAND_IN, Sandbox

# stands for the system's Python: `-m venv` makes a .venv whose Python writes down what it is asked
PYTHON = RECORD + r"""
case "$*" in
    "-c "*) exit "${OLD:-0}" ;;
    --version) echo "Python 3.9.1" ;;
    "-m venv .venv") mkdir -p .venv/bin && cp "$INSIDE" .venv/bin/python && cp "$HICM" .venv/bin/hicm ;;
esac
"""
PIP = RECORD + r"""[ "$FAIL" = pip ] && exit 1
exit 0
"""


@pytest.fixture
def sandbox(tmp_path):
    return Sandbox(tmp_path)


@pytest.fixture
def bare(sandbox, tmp_path):
    """The sandbox without .venv, and the environment in which python3.11 is a stand-in."""
    shutil.rmtree(sandbox.folder / ".venv")
    sandbox.program(tmp_path / "bin" / "python3.11", PYTHON)
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
            "INSIDE": str(sandbox.program(tmp_path / "python-inside", PIP)),
            "HICM": str(sandbox.program(tmp_path / "hicm-inside", STAND_IN))}


INSTALL = [["python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"],
           ["python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-e", "."]]


def test_quickstart_installs_once(sandbox, bare):
    assert sandbox.run("quickstart.sh", **bare).returncode == 0
    made, *rest = [call for call in sandbox.calls if call[1] != "-c"]
    assert made == ["python3.11", "-m", "venv", ".venv"]
    assert rest == [*INSTALL, ["hicm", "demo"]]
    assert sandbox.run("quickstart.sh", **bare).returncode == 0
    assert sandbox.calls == [["hicm", "demo"]]
    assert sandbox.run("test.sh", **bare).returncode != 0, "there is no ruff here: nothing was installed again"
    os.utime(sandbox.folder / ".venv" / ".complete", (0, 0))
    (sandbox.folder / "requirements.txt").touch()
    assert sandbox.run("quickstart.sh", **bare).returncode == 0
    assert [call for call in sandbox.calls if call[0] == "python"] == INSTALL, "the pins changed"


def test_an_installation_that_fails_is_tried_again(sandbox, bare):
    assert sandbox.run("quickstart.sh", **bare, FAIL="pip").returncode != 0
    assert [call for call in sandbox.calls if call[0] == "python"] == INSTALL[:1]
    assert not (sandbox.folder / ".venv" / ".complete").exists()
    assert sandbox.run("quickstart.sh", **bare).returncode == 0 and sandbox.calls[-1] == ["hicm", "demo"]


def test_python_that_is_too_old(sandbox, bare):
    done = sandbox.run("quickstart.sh", **bare, OLD="1")
    assert done.returncode == 2
    assert done.stderr == ("hicm needs Python 3.11 or newer, found Python 3.9.1; set PYTHON=/path/to/python\n")
    assert not (sandbox.folder / ".venv").exists()
