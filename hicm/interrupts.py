"""Signals that end a command: Ctrl-C, SIGTERM (batch systems, containers) and SIGHUP (a closed terminal).

The first one raises `Interrupted`, or waits for the end of a `deferred` block; a second one ends the process at once.
Needs only the standard library.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import FrameType

NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
ECHO = 1.0  # seconds in which the same request may come twice, from a terminal and from the launcher (torchrun)


class Interrupted(KeyboardInterrupt):
    """A signal asks the command to end; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass
class _State:
    active: bool = False  # inside `handled`
    deferred: bool = False  # inside `deferred`
    first: int = 0  # the signal that came first; 0: none
    time: float = 0.0  # when, in seconds


_state = _State()


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Raise `Interrupted` in the block on a signal, unless it is ignored (nohup) or this is not the main thread.

    Processes forked in the block end at once on SIGTERM and ignore Ctrl-C: that is for their parent to handle.
    """
    if threading.current_thread() is not threading.main_thread() or _state.active:
        yield
        return
    before = {number: signal.getsignal(number) for number in NUMBERS}
    _state.active, _state.first = True, 0
    for number, handler in before.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, _received)
    try:
        yield
    finally:
        _state.active, _state.first = False, 0
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], int]]:
    """Let a signal wait for the end of the block, where it is raised; the argument tells which one has come, or 0."""
    _state.deferred = True
    try:
        yield lambda: _state.first
    finally:
        _state.deferred = False
    if _state.first:
        raise Interrupted(_state.first)


@contextlib.contextmanager
def blocked(numbers: Iterable[int] = (signal.SIGINT,)) -> Iterator[None]:
    """Block signals in the block, Ctrl-C (SIGINT) by default; this process receives them at the end.

    Processes and threads that are started in the block never receive them: their parent has to end them.  By themselves
    they would each print a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_parent(worker: int = 0) -> None:
    """In a worker process started while `NUMBERS` were `blocked`: it ends on SIGTERM only where its parent sends it.

    ``worker``: its index, which torch passes; not used.  A worker whose parent has died ends by itself (torch).
    """
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=_wait_for_parent, daemon=True).start()
    else:  # who sends a signal is not known; if none ended the worker, an error in it would keep its parent waiting
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _wait_for_parent() -> None:
    import multiprocessing

    parent = multiprocessing.parent_process()  # os.getppid() may be a server that forks (forkserver)
    while signal.sigwaitinfo(NUMBERS).si_pid != getattr(parent, "pid", None):
        pass
    os._exit(0)


def _received(number: int, frame: FrameType | None) -> None:
    if _state.first:
        if "LOCAL_RANK" not in os.environ or time.monotonic() - _state.time > ECHO:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        return
    _state.first, _state.time = number, time.monotonic()
    if not _state.deferred:
        raise Interrupted(number)


def _in_child() -> None:
    if _state.active:
        _state.active = False
        for number in NUMBERS:
            if signal.getsignal(number) is _received:
                signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
