"""Arrays that are expensive to compute, kept in a file until they are no longer needed."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hicm.files import atomic


def cached_arrays(path: Path, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The arrays in ``path`` if they were made for ``key``, else those of ``make()``, which are written there."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        if str(arrays.pop("key")) == key:
            return arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # absent, or left by an interrupted copy: made again
    arrays = make()
    with atomic(path) as temporary:
        np.savez(temporary, key=key, **arrays)
    return arrays
