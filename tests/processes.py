"""`hicm` in a process of its own that starts at once: forked from one that has imported everything before."""

import contextlib
import io
import multiprocessing
import os
import resource
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


def _quietly(arguments: list[str], environment: dict[str, str]) -> None:
    import torch

    from hicm.cli import main

    torch.set_num_threads(1)
    os.environ.update({"ACCELERATE_USE_CPU": "true", **environment})
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        os._exit(main(arguments))


def _told(pipe: Connection, arguments: list[str], largest_file: int | None) -> None:
    from hicm.cli import main

    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        status = main(arguments)
    pipe.send((status, said.getvalue()))
