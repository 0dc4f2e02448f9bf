"""Signals: the first ends a command in order or waits for the end of a block, the second ends it at once."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from hicm import verbs
from hicm.cli import main
from hicm.files import atomic
from hicm.interrupts import Interrupted, deferred, handled


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def heard():
    """No signal is ignored, also where the tests run under nohup."""
    ignored = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
               if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_in_order(monkeypatch, capsys, tmp_path, number):
    def command() -> None:
        with atomic(tmp_path / "out.json"):
            send(number)

    before = signal.getsignal(number)
    monkeypatch.setattr(verbs, "selftest", command)
    assert main(["selftest"]) == 128 + number
    by = {signal.SIGINT: "", signal.SIGTERM: " by SIGTERM", signal.SIGHUP: " by SIGHUP"}[number]
    assert capsys.readouterr().err == f"hicm: interrupted{by}; the same command continues\n"
    assert list(tmp_path.iterdir()) == [] and signal.getsignal(number) == before


def test_a_block_is_finished_first():
    done = []
    with pytest.raises(Interrupted) as raised, handled(), deferred() as signalled:
        assert not signalled()
        send(signal.SIGTERM)
        assert signalled() == signal.SIGTERM
        done.append("step")
    assert done == ["step"] and raised.value.number == signal.SIGTERM
    with deferred() as signalled:
        assert not signalled(), "the next command starts afresh"


def test_an_ignored_signal_stays_ignored():
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handled():
            send(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def stubborn(folder: Path) -> None:
    with handled(), deferred():
        (folder / "started").touch()
        time.sleep(60)


def test_the_second_signal_ends_at_once(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=stubborn, args=(tmp_path,))
    process.start()
    while not (tmp_path / "started").exists():
        time.sleep(0.005)
    process.terminate()
    process.join(0.3)
    assert process.is_alive()
    process.terminate()
    process.join(30)
    assert process.exitcode == -signal.SIGTERM


def test_forked_workers_leave_signals_to_their_parent():
    """Else each of them prints a traceback on Ctrl-C, and on the SIGTERM by which a pool ends them."""
    with handled():
        child = os.fork()
        if child == 0:
            found = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
            os._exit(0 if found == [signal.SIG_IGN, signal.SIG_DFL] else 1)
    assert os.waitpid(child, 0)[1] == 0
