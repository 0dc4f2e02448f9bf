"""`hicm` in a process of its own that starts at once: forked from one that has imported everything before."""

import contextlib
import io
import multiprocessing
import os
import resource
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([
    "hicm.stages.train", "hicm.stages.predict", "hicm.report", "hicm.stages.build_memory", "matplotlib.figure",
    "openai", "transformers.models.t5.modeling_t5"])


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    stderr: str


def start(target: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """A running process, to be killed or waited for."""
    process = CONTEXT.Process(target=target, args=arguments)
    process.start()
    return process


def start_hicm(*arguments: str, **environment: str) -> BaseProcess:
    """``hicm ARGUMENTS`` on one thread, its words thrown away."""
    return start(_quietly, [*map(str, arguments)], environment)


def start_on(processes: int, *arguments: str, said: str = os.devnull, patch: Callable[[], None] | None = None,
             **environment: str) -> list[BaseProcess]:
    """``hicm ARGUMENTS`` in several processes (gloo), as torchrun starts them, but forked: importing torch in each
    takes minutes on a busy machine.  ``patch`` is called in each before; what they write to stderr goes to ``said``.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes),
              "LOCAL_WORLD_SIZE": str(processes), **environment}
    return [start(_quietly, [*map(str, arguments)], shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, said, patch)
            for rank in range(processes)]


def run_on(processes: int, *arguments: str, **options: Any) -> list[int]:
    """The exit codes of `start_on`."""
    started = start_on(processes, *arguments, **options)
    try:
        for process in started:
            process.join(600)
        return [process.exitcode for process in started]
    finally:
        for process in started:
            process.kill()


def run_hicm(*arguments: str, largest_file: int | None = None, timeout: float = 120) -> Ended:
    """``hicm ARGUMENTS`` to its end; where ``largest_file`` is given, no file can grow beyond so many bytes."""
    here, there = CONTEXT.Pipe(duplex=False)
    process = start(_told, there, [*map(str, arguments)], largest_file)
    there.close()
    try:
        assert here.poll(timeout), f"hicm {' '.join(map(str, arguments))}: no end within {timeout:g} seconds"
        return Ended(*here.recv())
    finally:
        process.kill()
        process.join()


def _quietly(arguments: list[str], environment: dict[str, str], said: str = os.devnull,
             patch: Callable[[], None] | None = None) -> None:
    import torch

    from hicm.cli import main

    torch.set_num_threads(1)
    os.environ.update({"ACCELERATE_USE_CPU": "true", **environment})
    if patch is not None:
        patch()
    with open(os.devnull, "w") as nowhere, open(said, "a") as heard, contextlib.redirect_stdout(nowhere), \
            contextlib.redirect_stderr(heard):
        status = main(arguments)
        heard.flush()
        os._exit(status)


def _told(pipe: Connection, arguments: list[str], largest_file: int | None) -> None:
    from hicm.cli import main

    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        status = main(arguments)
    pipe.send((status, said.getvalue()))
