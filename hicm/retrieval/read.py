"""One memory read: frames of a batch of videos in, one vector a window and the nodes behind it out.

B videos, T rows a video, D width, W windows, K nodes kept (padded with -1).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hicm.config import RetrievalConfig
from hicm.errors import UserError
from hicm.memory.bank import Bank
from hicm.retrieval.controls import random_nodes
from hicm.retrieval.flat import flat
from hicm.retrieval.hierarchical import Kept, descend, top_only
from hicm.retrieval.own_out import Provenance
from hicm.retrieval.scoring import Queries, Tables
from hicm.retrieval.windows import window_means


@dataclass(frozen=True, eq=False)
class Read:
    """What a batch of videos recalled.  Dictionaries go by level, coarse to fine; level 0 = captions.

    They name every node that was kept on the way, also at levels that were passed through but not read.
    """

    vectors: np.ndarray  # [B, W, D] float32; zero where nothing was kept
    mask: np.ndarray  # [B, W] bool; False: the window has no real frame (only with mask_padding)
    nodes: dict[int, np.ndarray]  # level -> [B, W, K] int32, best first, -1 padded
    scores: dict[int, np.ndarray]  # level -> [B, W, K] float32 cosines
    stand_in: dict[int, np.ndarray]  # level -> [B, W, K] int32: leaf read in the node's place (own_out.py), or -1


class Reader:
    """Reads a bank as ``retrieval`` says.  ``bank`` may be None for search "none" and "zero".

    Raises UserError when the settings do not fit the bank; warns when every read will be the same vector.
    """

    def __init__(self, bank: Bank | None, settings: RetrievalConfig) -> None:
        self.settings = settings
        self.tables: Tables | None = None
        self.used: list[int] = []
        self._provenance: Provenance | None = None
        if settings.windows < 1 or settings.top_k < 1:
            raise UserError(f"retrieval: windows={settings.windows}, top_k={settings.top_k}; expected 1 or more")
        if settings.search in ("none", "zero"):
            return
        if bank is None:
            raise UserError(f"retrieval.search={settings.search} needs a memory bank; build one, or set "
                            "retrieval.search=none")
        stored = bank.levels[0].embeddings.dtype
        self.tables = Tables(bank, settings.precision == "stored" and stored == np.float16)
        self.used = _used_levels(bank, settings)
        _check_flat_level(bank, settings)
        _warn_if_constant(bank, settings)

    def read(self, frames: np.ndarray, mask: np.ndarray, exclude: Sequence[str | None] | None = None,
             ids: Sequence[str] | None = None) -> Read:
        """Read the memory for frames [B, T, D] float32 with mask bool [B, T] (True: a real frame).

        ``exclude[b]``: the video whose captions item b may not recall (None: nothing is left out).  ``ids`` are
        the videos' ids, needed by search "random" only.  Raises UserError when the bank is not as wide as the
        frames, when there are more windows than rows, or when the bank cannot tell which captions are whose.
        """
        settings, (batch, _, width) = self.settings, frames.shape
        if settings.search == "none":
            return Read(np.zeros((batch, 0, width), np.float32), np.zeros((batch, 0), bool), {}, {}, {})
        means, valid = window_means(frames, mask, settings.windows, settings.tail, settings.mask_padding)
        if self.tables is None:
            return Read(np.zeros_like(means), valid, {}, {}, {})
        if width != self.tables.bank.width:
            raise UserError(f"features are {width} wide and the memory bank {self.tables.bank.width}; build the "
                            "bank with the text encoder that belongs to the features (memory.encoder)")
        queries = Queries(self.tables, means.reshape(-1, width), valid.reshape(-1), self._own_out(exclude, batch))
        vectors, kept = self._search(queries, ids)
        return _fold(queries, vectors, valid, kept)

    def _search(self, queries: Queries, ids: Sequence[str] | None) -> tuple[np.ndarray, Kept]:
        match self.settings.search:
            case "descend":
                return descend(queries, self.settings, self.used)
            case "top_only":
                return top_only(queries, self.settings, self.used)
            case "flat":
                return flat(queries, self.settings)
            case _:
                if ids is None:
                    raise ValueError("search 'random' draws by video: pass ids")
                return random_nodes(queries, self.settings, self.used, ids)

    def _own_out(self, exclude: Sequence[str | None] | None, batch: int) -> list:
        if exclude is None or all(video is None for video in exclude):
            return [None] * batch
        if self._provenance is None:
            self._provenance = Provenance(self.tables.bank)
        return [None if video is None else self._provenance.own_out(video) for video in exclude]


def _fold(queries: Queries, vectors: np.ndarray, valid: np.ndarray, kept: Kept) -> Read:
    """Rows of windows back into [B, W, ...]."""
    def shape(array: np.ndarray) -> np.ndarray:
        return array.reshape(*valid.shape, array.shape[-1])

    return Read(shape(vectors), valid, {level: shape(nodes) for level, (nodes, _) in kept.items()},
                {level: shape(scores) for level, (_, scores) in kept.items()},
                {level: shape(queries.stand_ins(level, nodes)) for level, (nodes, _) in kept.items()})


def _used_levels(bank: Bank, settings: RetrievalConfig) -> list[int]:
    levels = sorted(set(settings.levels)) or list(range(1, bank.depth + 1))
    if not 1 <= levels[0] <= levels[-1] <= bank.depth:
        raise UserError(f"retrieval.levels={settings.levels}: the bank has levels 1 (finest) to {bank.depth}")
    return levels


def _check_flat_level(bank: Bank, settings: RetrievalConfig) -> None:
    if settings.search != "flat":
        return
    if not 0 <= settings.flat_level <= bank.depth:
        raise UserError(f"retrieval.flat_level={settings.flat_level}: the bank has levels 1 (finest) to {bank.depth}, "
                        "and 0 for the captions")
    if settings.flat_level == 0 and (bank.leaves is None or bank.leaves.embeddings is None):
        raise UserError("retrieval.flat_level=0: this memory bank does not hold its captions' embeddings; choose a "
                        f"level from 1 to {bank.depth}")


def _warn_if_constant(bank: Bank, settings: RetrievalConfig) -> None:
    top = len(bank.levels[-1])
    if settings.search == "top_only" and settings.select == "top-k" and settings.top_k >= top:
        warnings.warn(f"retrieval.search=top_only with top_k={settings.top_k} reads all {top} top nodes: every window "
                      "of every video recalls the same vector", stacklevel=3)
