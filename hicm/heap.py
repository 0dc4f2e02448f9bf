"""How the C library treats memory that is freed.  Needs only the standard library.

By default glibc gives arrays of over 32 MiB back to the system when they are freed.  A training step that allocates
gigabytes of them then waits for the system to clear the same pages again and again.
"""

import ctypes
import sys

TRIM, MAP = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of <malloc.h>
KEPT = {MAP: 2**30, TRIM: 2**31 - 1}  # bytes
USUAL = {MAP: 2**25, TRIM: 2**26}  # what glibc's thresholds grow to as arrays are freed


def keep_freed_memory(keep: bool = True) -> bool:
    """Whether arrays of up to 1 GiB that are freed stay with the process, to be used again; ``keep=False`` undoes it.

    Returns False where the C library is not glibc; then nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    done = [library.mallopt(name, value) for name, value in (KEPT if keep else USUAL).items()]
    return all(done)
