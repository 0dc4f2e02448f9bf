"""METEOR in a process of its own: it makes itself ready, and scores, while this one does other work."""

import multiprocessing
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection

import numpy as np

from hicm.dvc_eval.java import Unavailable
from hicm.dvc_eval.meteor15.native import NativeMeteor
from hicm.dvc_eval.meteor15.score import scores
from hicm.errors import UserError


def may_fork() -> bool:
    """Whether a copy of this process is safe: on Linux, without other threads and without torch and its GPU."""
    return (sys.platform == "linux" and "torch" not in sys.modules and threading.active_count() == 1
            and not multiprocessing.current_process().daemon)


def meteor_alone() -> NativeMeteor:
    """METEOR in a process that runs no other compiled code.

    numba looks for SciPy's BLAS when it starts, which takes it longer than all else, and our loops use none.
    """
    if "numba" not in sys.modules:
        sys.modules.setdefault("scipy", None)
    return NativeMeteor()


class MeteorProcess:
    """`hicm.dvc_eval.meteor.Meteor` whose statistics come from a forked process; ends with `close`.

    What goes wrong there (numba or METEOR's data missing) is raised by `statistics`, as `NativeMeteor` raises it.
    """

    name, data = NativeMeteor.name, NativeMeteor.data

    def __init__(self) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self._pipe), daemon=True, name="meteor")
        self._process.start()
        other.close()

    def statistics(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """See `NativeMeteor.statistics`."""
        try:
            self._pipe.send(pairs)
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise Unavailable("METEOR's process ended without an answer; is the memory full?") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def score(self, statistics: np.ndarray) -> np.ndarray:
        """See `NativeMeteor.score`."""
        return scores(np.asarray(statistics, dtype=np.float64))

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection, parents: Connection) -> None:
    parents.close()  # so that the pipe ends with the parent
    try:
        meteor: NativeMeteor | UserError = meteor_alone()
    except UserError as error:
        meteor = error
    except KeyboardInterrupt:
        return
    while True:
        try:
            pairs = pipe.recv()
            if isinstance(meteor, UserError):
                raise meteor
            answer: object = meteor.statistics(pairs)
        except (EOFError, OSError, KeyboardInterrupt):
            return
        except Exception as error:  # told to the parent, which raises it
            answer = error
        try:
            pipe.send(answer)
        except OSError:
            return
