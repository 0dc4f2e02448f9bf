"""Processes on this machine; one worker is this process itself.

Each worker takes one video after the other.  One that dies (out of memory, a decoder that crashes) costs the video it
was working on, and is replaced.  The cores are shared out among the workers; CUDA devices are dealt out in turn.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path

from hicm.errors import UserError
from hicm.executors import Heard, Job, Loaded, Outcome, attempt_in_worker, died, here, repeat
from hicm.interrupts import Interrupted, handled
from hicm.quiet import quiet_libraries

CONTEXT = multiprocessing.get_context("spawn")  # CUDA and the threads of torch do not survive a fork
PATIENCE = 5.0  # seconds in which a worker that is told to end can do so


def run(job: Job, videos: Sequence[Path], workers: int) -> Generator[Outcome, None, None]:
    """One outcome per video.

    Raises UserError when the job cannot be loaded, or when all workers die while they load it.
    """
    if workers == 1:
        yield from here(job, videos)
        return
    todo = deque(videos)
    count = min(workers, len(todo))
    known: set[object] = set()  # what workers said while they loaded the job: all say the same
    crew: list[_Worker] = []
    try:
        for number in range(count):
            crew.append(_Worker(job, number, count))
        while todo or any(worker.video for worker in crew):
            for worker in _ready(crew):
                message = worker.receive()
                if isinstance(message, UserError):
                    raise message
                if message is None:  # dead
                    crew.remove(worker)
                    how = worker.end()
                    if worker.video is None:
                        _one_fewer(len(crew), how)
                        continue
                    message = died(worker.video, how)
                    if todo:
                        crew.append(_Worker(job, worker.number, count))
                elif todo:
                    worker.take(todo.popleft())
                else:
                    worker.video = None
                if isinstance(message, Outcome):
                    yield message
                else:
                    repeat(message, known=known)
    finally:
        for worker in crew:
            worker.process.terminate()
        for worker in crew:
            worker.end()


class _Worker:
    """A process that works on ``video``; None: it is loading the job, or there is nothing left to do.

    It says what it heard while it loaded, or why it cannot be loaded, and then the outcome of each video.
    """

    def __init__(self, job: Job, number: int, count: int) -> None:
        self.number = number
        self.video: Path | None = None
        self.pipe, there = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_serve, args=(there, number, count))
        with _deaf_to_interrupts():
            self.process.start()
        there.close()
        self._send(job)

    def take(self, video: Path) -> None:
        self.video = video
        self._send(video)

    def receive(self) -> Outcome | Heard | UserError | None:
        """What the process says; None: it is dead."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """End the process, which may be dead already; returns how it died."""
        self.pipe.close()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        status = self.process.exitcode or 0
        if status >= 0:
            return f"exit status {status}"
        lack = ", often for lack of memory: fewer --workers need less" if -status == signal.SIGKILL else ""
        return f"{signal.Signals(-status).name}{lack}"

    def _send(self, message: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # it is dead, which `receive` tells
            self.pipe.send(message)


def _ready(crew: Sequence[_Worker]) -> list[_Worker]:
    """The workers that have said something or died; waits until there is one."""
    pipes = wait([worker.pipe for worker in crew])
    return [worker for worker in crew if worker.pipe in pipes]


def _one_fewer(left: int, how: str) -> None:
    """Warn of a worker that died while it loaded the job; UserError where none is ``left``."""
    if not left:
        raise UserError(f"--workers: all died while they loaded the models ({how}); see the reason with --workers 1")
    warnings.warn(f"a worker died while it loaded the models ({how}); {left} go on", stacklevel=3)


def _serve(pipe: Connection, number: int, count: int) -> None:
    """A worker's life: load the job, then work on every video that comes."""
    _take_share(number, count)
    quiet_libraries()
    with contextlib.suppress(Interrupted, EOFError, BrokenPipeError), handled():
        threading.Thread(target=_end_with_parent, daemon=True).start()
        loaded = Loaded(pipe.recv())  # which imports torch, whose threads are decided by now
        pipe.send(loaded.error or loaded.heard)
        while loaded.error is None:
            pipe.send(attempt_in_worker(loaded.work, pipe.recv()))


def _take_share(number: int, count: int) -> None:
    """Use a share of the cores, and one CUDA device; by environment variables, which all libraries read."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(cores // count, 1)))
    os.environ["TQDM_DISABLE"] = "1"  # the parent's bar counts videos
    present = ",".join(str(at) for at, _ in enumerate(Path("/dev").glob("nvidia[0-9]*")))
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", present).split(",")
    if len(devices) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]


def _end_with_parent() -> None:
    """Let no worker outlive a parent that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a worker"
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process that is started meanwhile never sees Ctrl-C: its parent ends it."""
    resource_tracker.ensure_running()  # else started with the first process, and unblocks signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
