"""Locks: two holders never, readers together, and nothing of a killed holder stands in the way."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from hicm import locks
from hicm.errors import UserError
from hicm.locks import holding, is_held


def hold(path: Path) -> None:
    with holding(path, "hicm train"):
        path.with_name("started").touch()
        time.sleep(60)


def test_the_second_one_is_told_who_holds_it(tmp_path):
    with holding(tmp_path / ".lock", "hicm train"), pytest.raises(UserError) as refused, \
            holding(tmp_path / ".lock", "hicm train"):
        pass
    assert str(refused.value).startswith(f"{tmp_path}: in use by hicm train (process {os.getpid()} on ")
    with holding(tmp_path / ".p.json.lock", "hicm predict"), \
            pytest.raises(UserError, match=f"{tmp_path}/p.json: in use by hicm predict"), \
            holding(tmp_path / ".p.json.lock", "hicm predict"):
        pass
    assert list(tmp_path.iterdir()) == [], "locks are removed"


def test_new_folders_that_stay_empty_are_removed(tmp_path):
    with holding(tmp_path / "a" / "b" / ".lock", "x"):
        assert is_held(tmp_path / "a" / "b" / ".lock")
    assert list(tmp_path.iterdir()) == [] and not is_held(tmp_path / "a" / "b" / ".lock")
    with holding(tmp_path / "a" / "b" / ".lock", "x"):
        (tmp_path / "a" / "b" / "kept").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b", "kept"]


def test_readers_keep_out_writers_only(tmp_path):
    lock = tmp_path / ".lock"
    with holding(lock, "first", shared=True):
        with holding(lock, "second", shared=True):
            pass
        assert lock.exists()
        with pytest.raises(UserError, match="in use by second"), holding(lock, "hicm train"):
            pass
    assert not lock.exists()
    with holding(lock, "hicm train"), pytest.raises(UserError, match="in use by hicm train"), \
            holding(lock, "reader", shared=True):
        pass


def test_a_killed_holder_is_no_holder(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path / ".lock",))
    process.start()
    until = time.monotonic() + 60
    while not (tmp_path / "started").exists() and time.monotonic() < until:
        time.sleep(0.005)
    with pytest.raises(UserError, match=rf"in use by hicm train \(process {process.pid} on "), \
            holding(tmp_path / ".lock", "hicm train"):
        pass
    process.kill()
    process.join()
    assert (tmp_path / ".lock").read_text().startswith("hicm train")
    with holding(tmp_path / ".lock", "hicm train"):
        pass
    assert not (tmp_path / ".lock").exists()


def test_a_forked_process_does_not_hold_on(tmp_path):
    """As a worker that loads data and outlives its parent for a moment."""
    with holding(tmp_path / ".lock", "hicm train"):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    try:
        with holding(tmp_path / ".lock", "hicm train"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_waiting_for_the_other(tmp_path):
    with holding(tmp_path / ".lock", "x", wait=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_locks_warns(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "lock", lambda *_, **__: None)
    with pytest.warns(UserWarning, match=f"{tmp_path}: this file system has no locks"), \
            holding(tmp_path / ".lock", "x"):
        pass


def test_a_reader_of_a_folder_that_it_may_not_write_to(tmp_path, monkeypatch):
    """It finds no lock file and can make none; root could, so the refusal is put in place."""
    real = os.open

    def refuse(path, flags, *more):
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    with holding(tmp_path / ".lock", "hicm predict", shared=True):
        pass
    with pytest.raises(UserError, match=f"{tmp_path}: cannot be written .Permission denied"), \
            holding(tmp_path / ".lock", "hicm train"):
        pass
