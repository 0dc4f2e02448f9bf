"""Several feature stores as one: the rows of a video side by side (``data.streams``)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from hicm.clock import Stream
from hicm.config import DataConfig
from hicm.data.features import Features, open_features
from hicm.data.streams import join_streams, normalise_rows, resample_rows


class JoinedFeatures(Features):
    """The features of several stores, each row L2-normalised, on the clock of the first store.

    Rows of a store with another clock are resampled (`resample_rows`), and under ``data.feature_rows: spread`` those of
    every store that has another number of them.  A video's rows end with those of the shortest store, as extractors
    differ by a row or two.
    """

    def __init__(self, stores: Sequence[Features]) -> None:
        self.stores, self.clock = tuple(stores), stores[0].clock
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

    def lacking(self, video_ids: Iterable[str]) -> Features:
        """The first of the stores that lack the most of these videos."""
        wanted = list(video_ids)
        return max(self.stores, key=lambda store: len(store.missing(wanted)))

    def read(self, video_id: str) -> np.ndarray:
        """float32 [T, D]; see `Features.read`."""
        first, *others = self.stores
        rows = first.read(video_id)
        return join_streams([rows, *(self._on_clock(store, store.read(video_id), len(rows)) for store in others)])

    def fingerprint(self, video_ids: Iterable[str]) -> str:
        """Digest of what the stores hold for these videos."""
        wanted = tuple(video_ids)
        return hashlib.sha256(" ".join(store.fingerprint(wanted) for store in self.stores).encode()).hexdigest()

    def _on_clock(self, store: Features, x: np.ndarray, rows: int) -> np.ndarray:
        """Rows x of a store on the clock of the first one, which has ``rows`` rows."""
        if self.clock.rows == "spread":
            per_row = len(x) / rows
        elif store.clock == self.clock:
            return x
        else:
            per_row = store.clock.rate / self.clock.rate
        return resample_rows(normalise_rows(x), per_row)


def open_all(config: DataConfig, listed: Mapping[str, str] | None = None) -> Features:
    """The features that the settings name, with those of ``data.streams`` beside them.

    ``listed`` as in `open_features`.  Of a stream that has its own number of rows per second all rows are read.  Raises
    UserError when a store is missing or of an unknown kind.
    """
    def store(stream: Stream) -> Features:
        rows = config.feature_rows if stream.fps == config.feature_fps else "all"
        return open_features(stream.path, stream.fps, listed, config.feature_array, rows)

    first = open_features(config.features, config.feature_fps, listed, config.feature_array, config.feature_rows)
    return JoinedFeatures([first, *map(store, config.beside)]) if config.streams else first
