"""Executors: where the work on many videos is done, each in a module of its own that is found by its name.

    processes  this machine: the process itself, or ``workers`` processes
    ray        a Ray cluster, or this machine: ``workers`` actors of a Ray Data pool

``--executor`` chooses one.  A new executor is a new module here, or a module of another package under the entry-point
group ``hicm.executors``, with ``run(job, videos, workers)``, which yields one `Outcome` per video as soon as there is
one, in any order; it may have ``check()``, which raises UserError when a package that it needs is missing.

A `Job` is what a worker is sent: plain data that says how to load what the work needs.  Each worker calls it once, and
then calls the result, the `Work`, with one video after the other.  Results are files, which workers write themselves.
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

from hicm.errors import UserError, reason
from hicm.exports import Refused
from hicm.loading import NoModel
from hicm.plugins import find_module

GROUP = "hicm.executors"
FUNCTION = "run"
DONE, SKIPPED, FAILED, REFUSED = "done", "skipped", "failed", "refused"
WORKER = "worker"  # the stage of a video whose worker died, or met a bug

Made = TypeVar("Made")
Work = Callable[[Path], Any]  # raises UserError; a result that is false: there was nothing left to do
Job = Callable[[], Work]  # a functools.partial of a module's function, where it is sent to workers


@dataclass(frozen=True)
class Heard:
    """What was said meanwhile: standard output, and warnings as text and category."""

    lines: list[str] = field(default_factory=list)
    warnings: list[tuple[str, type[Warning]]] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What became of a video."""

    video: Path
    state: str  # DONE, SKIPPED, FAILED, or REFUSED: done, but not written in every format
    reason: str = ""  # of FAILED and REFUSED, one line
    stage: str = ""  # of FAILED and REFUSED: frames, speech, captions, files, or worker, which died or met a bug
    result: Any = None  # of the work; plain data
    heard: Heard = field(default_factory=Heard)


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


def here(job: Job, videos: Sequence[Path]) -> Generator[Outcome, None, None]:
    """Do the work in this process.  Raises UserError when the job cannot be loaded."""
    work = job()
    for video in videos:
        yield attempt(work, video)


def made(part: "Made | partial[Made]") -> Made:
    """What a partial makes; anything else, which only `here` can work with, is returned as it is."""
    return part() if isinstance(part, partial) else part


def attempt(work: Work, video: Path) -> Outcome:
    """Work on one video.  Raises NoModel, which every video would meet."""
    state, why, stage, result = DONE, "", "", None
    with listening() as heard:
        try:
            result = work(video)
            state = DONE if result else SKIPPED
        except NoModel:
            raise
        except UserError as error:
            state, why, stage = REFUSED if isinstance(error, Refused) else FAILED, str(error), error.stage
    return Outcome(video, state, why, stage, result, heard)


def attempt_in_worker(work: Work, video: Path) -> Outcome | NoModel:
    """`attempt`, but a bug costs this video only, as the death of the worker would; its traceback is a line."""
    try:
        return attempt(work, video)
    except NoModel as error:
        return error
    except Exception as error:
        why = f"{video}: {type(error).__name__}: {reason(error)}; this is a bug, please report it"
        return Outcome(video, FAILED, why, WORKER, heard=Heard([traceback.format_exc().rstrip()]))


def died(video: Path, how: str) -> Outcome:
    """The outcome of a video whose worker died."""
    return Outcome(video, FAILED, f"{video}: the worker died while working on it ({how}); the same command tries it "
                                  "again", WORKER)


@contextlib.contextmanager
def listening() -> Iterator[Heard]:
    """Collect what is printed and warned in the block."""
    heard, printed = Heard(), io.StringIO()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        try:
            yield heard
        finally:
            heard.lines.extend(printed.getvalue().splitlines())
            heard.warnings.extend(dict.fromkeys((str(one.message), one.category) for one in caught))


def repeat(heard: Heard, about: str = "", known: set[object] | None = None) -> None:
    """Print and warn what was heard in another place, and is not ``known`` yet.

    ``about``: what to name where a warning does not.
    """
    known = set() if known is None else known
    for line in heard.lines:
        if line not in known:
            print(line)
    for text, category in heard.warnings:
        if (text, category) not in known:
            warnings.warn(text if about in text else f"{about}: {text}", category, stacklevel=3)
    known.update(heard.lines, heard.warnings)


class Loaded:
    """A job in a worker: loaded once, with what was heard meanwhile, or the reason why it cannot be."""

    def __init__(self, job: Job) -> None:
        self.error: UserError | None = None
        with listening() as self.heard:
            try:
                self.work = job()
            except UserError as error:
                self.error = error
