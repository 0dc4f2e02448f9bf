"""A Ray cluster: the one that RAY_ADDRESS names or that runs on this machine, otherwise a new local one.

Each worker is an actor of a Ray Data pool, with one core and, where the cluster has GPUs, one of them.  When a worker
dies, Ray starts another one and gives it the same video; that one sees that the video was begun before, and reports the
death.  All machines need hicm, and the folder of the call under the same path.
"""

import contextlib
import logging
import os
import pickle
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hicm.errors import UserError, reason
from hicm.executors import Job, Loaded, Outcome, attempt_in_worker, died, replay
from hicm.interrupts import Interrupted, deferred
from hicm.quiet import quiet_libraries


def check() -> None:
    """Raises UserError unless Ray Data is installed."""
    if not (find_spec("ray") and find_spec("pyarrow")):
        raise UserError("--executor ray needs Ray Data; install it: pip install 'hicm[ray]'")


def run(job: Job, videos: Sequence[Path], workers: int) -> Generator[Outcome, None, None]:
    """One outcome per video.  Raises UserError when the job cannot be loaded, or when no worker can be started."""
    if not videos:
        return
    with _cluster():
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # nothing it logs is about videos
        begun = ray.remote(num_cpus=0)(_Begun).remote()
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        # Numbers, since Arrow holds no file names that are not UTF-8; a block each, since a dying worker loses a block.
        numbers = ray.data.from_items(list(range(len(videos))), override_num_blocks=len(videos))
        rows = numbers.map(_Worker, fn_constructor_args=(job, list(videos), begun, os.getcwd()), num_cpus=1,
                           num_gpus=1 if ray.cluster_resources().get("GPU") else 0,
                           compute=ray.data.ActorPoolStrategy(size=min(workers, len(videos)),
                                                              max_tasks_in_flight_per_actor=1))
        known: set[object] = set()
        try:
            for row in rows.iter_rows():
                messages, outcome = pickle.loads(row["said"])
                if isinstance(outcome, UserError):
                    raise outcome
                replay(messages, known=known)
                yield outcome
        except ray.exceptions.RayError as error:
            raise UserError(f"--executor ray: the workers cannot be started or reached ({reason(error)}); see Ray's "
                            "logs") from error


class _Worker:
    """An actor of the pool; ``folder``: that of the call, to which all paths are relative."""

    def __init__(self, job: Job, videos: Sequence[Path], begun: Any, folder: str) -> None:
        quiet_libraries()
        self.videos, self.begun = videos, begun
        try:
            os.chdir(folder)
        except OSError as error:
            raise RuntimeError(f"{folder}: not on the machine of a worker") from error
        self.loaded = Loaded(job)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        import ray

        number = row["item"]
        video = self.videos[number]
        said: Outcome | UserError
        if self.loaded.error is not None:
            said = self.loaded.error
        elif ray.get(self.begun.add.remote(number)):
            said = attempt_in_worker(self.loaded.work, video)
        else:
            said = died(video, "Ray's logs may tell the reason")
        return {"said": pickle.dumps((self.loaded.messages, said))}


class _Begun:
    """An actor that records which videos were begun."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()

    def add(self, number: int) -> bool:
        """Whether ``number`` is new."""
        new = number not in self.numbers
        self.numbers.add(number)
        return new


@contextlib.contextmanager
def _cluster() -> Iterator[None]:
    """Ray, connected for the block unless it is already, with little logging."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        _connect(ray)
        yield
    except ConnectionError as error:
        raise UserError(f"--executor ray: no connection to the Ray cluster ({reason(error)}); check RAY_ADDRESS, or "
                        "start one: ray start --head") from error
    finally:
        ray.shutdown()


def _connect(ray: Any) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with deferred():  # an exception raised by a signal during a fork is lost, and can leave locks held
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR)
        except SystemExit as error:  # Ray's own handler of SIGTERM
            raise Interrupted(signal.SIGTERM) from error
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)
