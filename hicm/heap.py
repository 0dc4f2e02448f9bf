"""How the C library treats memory that is freed.  Needs only the standard library.

By default glibc gives arrays of over 32 MiB back to the system when they are freed.  A training step that allocates
gigabytes of them then waits for the system to clear the same pages again and again.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRIM, MAP = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of <malloc.h>
LARGEST = 2**30  # bytes of an array that is kept; glibc before 2.35 refuses more than USUAL
USUAL = 2**25  # what glibc's own threshold grows to as arrays are freed
CHOSEN = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")  # settings of the user, left alone
TUNABLES = ("glibc.malloc.mmap_threshold", "glibc.malloc.trim_threshold")  # of the last one


def keep_freed_memory(keep: bool = True) -> bool:
    """Keep arrays of up to 1 GiB that the main thread frees, to be used again; with ``keep=False`` give them back.

    Returns whether that is possible: the C library is glibc, and no environment variable has set its thresholds.
    """
    library = _glibc()
    if library is None:
        return False
    if keep:
        return bool((library.mallopt(MAP, LARGEST) or library.mallopt(MAP, USUAL))
                    and library.mallopt(TRIM, 2**31 - 1))
    library.mallopt(MAP, USUAL)
    library.mallopt(TRIM, 2 * USUAL)
    library.malloc_trim(0)
    return True


@contextmanager
def kept_memory(wanted: bool = True) -> Iterator[None]:
    """`keep_freed_memory` within a block, if ``wanted``."""
    if wanted:
        keep_freed_memory()
    try:
        yield
    finally:
        if wanted:
            keep_freed_memory(False)


def _glibc() -> ctypes.CDLL | None:
    chosen = [*CHOSEN[:2], *TUNABLES]
    said = [*filter(os.environ.__contains__, CHOSEN[:2]), os.environ.get(CHOSEN[2], "")]
    if not sys.platform.startswith("linux") or any(name in one for name in chosen for one in said):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
