"""The index of METEOR's data: built once on a machine, from the files that pycocoevalcap installs."""

import hashlib
from pathlib import Path

import numpy as np

from hicm.dvc_eval.words.java import Unavailable, find_jar
from hicm.dvc_eval.words.meteor15.cache import cached_arrays, need_numba
from hicm.files import sha256

# METEOR 1.5 as shipped with pycocoevalcap 1.2.  Other data would give other scores under the same name.
DIGESTS = {
    "meteor/meteor-1.5.jar": "1e57b4c72c0830ebe68558f1c799a624e96cbc1b6045c9f6330e26dcff6eafc2",
    "meteor/data/paraphrase-en.gz": "c147ac7d2c91f2fbb3ad31e4b352235061eb83145e0434daf217ee9ca5975f48",
}
DATA = hashlib.sha256("".join(DIGESTS.values()).encode()).hexdigest()[:8]  # identifies both in signatures
FORMAT = 2  # of the file's content; raise it whenever `build` changes the arrays
NAME, *FORMER = (f"meteor15-en-{number}.index" for number in range(FORMAT, 0, -1))


def load_index() -> dict[str, np.ndarray]:
    """The arrays of `build`, from the cache.  Raises Unavailable where METEOR 1.5's data are not installed."""
    return cached_arrays(NAME, build_arrays, FORMER)


def find_sources() -> list[Path]:
    """METEOR's data files in the installed package pycocoevalcap, verified.  Raises Unavailable."""
    sources = [find_jar(inside) for inside in DIGESTS]
    for source, digest in zip(sources, DIGESTS.values(), strict=True):
        if sha256(source) != digest:
            raise Unavailable(f"{source}: not the file of pycocoevalcap 1.2; pip install --force-reinstall "
                              "pycocoevalcap==1.2")
    return sources


def build_arrays() -> dict[str, np.ndarray]:
    """Builds the arrays of the index from METEOR's data.  Raises Unavailable."""
    sources = find_sources()
    need_numba()
    from hicm.dvc_eval.words.meteor15.build import build

    return build(*sources)
