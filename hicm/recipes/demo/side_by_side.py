"""Several pieces of work at once, each in a process of its own and on one thread.

The processes are forked from one that has imported what they need and done nothing else, so that no thread or device
is lost in a fork, and nothing is imported twice.  Where there is no such server, as on Windows, the work is done here,
one piece after the other.
"""

import contextlib
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

from hicm.errors import UserError
from hicm.executors import collected, replay
from hicm.executors.processes import end_with_parent
from hicm.interrupts import Interrupted, blocked, handled
from hicm.quiet import quiet_libraries

T = TypeVar("T")

FORKS = "forkserver" in multiprocessing.get_all_start_methods()
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read once, when numpy or torch is imported
IMPORTS = ["hicm.recipes.demo.one_system", "hicm.systems.captioner.system"]
PATIENCE = 30.0  # seconds that a process has to save what it has done before it is killed


def begin_imports() -> None:
    """Start the process from which the others are forked; it imports while this one goes on with something else."""
    if not FORKS:
        return
    from multiprocessing import forkserver, resource_tracker

    multiprocessing.get_context("forkserver").set_forkserver_preload(IMPORTS)
    resource_tracker.ensure_running()  # otherwise it starts with the server, and unblocks signals
    with blocked(), _one_thread():  # Ctrl-C is for this process, which ends the others
        forkserver.ensure_running()


def side_by_side(jobs: Sequence[Callable[[], T]], at_once: int = 2) -> list[T]:
    """The results of all ``jobs``, which are picklable, in their order; ``at_once`` of them run at the same time.

    What a job prints is printed when it ends; only the first one shows progress bars.  Raises the UserError of a job,
    or one when a process dies; the others are then ended as by SIGTERM.
    """
    if not FORKS:
        return [job() for job in jobs]
    context = multiprocessing.get_context("forkserver")
    waiting, running, found = deque(range(len(jobs))), dict[Connection, tuple[int, BaseProcess]](), dict[int, T]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                number = waiting.popleft()
                here, there = context.Pipe(duplex=False)
                process: BaseProcess = context.Process(target=_work, args=(there, jobs[number], number == 0))
                with _one_thread():  # of the server, should it start now
                    process.start()
                there.close()
                running[here] = number, process
            for pipe in [pipe for pipe in wait(list(running)) if isinstance(pipe, Connection)]:
                number, process = running[pipe]
                try:
                    result, messages = pipe.recv()
                except EOFError:
                    process.join()
                    raise UserError(f"a process ended with status {process.exitcode} before it was done; see above, "
                                    "and run the same command again, which continues") from None
                del running[pipe]
                process.join()
                replay(messages)
                if isinstance(result, UserError):
                    raise result
                found[number] = result
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join(PATIENCE)
            process.kill()
            process.join()
    return [found[number] for number in range(len(jobs))]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that start meanwhile compute on one thread."""
    before = {name: os.environ[name] for name in THREADS if name in os.environ}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name in THREADS:
            del os.environ[name]
        os.environ.update(before)


def _work(pipe: Connection, job: Callable[[], T], shows: bool) -> None:
    """The main function of a process: send the result of the job, or its UserError, with what it printed."""
    os.environ.update(dict.fromkeys(THREADS, "1"))  # of what is imported from here on
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    quiet_libraries()
    threading.Thread(target=end_with_parent, daemon=True).start()
    result: T | UserError
    with contextlib.suppress(Interrupted), handled(), open(os.devnull, "w") as nowhere:
        with contextlib.nullcontext() if shows else contextlib.redirect_stderr(nowhere), collected() as messages:
            try:
                result = job()
            except UserError as error:
                result = error
        pipe.send((result, messages))
