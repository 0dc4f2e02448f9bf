"""Work for processes of their own, which import this module and little else."""

import os
import time
from pathlib import Path

from hicm.errors import UserError


def meet(folder: Path, own: str, other: str) -> str:
    """Print a line, and return once the other one is there, too; its name in capitals."""
    (folder / own).touch()
    print(f"{own} was here")
    for _ in range(3000):
        if (folder / other).exists():
            return own.upper()
        time.sleep(0.02)
    raise TimeoutError(other)


def refuse(folder: Path) -> None:
    """Raise a UserError once `wait` is there."""
    meet(folder, "refuse", "wait")
    raise UserError("found nothing; look elsewhere")


def die(status: int) -> None:
    """End the process without a word."""
    os._exit(status)


def wait(folder: Path) -> None:
    """Write the number of the process, and wait to be ended."""
    (folder / "pid").write_text(str(os.getpid()))
    (folder / "wait").touch()
    time.sleep(600)


def blas_threads() -> list[int]:
    """Threads of each library of matrix products that numpy has loaded."""
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
