"""Several feature stores as one: the rows of a video side by side (``data.streams``)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from hicm.data.features import Features, open_features
from hicm.data.streams import join_streams


class JoinedFeatures(Features):
    """The features of several stores, each row L2-normalised; all have the same rows per second.

    A video's rows end with those of the shortest store, as extractors differ by a row or two.
    """

    def __init__(self, stores: Sequence[Features]) -> None:
        self.stores, self.fps = tuple(stores), stores[0].fps
        self.path = Path(" + ".join(str(store.path) for store in stores))

    @property
    def width(self) -> int:
        """D of all stores together."""
        return sum(store.width for store in self.stores)

    def __contains__(self, video_id: str) -> bool:
        return all(video_id in store for store in self.stores)

    def keys(self) -> Iterator[str]:
        """The ids as they are written in the first store."""
        return self.stores[0].keys()

    def read(self, video_id: str) -> np.ndarray:
        """float32 [T, D]; see `Features.read`."""
        return join_streams([store.read(video_id) for store in self.stores])

    def fingerprint(self, video_ids: Iterable[str]) -> str:
        """Digest of what the stores hold for these videos."""
        wanted = tuple(video_ids)
        return hashlib.sha256(" ".join(store.fingerprint(wanted) for store in self.stores).encode()).hexdigest()


def open_streams(path: str | Path, streams: Sequence[str], fps: float = 1.0,
                 listed: Mapping[str, str] | None = None, array: str = "") -> Features:
    """The features at ``path``, and beside their rows those of ``streams``; see `open_features`.

    Raises UserError when one of them is missing or of an unknown kind.
    """
    stores = [open_features(one, fps, listed, array) for one in (path, *streams)]
    return JoinedFeatures(stores) if streams else stores[0]
