"""Windows that follow the picture: neighbouring frames are merged while they look alike.

Ward's method (Ward, J. Am. Stat. Assoc. 1963) on the chain of frames: the two neighbouring stretches whose union adds
least to the sum of squared distances to the means are merged, until W are left.
"""

import numpy as np
import scipy.sparse

from hicm.config import RetrievalConfig


def windows(frames: np.ndarray, counted: np.ndarray, settings: RetrievalConfig) -> np.ndarray:
    """bool [W, T]: rows that do not count belong to no window; of n < W rows each is a window, and the rest are empty.

    The windows are those of scikit-learn's AgglomerativeClustering, which only merges neighbours.
    """
    rows = np.flatnonzero(counted)
    found = np.zeros((settings.windows, len(frames)), bool)
    found[_labels(frames[rows], settings.windows), rows] = True
    return found


def _labels(frames: np.ndarray, count: int) -> np.ndarray:
    """The window of each frame [n, D], int64 [n], ascending from 0."""
    if len(frames) <= count:
        return np.arange(len(frames))
    if count == 1:
        return np.zeros(len(frames), np.int64)
    from sklearn.cluster import AgglomerativeClustering

    chain = scipy.sparse.diags_array(np.ones((2, len(frames) - 1)), offsets=(-1, 1), format="csr")
    labels = AgglomerativeClustering(n_clusters=count, linkage="ward", connectivity=chain).fit(frames).labels_
    return np.cumsum(np.diff(labels, prepend=labels[0]) != 0)
