"""No damaged file ends a process, keeps it for ever, fills the memory or raises anything but one line."""

import ctypes
import itertools

import pytest

from hicm.errors import UserError
from tests.fuzz.reader import Reader
from tests.fuzz.readers import READERS
from tests.fuzz.run import fuzz


@pytest.mark.parametrize("name", [name for name, reader in READERS.items() if not reader.slow])
def test_some_damaged_files(name, tmp_path):
    outcome = fuzz(READERS[name], tmp_path, seed=0, count=200)
    assert not outcome.wrong
    assert outcome.counts["refused"] > 50 and outcome.counts.total() == 200


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_thousands_of_damaged_files(name, tmp_path):
    outcome = fuzz(READERS[name], tmp_path, seed=1, count=10_000)
    print(f"{name}: {dict(outcome.counts)}, at most {outcome.peak >> 20} MiB")
    assert not outcome.wrong


def take_memory():
    return bytearray(2 << 30)


def hide_it():
    try:
        take_memory()
    except MemoryError as error:
        raise UserError("damaged") from error


def raise_lines():
    error = UserError("x")
    error.args = ("two\nlines",)
    raise error


@pytest.mark.parametrize(("planted", "says"), [
    (lambda: ctypes.string_at(0), "segmentation fault"),
    (lambda: sum(1 for _ in itertools.count()), "no end"),
    (take_memory, "MemoryError"), (hide_it, "wanted more than 1024 MiB: damaged"),
    (lambda: {}["x"], "KeyError"), (raise_lines, "not one line")])
def test_a_planted_mistake_is_found(tmp_path, monkeypatch, planted, says):
    """In a reader that fails on damaged files; the file is kept."""
    def read(file):
        if file.read_bytes() != b"sound":
            planted()

    monkeypatch.setattr("tests.fuzz.run.PATIENCE", 0.5)
    outcome = fuzz(Reader("x.txt", lambda folder: [b"sound"], read), tmp_path, seed=0, count=1)
    assert outcome.counts.total() == 1 and len(outcome.wrong) == 1
    assert outcome.wrong[0].startswith("file 0: ") and says in outcome.wrong[0]
    assert (tmp_path / "wrong_0").read_bytes() != b"sound"
