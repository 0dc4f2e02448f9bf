"""A real server in a process of its own, and requests to it."""

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import uvicorn

from hicm.errors import UserError
from hicm.interrupts import handled
from hicm.server import app, run
from hicm.server.settings import Settings

assert app and uvicorn, "imported here, so that every server starts at once"
CONTEXT = multiprocessing.get_context("fork")
OPTIONS = {"model": "", "memory": "", "encoder": "", "speech": "", "cache": "", "window": 0.0, "overrides": []}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    process: BaseProcess
    port: int
    data: Path

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; underscores in names of headers stand for hyphens."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def submit(self, video: bytes, name: str = "talk.mp4") -> str:
        answer = self.ask("POST", f"/api/jobs?name={name}", video)
        assert answer.status == 201, answer
        return answer.json["id"]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.ask("GET", f"/api/jobs/{job_id}").json

    def wait(self, job_id: str, *states: str) -> dict[str, Any]:
        """The job once it is in one of ``states``, by default in one that it stays in."""
        states = states or ("done", "failed", "cancelled")
        for _ in range(1000):
            job = self.job(job_id)
            if job["state"] in states:
                return job
            time.sleep(0.02)
        raise AssertionError(f"no end: {job}")

    def raw(self) -> socket.socket:
        """A connection on which anything can be sent."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """The exit status after a signal."""
        os.kill(self.process.pid, number)
        self.process.join(20)
        return self.process.exitcode

    def files(self) -> set[str]:
        """What is on disk: paths below the data folder, ids left out; a folder may vanish while it is listed."""
        found = (Path(folder, name).relative_to(self.data) for folder, _, names in os.walk(self.data) for name in names)
        return {"/".join("ID" if len(part) == 32 else part for part in path.parts) for path in found} - {".lock"}

    def left(self) -> list[Path]:
        """Files of jobs and uploads, and their folders."""
        return [*(self.data / "jobs").iterdir(), *(self.data / "uploads").iterdir()]


@contextlib.contextmanager
def serving(data: Path, largest_file: int = 0, **changes: Any) -> Iterator[Server]:
    """A running server with the tiny worker, unless ``changes`` of the settings say otherwise.

    ``largest_file``: bytes beyond which no file can grow, as on a full disk.
    """
    settings = replace(Settings(OPTIONS, data, port=0, worker="tests.server.tiny_worker"), **changes)
    settings = replace(settings, captioner={**settings.captioner, "cache": str(data)})
    process, there = start(settings, largest_file)
    assert there.poll(60), "the server does not start"
    port = there.recv()
    assert isinstance(port, int), port  # otherwise the reason why it cannot start
    server = Server(process, port, data)
    try:
        yield server
    finally:
        if process.is_alive():
            server.stop()
        process.kill()


def start(settings: Settings, largest_file: int = 0) -> tuple[BaseProcess, Connection]:
    """The process of a server, and a pipe that tells its port, or what is wrong."""
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_serve, args=(there, settings, largest_file))
    process.start()
    there.close()
    return process, here


def _serve(pipe: Connection, settings: Settings, largest_file: int) -> None:
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    log = open(settings.data.with_name("server.log"), "a")  # noqa: SIM115
    os.dup2(log.fileno(), 2)
    sys.stdout = sys.stderr = log
    run._announce = lambda found, _: pipe.send(found.port)
    try:
        with handled():
            run.serve(settings)
    except UserError as error:
        pipe.send(str(error))
        os._exit(2)
    except KeyboardInterrupt as error:
        os._exit(128 + error.number)
    finally:
        log.flush()
    os._exit(0)


def children(pid: int) -> list[int]:
    """Processes whose parent is ``pid``."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


def until(true: Callable[[], object]) -> None:
    """Wait until something is true."""
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it does not happen")
