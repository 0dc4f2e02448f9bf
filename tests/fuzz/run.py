"""Read damaged files in processes of their own, so that a crash or an endless loop is one finding among others."""

import faulthandler
import os
import re
import resource
import shutil
import signal
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hicm.errors import UNPRINTABLE, UserError
from tests.fuzz.damage import damage_bytes
from tests.fuzz.reader import Reader

# Not HDF5's "memory allocation failed": it reserves what a file asks for before it looks whether the file has as much,
# but fills nothing of it.
REFUSED = re.compile("(can't|cannot|unable to) allocate", re.IGNORECASE)
MEMORY = 1 << 30  # bytes beyond what the process holds before it reads
PATIENCE = 5.0  # seconds of computing for one file
ENDED = {signal.SIGPROF: "no end", signal.SIGSEGV: "segmentation fault"}


@dataclass
class Outcome:
    """How often files were read or refused, and what is wrong: number of the file, what happened, the file kept."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    peak: int = 0  # bytes that a process held at most, beyond those at its start


def fuzz(reader: Reader, folder: Path, seed: int, count: int) -> Outcome:
    """Read ``count`` damaged files in ``folder``; file ``number`` depends on ``seed`` and ``number`` alone."""
    sound, outcome, number = reader.make(folder), Outcome(), 0
    for content in sound:
        reader.path(folder).write_bytes(content)
        reader.read(reader.path(folder))
    while number < count:
        receive, send = os.pipe()
        child = os.fork()
        if not child:
            os.close(receive)
            _read_all(reader, folder, sound, seed, range(number, count), send)
        os.close(send)
        with os.fdopen(receive) as lines:
            for line in lines:
                what, _, detail = line.rstrip("\n").partition(" ")
                outcome.counts[what] += 1
                outcome.peak = max(outcome.peak, int(detail.partition(" ")[0]))
                if what == "wrong":
                    _keep(reader, folder, outcome, number, detail.partition(" ")[2])
                number += 1
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            outcome.counts["crashed"] += 1
            killed_by = os.WTERMSIG(status)
            shutil.copyfile(reader.path(folder), folder / f"wrong_{number}")
            _keep(reader, folder, outcome, number, ENDED.get(killed_by, f"signal {killed_by}"))
            number += 1
    return outcome


def _keep(reader: Reader, folder: Path, outcome: Outcome, number: int, what: str) -> None:
    outcome.wrong.append(f"file {number}: {what} (kept as {folder / f'wrong_{number}'})")


def _read_all(reader: Reader, folder: Path, sound: list[bytes], seed: int, numbers: range, send: int) -> None:
    """The life of a child: a line for each file, ``read|refused|wrong <bytes> <what>``; never returns."""
    try:
        warnings.simplefilter("ignore")
        before = _held()
        with open("/proc/self/statm") as stream:
            size = int(stream.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        faulthandler.disable()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # HDF5 and torch complain there
        for number in numbers:
            random = Random(f"{seed} {number}")
            content = random.choice(sound)
            content = random.choice([damage_bytes, *[reader.damage] * 3])(content, random)
            path = reader.path(folder)
            path.write_bytes(content)
            signal.setitimer(signal.ITIMER_PROF, PATIENCE)
            what, detail = _try(reader, path)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if what == "wrong":
                (folder / f"wrong_{number}").write_bytes(content)
            os.write(send, f"{what} {max(_held() - before, 0)} {detail}\n".encode("utf-8", "replace"))
    except BaseException:  # a mistake in the fuzzing itself
        os.write(send, f"wrong 0 {traceback.format_exc().splitlines()}\n".encode())
    finally:
        os._exit(0)


def _try(reader: Reader, path: Path) -> tuple[str, str]:
    try:
        reader.read(path)
    except UserError as error:
        if _ran_out(error):
            return "wrong", f"wanted more than {MEMORY >> 20} MiB: {error}"
        return ("wrong", f"not one line: {str(error)[:200]!r}") if not _clear(str(error)) else ("refused", "")
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return "wrong", f"{type(error).__name__}: {str(error)[:200]!r} at {last.filename}:{last.lineno}"
    return "read", ""


def _clear(message: str) -> bool:
    return 0 < len(message) < 5000 and len(message.splitlines()) == 1 and not UNPRINTABLE.search(message)


def _ran_out(error: BaseException | None) -> bool:
    """Whether memory was refused somewhere on the way: the error would have been another with more of it."""
    while error is not None:
        if isinstance(error, MemoryError) or REFUSED.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _held() -> int:
    """The most memory this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
