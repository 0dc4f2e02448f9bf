"""Processes on this machine; one worker is this process itself.

Each worker takes one video after the other.  One that dies (out of memory, a decoder that crashes) costs the video it
was working on, and is replaced.  The cores are divided among the workers; CUDA devices are assigned in turn.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Generator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path

from hicm.cores import usable_cores
from hicm.errors import UserError
from hicm.executors import Job, Loaded, Messages, Outcome, attempt_in_worker, died, in_process, replay
from hicm.interrupts import Interrupted, blocked, handled
from hicm.quiet import quiet_libraries

CONTEXT = multiprocessing.get_context("spawn")  # CUDA and the threads of torch do not survive a fork
TIMEOUT = 5.0  # seconds that a worker has to end before it is killed


def run(job: Job, videos: Sequence[Path], workers: int) -> Generator[Outcome, None, None]:
    """One outcome per video.

    Raises UserError when the job cannot be loaded, or when all workers die while they load it.
    """
    if workers == 1:
        yield from in_process(job, videos)
        return
    todo = deque(videos)
    count = min(workers, len(todo))
    known: set[object] = set()  # messages of loading the job, which are the same in all workers
    pool: list[_Worker] = []
    try:
        for number in range(count):
            pool.append(_Worker(job, number, count))
        while todo or any(worker.video for worker in pool):
            for worker in _ready(pool):
                message = worker.receive()
                if isinstance(message, UserError):
                    raise message
                if message is None:  # dead
                    pool.remove(worker)
                    how = worker.end()
                    if worker.video is None:
                        _one_fewer(len(pool), how)
                        continue
                    message = died(worker.video, how)
                    if todo:
                        pool.append(_Worker(job, worker.number, count))
                elif todo:
                    worker.take(todo.popleft())
                else:
                    worker.video = None
                if isinstance(message, Outcome):
                    yield message
                else:
                    replay(message, known=known)
    finally:
        for worker in pool:
            worker.process.terminate()
        for worker in pool:
            worker.end()


class _Worker:
    """A process that works on ``video``; None: it is loading the job, or there is nothing left to do.

    It sends the messages of loading, or the UserError that this raised, and then the outcome of each video.
    """

    def __init__(self, job: Job, number: int, count: int) -> None:
        self.number = number
        self.video: Path | None = None
        self.pipe, other_end = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_serve, args=(other_end, number, count))
        resource_tracker.ensure_running()  # otherwise it starts with the first process, and unblocks signals
        with blocked():  # the parent ends its workers
            self.process.start()
        other_end.close()
        self._send(job)

    def take(self, video: Path) -> None:
        self.video = video
        self._send(video)

    def receive(self) -> Outcome | Messages | UserError | None:
        """The next message of the process; None: it is dead."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """End the process, which may be dead already; returns how it ended, for users."""
        self.pipe.close()
        self.process.join(TIMEOUT)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        status = self.process.exitcode or 0
        if status >= 0:
            return f"exit status {status}"
        lack = ", often for lack of memory: fewer --workers need less" if -status == signal.SIGKILL else ""
        return f"{signal.Signals(-status).name}{lack}"

    def _send(self, message: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # it is dead, as `receive` will say
            self.pipe.send(message)


def _ready(pool: Sequence[_Worker]) -> list[_Worker]:
    """The workers that have sent a message or died; waits until there is one."""
    pipes = wait([worker.pipe for worker in pool])
    return [worker for worker in pool if worker.pipe in pipes]


def _one_fewer(left: int, how: str) -> None:
    """Warn of a worker that died while it loaded the job.  Raises UserError when none is ``left``."""
    if not left:
        raise UserError(f"--workers: all died while they loaded the models ({how}); see the reason with --workers 1")
    warnings.warn(f"a worker died while it loaded the models ({how}); {left} continue", stacklevel=3)


def _serve(pipe: Connection, number: int, count: int) -> None:
    """The main function of a worker: load the job, then work on videos until the pipe is closed."""
    _take_share(number, count)
    quiet_libraries()
    with contextlib.suppress(Interrupted, EOFError, BrokenPipeError), handled():
        threading.Thread(target=end_with_parent, daemon=True).start()
        loaded = Loaded(pipe.recv())  # may import torch, which reads the environment once
        pipe.send(loaded.error or loaded.messages)
        while loaded.error is None:
            pipe.send(attempt_in_worker(loaded.work, pipe.recv()))


def _take_share(number: int, count: int) -> None:
    """Use a share of the cores, and one CUDA device; by environment variables, which all libraries read."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(usable_cores() // count, 1)))
    os.environ["TQDM_DISABLE"] = "1"  # the parent's bar counts videos
    present = ",".join(str(at) for at, _ in enumerate(Path("/dev").glob("nvidia[0-9]*")))
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", present).split(",")
    if len(devices) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]


def end_with_parent() -> None:
    """End this worker when its parent is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a worker"
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
