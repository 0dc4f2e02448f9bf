"""Executors, which run the work on many videos, each in a module of its own that is found by its name.

    processes  this machine: the process itself, or ``workers`` processes
    ray        a Ray cluster, or this machine: ``workers`` actors of a Ray Data pool

``--executor`` chooses one.  A new executor is a new module here, or a module of another package under the entry-point
group ``hicm.executors``, with ``run(job, videos, workers)``, which yields one `Outcome` per video as soon as it is
known, in any order; it may have ``check()``, which raises UserError when a package that it needs is missing.

A `Job` is sent to every worker: a picklable call that loads what the work needs.  Each worker calls it once, and then
calls the result, the `Work`, with one video after the other.  Results are files, which workers write themselves.
`NoModel` ends the work on all videos.
"""

import contextlib
import io
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hicm.errors import Refused, UserError, reason
from hicm.loading import NoModel
from hicm.plugins import find_module

GROUP = "hicm.executors"
FUNCTION = "run"
DONE, SKIPPED, FAILED, REFUSED = "done", "skipped", "failed", "refused"
WORKER = "worker"  # the stage of a video whose worker died, or met a bug

Made = TypeVar("Made")
Work = Callable[[Path], Any]  # raises UserError; a false result: there was nothing left to do
Job = Callable[[], Work]  # a functools.partial of a module-level function if it is sent to workers


@dataclass(frozen=True)
class Messages:
    """Standard output by line, and warnings as text and category."""

    lines: list[str] = field(default_factory=list)
    warnings: list[tuple[str, type[Warning]]] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """The outcome of one video."""

    video: Path
    state: str  # DONE, SKIPPED, FAILED, or REFUSED: done, but not written in every format
    reason: str = ""  # of FAILED and REFUSED, one line
    stage: str = ""  # of FAILED and REFUSED: frames, speech, captions, files, or worker, which died or met a bug
    result: Any = None  # of the work; plain data
    messages: Messages = field(default_factory=Messages)


Executor = Callable[[Job, Sequence[Path]], Generator[Outcome, None, None]]


def find_executor(name: str, workers: int) -> Executor:
    """The executor called ``name``, with a number of workers.

    Raises UserError when there is none, when it needs a package that is missing, or for fewer than one worker.
    """
    if workers < 1:
        raise UserError(f"--workers {workers}: expected 1 or more")
    module = find_module(__name__, GROUP, name, "--executor", FUNCTION)
    getattr(module, "check", lambda: None)()
    return partial(module.run, workers=workers)


def in_process(job: Job, videos: Sequence[Path]) -> Generator[Outcome, None, None]:
    """The executor of this process, without workers.  Raises UserError when the job cannot be loaded."""
    work = job()
    for video in videos:
        yield attempt(work, video)


def build(part: "Made | partial[Made]") -> Made:
    """The result of a partial; anything else, which only `in_process` can use, is returned as it is."""
    return part() if isinstance(part, partial) else part


def attempt(work: Work, video: Path) -> Outcome:
    """Work on one video.  Raises NoModel, which every video would raise."""
    state, why, stage, result = DONE, "", "", None
    with collected() as messages:
        try:
            result = work(video)
            state = DONE if result else SKIPPED
        except NoModel:
            raise
        except UserError as error:
            state, why, stage = REFUSED if isinstance(error, Refused) else FAILED, str(error), error.stage
    return Outcome(video, state, why, stage, result, messages)


def attempt_in_worker(work: Work, video: Path) -> Outcome | NoModel:
    """`attempt`, but a bug fails this video only, as the death of a worker does; the traceback is in the messages."""
    try:
        return attempt(work, video)
    except NoModel as error:
        return error
    except Exception as error:
        why = f"{video}: {type(error).__name__}: {reason(error)}; this is a bug, please report it"
        return Outcome(video, FAILED, why, WORKER, messages=Messages([traceback.format_exc().rstrip()]))


def died(video: Path, how: str) -> Outcome:
    """The outcome of a video whose worker died."""
    return Outcome(video, FAILED, f"{video}: the worker died while working on it ({how}); the same command tries it "
                                  "again", WORKER)


@contextlib.contextmanager
def collected() -> Iterator[Messages]:
    """Collect standard output and warnings of the block."""
    messages, printed = Messages(), io.StringIO()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        try:
            yield messages
        finally:
            messages.lines.extend(printed.getvalue().splitlines())
            messages.warnings.extend(dict.fromkeys((str(one.message), one.category) for one in caught))


def replay(messages: Messages, about: str = "", known: set[object] | None = None) -> None:
    """Print the lines and issue the warnings that are not yet ``known``, and add them to it.

    ``about``: put before warnings that do not contain it.
    """
    known = set() if known is None else known
    for line in messages.lines:
        if line not in known:
            print(line)
    for text, category in messages.warnings:
        if (text, category) not in known:
            warnings.warn(text if about in text else f"{about}: {text}", category, stacklevel=3)
    known.update(messages.lines, messages.warnings)


class Loaded:
    """A job in a worker: loaded once, with the messages of loading it, or the error that it raised."""

    def __init__(self, job: Job) -> None:
        self.error: UserError | None = None
        with collected() as self.messages:
            try:
                self.work = job()
            except UserError as error:
                self.error = error
