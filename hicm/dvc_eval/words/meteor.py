"""METEOR 1.5 (Denkowski and Lavie, 2014), English: from pairs of captions to statistics, from statistics to scores.

The score of a set of pairs is that of their summed statistics, not the mean of the pairs' scores.
"""

import contextlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

import numpy as np

from hicm.dvc_eval.inputs.arrays import sums_by
from hicm.dvc_eval.words.java import METEOR_JAR, PINNED, Unavailable, environment, find_jar, find_java, last_line
from hicm.dvc_eval.words.meteor15.score import CHUNKS, STATISTICS, whole


class Meteor(Protocol):
    """What the evaluator needs of an implementation of METEOR."""

    name: str  # in signatures

    def statistics(self, pairs: Sequence[tuple[str, str]], words: bool = False) -> np.ndarray:
        """Statistics (P, 23) of (hypothesis, reference) pairs of tokenised captions.  Raises Unavailable.

        ``words``: blanks separate words that are taken as they are, not normalised as English.
        """
        ...

    def score(self, statistics: np.ndarray) -> np.ndarray:
        """Scores (S,) of statistics (S, 23), each of a pair or a sum over pairs (`total`).  Raises Unavailable."""
        ...


def total(statistics: np.ndarray, owner: np.ndarray, sets: int, rows: np.ndarray | None = None) -> np.ndarray:
    """Sums (sets, 23) of ``statistics`` (P, 23), or of those in ``rows`` (P,), by the set ``owner`` (P,) of each.

    A pair that is matched completely in one chunk adds no chunk, as in METEOR.
    """
    sums = sums_by(statistics, owner, sets, rows)
    chunks = np.where(whole(statistics), 0.0, statistics[:, CHUNKS])
    sums[:, CHUNKS] = np.bincount(owner, weights=chunks if rows is None else chunks[rows], minlength=sets)
    return sums


class JarMeteor:
    """The METEOR jar of pycocoevalcap, in one Java process that starts at once and loads in the background.

    Use it as a context manager: the process ends with the block, whatever happens in it.  After ``patience`` seconds
    without an answer the process is stopped.
    """

    name = "1.5-jar"

    def __init__(self, patience: float = 300.0) -> None:
        jar = find_jar(METEOR_JAR)
        command = [find_java(), "-Xmx2G", *PINNED, "-jar", jar.name, "-", "-", "-stdio", "-l", "en", "-norm"]
        self._patience = patience
        self._last_answer = time.monotonic()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed with the process
        try:
            self._process = subprocess.Popen(command, cwd=jar.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=self._errors, env=environment())
        except OSError as error:
            self._errors.close()
            raise Unavailable(f"METEOR: {command[0]} cannot be run ({error.strerror})") from error
        assert self._process.stdin is not None and self._process.stdout is not None, "both are pipes"
        self._input, self._output = self._process.stdin, self._process.stdout

    def __enter__(self) -> "JarMeteor":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._input, self._output, self._errors):
            with contextlib.suppress(OSError):  # unwritten input has no reader any more
                stream.close()

    def statistics(self, pairs: Sequence[tuple[str, str]], words: bool = False) -> np.ndarray:
        """See `Meteor`.  Every ``|||`` and doubled blank is removed from the hypothesis, as in pycocoevalcap."""
        if words:
            raise Unavailable("METEOR (Java) always normalises captions as English; score tok=unicode without Java")
        lines = [f"SCORE ||| {reference} ||| {hypothesis.replace('|||', '').replace('  ', ' ')}"
                 for hypothesis, reference in pairs]
        answers = self._ask(lines, len(lines))
        found = [self._numbers(answer, STATISTICS) for answer in answers]
        return np.array(found, dtype=np.float64).reshape(-1, STATISTICS)

    def score(self, statistics: np.ndarray, block: int = 100) -> np.ndarray:
        """See `Meteor`.  The answer to a line of ``block`` statistics is as many scores, and one of their sum."""
        rows = ["".join(f" {number:.1f}" for number in row) for row in statistics]
        blocks = [rows[at:at + block] for at in range(0, len(rows), block)]
        answers = self._ask(["EVAL |||" + " |||".join(part) for part in blocks], len(rows) + len(blocks))
        scores = []
        for part in blocks:
            scores += [self._numbers(answer, 1)[0] for answer in answers[:len(part)]]
            answers = answers[len(part) + 1:]
        return np.array(scores, dtype=np.float64)

    def _ask(self, lines: list[str], answers: int) -> list[str]:
        """Write all lines from a thread while reading that many answers."""
        writer = threading.Thread(target=self._write, args=(lines,), daemon=True)
        self._last_answer, finished = time.monotonic(), threading.Event()
        watch = threading.Thread(target=self._watch, args=(finished,), daemon=True)
        writer.start()
        watch.start()
        received = []
        try:
            for _ in range(answers):
                line = self._output.readline()
                if not line.endswith(b"\n"):
                    raise self._died()
                self._last_answer = time.monotonic()
                received.append(line.decode())
        finally:
            finished.set()
        writer.join()
        watch.join()
        return received

    def _write(self, lines: list[str]) -> None:
        with contextlib.suppress(OSError, ValueError):  # the process has ended: the reader reports why
            for line in lines:
                self._input.write(f"{line}\n".encode())
            self._input.flush()

    def _watch(self, finished: threading.Event) -> None:
        while not finished.wait(min(1.0, self._patience)):
            if time.monotonic() - self._last_answer > self._patience:
                self._process.kill()
                return

    def _died(self) -> Unavailable:
        silent = time.monotonic() - self._last_answer > self._patience
        self._process.kill()
        status = self._process.wait()
        if silent:
            return Unavailable(f"METEOR (Java) gave no answer for {self._patience:.0f} s and was stopped")
        self._errors.seek(0)
        return Unavailable(f"METEOR (Java) ended with status {status}: {last_line(self._errors.read())}")

    def _numbers(self, answer: str, count: int) -> list[float]:
        try:
            numbers = [float(number) for number in answer.split()]
        except ValueError:
            numbers = []
        if len(numbers) != count:
            raise Unavailable(f"METEOR (Java) answered {answer.strip()[:100]!r}, expected {count} numbers")
        return numbers
