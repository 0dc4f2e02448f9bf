"""Arrays that are expensive to compute, kept in a file until they are no longer needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hicm.arrays import read_npz
from hicm.files import atomic


def cached_arrays(path: Path, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The arrays in ``path`` if they were made for ``key``, else those of ``make()``, which are written there."""
    try:
        arrays: dict[str, Any] = read_npz(path)
        if str(arrays.pop("key")) == key:
            return arrays
    except Exception:  # absent, or left by an interrupted copy, which can raise nearly anything: made again
        pass
    arrays = make()
    with atomic(path) as temporary:
        np.savez(temporary, key=key, **arrays)
    return arrays
