"""The machine: its processor, how busy it is, and how much memory a piece of work takes.  Linux tells the most."""

import contextlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hicm.cores import usable_cores

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def describe() -> dict[str, Any]:
    """Processor, cores that this process may use, load averages, and the limits on threads that are set."""
    limits = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
              if name in os.environ}
    return {"processor": processor(), "cores": usable_cores(), "load": load(), "system": platform.platform(), **limits}


def processor() -> str:
    """The name of the processor, as far as the system tells."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def load() -> list[float] | None:
    """Load averages over 1, 5 and 15 minutes; None where the system does not tell."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (AttributeError, OSError):
        return None


def busy() -> str:
    """A warning where the machine does other work; empty where it does not, or does not tell."""
    found, cores = load(), usable_cores()
    if found is None or found[0] <= cores / 2:
        return ""
    return (f"load average {found[0]:.1f} on {cores} cores: other work is running, so times are unreliable, and "
            "ratios less so; run again when the machine is idle")


def host_peak() -> Callable[[], float | None]:
    """Begin to watch the memory of this process; what is returned tells its peak since then in MiB, None: unknown."""
    try:
        RESET.write_text("5", encoding="utf-8")  # Linux: forget the peak so far
    except OSError:
        return lambda: None

    def peak() -> float | None:
        for line in STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 2**10
        return None

    return peak
