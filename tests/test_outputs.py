"""Where a command is asked to write is tried first, and left as it was."""

import os
from pathlib import Path

import pytest

from hicm.errors import UserError
from hicm.files import atomic, read_text, require, sha256
from hicm.outputs import output_file, output_folder


@pytest.fixture
def places(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


FILES = {"": "expected a file to write to, found an empty name", ".": "it is a folder", "/": "it is a folder",
         "folder": "it is a folder", "pipe": "it is not a regular file", "file/x/y": "Not a directory",
         "n" * 300: "File name too long", "lost/x": "No such file"}
FOLDERS = {"": "expected a folder to write to, found an empty name", "file": "Not a directory",
           "file/x/y": "Not a directory", "pipe": "Not a directory", "lost": "No such file", "loop": "symbolic links",
           "n" * 300: "File name too long"}


@pytest.mark.parametrize(("check", "name", "said"), [
    *((output_file, *pair) for pair in FILES.items()), *((output_folder, *pair) for pair in FOLDERS.items())])
def test_what_cannot_be_written(places, monkeypatch, check, name, said):
    monkeypatch.chdir(places)
    before = sorted(places.rglob("*"))
    with pytest.raises(UserError, match=said) as error:
        check(name, "--there")
    assert "--there" in str(error.value)
    assert sorted(places.rglob("*")) == before and Path("file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where nobody can write")
def test_a_place_where_nobody_can_write():
    for check in (output_file, output_folder):
        with pytest.raises(UserError, match=r"/proc/new: cannot be written \(.*\); choose another --out"):
            check("/proc/new")


def test_nothing_is_made(places):
    for name in ("file", "new", "deep/new"):
        assert output_file(places / name) == places / name
    for name in (".", "folder", "deep/new"):
        assert output_folder(places / name) == places / name
    assert not (places / "deep").exists() and not (places / "new").exists() and not list((places / "folder").iterdir())


@pytest.mark.parametrize("use", [read_text, sha256, lambda path: require(path, "file", ""),
                                 lambda path: atomic(path).__enter__()])
def test_pipes_are_neither_read_nor_replaced(places, use):
    """To open one waits for whoever writes into it."""
    with pytest.raises(UserError, match=r"pipe: .*a named pipe"):
        use(places / "pipe")
    assert (places / "pipe").is_fifo()
