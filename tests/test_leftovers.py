"""What a killed writer leaves is removed by the next one; folders are written whole; full disks leave nothing."""

import os
import resource
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from hicm.errors import UserError
from hicm.files import atomic, atomic_folder, read_json, write_json
from hicm.new_hdf5 import new_hdf5
from tests.test_files import alone, old, refused

__all__ = ["old"]


def abandon(path: Path, folder: bool = False) -> Path:
    """A temporary file or folder of a process that is killed while it writes."""
    if (child := os.fork()) == 0:
        with (atomic_folder if folder else atomic)(path) as temporary:
            (temporary / "half" if folder else temporary).write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    left, = (entry for entry in path.parent.iterdir() if entry != path)
    return left


def test_the_next_writer_removes_what_a_killed_one_left(old):
    left = abandon(old)
    others = [old.with_name(name) for name in (".scores.json.part", ".scores.jsonl.tmp-1", "scores.json.tmp-1")]
    for other in others:
        other.touch()
    assert old.read_text() == "old" and left.exists()
    write_json(old, "new")
    assert not left.exists() and all(other.exists() for other in others)


def test_what_is_being_written_is_left_alone(old):
    with atomic(old) as first:
        first.write_text("first")
        with atomic(old) as second:
            second.write_text("second")
        assert old.read_text() == "second" and first.read_text() == "first"
    assert old.read_text() == "first" and alone(old)


def test_a_folder_is_whole_or_not_there(tmp_path):
    path = tmp_path / "tokenizer"
    with pytest.raises(ZeroDivisionError), atomic_folder(path) as folder:
        (folder / "a").write_text("a")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(path) as folder:
        (folder / "a").write_text("a")
        assert not path.exists()
    left = abandon(path, folder=True)
    assert (path / "a").read_text() == "a" and left.is_dir()
    with atomic_folder(path) as folder:
        (folder / "b").write_text("b")
    assert [entry.name for entry in path.iterdir()] == ["b"] and alone(path)
    (tmp_path / "usual").mkdir()
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_full_disk_leaves_no_half_folder(tmp_path):
    """Whatever the library that writes there raises."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with refused(f"{tmp_path}/tokenizer: cannot be written .File too large"), \
                atomic_folder(tmp_path / "tokenizer") as folder, open(folder / "x", "wb", buffering=0) as stream:
            stream.write(bytes(2000))
            raise Exception("a library of its own opinion")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_half_a_character_is_written_and_read_again(tmp_path):
    content = {"vid\ud83d": "chop it \ud83d", "other": "é"}
    assert read_json(write_json(tmp_path / "x.json", content)) == content
    assert "é" in write_json(tmp_path / "y.json", {"other": "é"}).read_text(encoding="utf-8")


@pytest.mark.parametrize("size", [0, 100, 2000, 7000, 40000])
def test_a_full_disk_under_hdf5(old, size):
    """HDF5 ends the process where it cannot write on closing, so another process tries it."""
    if (child := os.fork()) == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            with new_hdf5(old) as (file, check):
                for number in range(20):
                    file.create_dataset(f"video{number}", data=np.ones((20, 30), np.float32))
                    if number == 10:
                        check()
        except UserError as error:
            os._exit(0 if "cannot be written (File too large)" in str(error) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert old.read_text() == "old" and alone(old)


def test_hdf5_is_written_as_usual(old):
    with new_hdf5(old) as (file, check):
        file["x"] = np.arange(10_000.0)
        file.attrs["info"] = "y"
        check()
    with h5py.File(old) as file:
        np.testing.assert_array_equal(file["x"][()], np.arange(10_000.0))
        assert file.attrs["info"] == "y"
