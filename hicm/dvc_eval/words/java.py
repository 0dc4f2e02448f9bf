"""Finds, checks and runs Java and the two jars of pycocoevalcap; every failure is explained and nothing hangs."""

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from hicm.errors import UserError

OLDEST = 8
# in the installed package pycocoevalcap
METEOR_JAR, PTB_JAR = "meteor/meteor-1.5.jar", "tokenizer/stanford-corenlp-3.4.1.jar"


class Unavailable(UserError):
    """A part cannot work here (no Java, no jar, a process that died); the message says why and what to do."""


def find_java() -> str:
    """Path of Java 8 or newer: ``java`` on the path, else that of JAVA_HOME.  Raises Unavailable."""
    home = os.environ.get("JAVA_HOME")
    candidates = [shutil.which("java"), shutil.which(str(Path(home, "bin", "java"))) if home else None]
    problems = []
    for candidate in filter(None, candidates):
        problem = _problem(candidate)
        if not problem:
            return candidate
        problems.append(f"{candidate} {problem}")
    raise Unavailable(f"{'; '.join(problems) or 'no java on the path and none in JAVA_HOME'}; "
                      f"install Java {OLDEST} or newer")


def find_jar(inside: str) -> Path:
    """Path of a file in the installed package pycocoevalcap, without importing it.  Raises Unavailable."""
    spec = importlib.util.find_spec("pycocoevalcap")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, inside)
        if path.is_file():
            return path
    raise Unavailable(f"pycocoevalcap/{inside} is not installed; pip install pycocoevalcap")


def environment() -> dict[str, str]:
    """The environment of this process, with the locale pinned."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


# UTF-8 (the second option is for Java 19 and newer) and English lower case, whatever the user's locale.
PINNED = ("-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-Duser.language=en", "-Duser.country=US")


def run(arguments: list[str], text: str, timeout: float, what: str) -> str:
    """Standard output of ``java`` given ``text``.  Raises Unavailable on failure or after ``timeout`` seconds."""
    command = [find_java(), *PINNED, *arguments]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=timeout, check=False,
                              env=environment())
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{what} (Java) gave no answer within {timeout:.0f} s and was stopped") from error
    except OSError as error:
        raise Unavailable(f"{what}: {command[0]} cannot be run ({error.strerror})") from error
    if done.returncode:
        raise Unavailable(f"{what} (Java) failed with status {done.returncode}: {last_line(done.stderr)}")
    return done.stdout.decode()


def last_line(stderr: bytes) -> str:
    """The last line of a process's errors, without stack traces, short enough for a one-line error."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith(("at ", "... ", "Picked up"))]
    return lines[-1][:200] if lines else "no reason given"


@functools.cache
def _problem(java: str) -> str:
    """Why this java cannot be used; empty if it can."""
    try:
        done = subprocess.run([java, "-version"], capture_output=True, timeout=60, check=False, env=environment())
    except subprocess.TimeoutExpired:
        return "does not answer to -version"
    except OSError as error:
        return f"cannot be run ({error.strerror})"
    if done.returncode:
        return f"fails at -version ({last_line(done.stderr + done.stdout)})"
    found = re.search(rb'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    if not found:
        return "does not print its version"
    return "" if int(found.group(1)) >= OLDEST else f"is Java {found.group(1).decode()}"
