"""How many cores there are to work on.  Needs only the standard library."""

import os


def usable_cores() -> int:
    """The number of cores that this process may use, on a cluster fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
