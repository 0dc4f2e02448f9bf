"""One memory read: the frames of a batch of videos in, what is handed over and the nodes behind it out.

The search named by ``retrieval.search`` decides which nodes are kept (`hicm.retrieval.search`), the read named by
``retrieval.read`` what of them is handed over (`hicm.retrieval.reads`).

B videos, T rows per video, W windows, K nodes kept, S slots, D width.
"""

import warnings
from collections.abc import Sequence
from typing import get_args, get_type_hints

import numpy as np

from hicm.config import READS, SEARCHES, RetrievalConfig
from hicm.errors import UserError
from hicm.memory.bank import Bank
from hicm.plugins import find_module
from hicm.retrieval.own_out import OwnOut, Provenance
from hicm.retrieval.records import Kept, Recalled, Tokens
from hicm.retrieval.scoring import Queries, Tables, captions_mean
from hicm.retrieval.windows import window_means


def needs_bank(settings: RetrievalConfig) -> bool:
    """Whether the search looks into a memory bank; "none" and "zero" do not.  UserError when there is no such search.
    """
    return getattr(find_module(name=settings.search, **SEARCHES), "NEEDS_BANK", True)


class Reader:
    """Reads a bank as ``retrieval`` says.  ``bank`` may be None for a search that needs none.

    ``mean`` float32 [D]: what ``retrieval.centring`` subtracts from the queries (`hicm.retrieval.mean_frame`).  Raises
    UserError when the settings do not fit the bank, or ``mean`` is missing; a search may warn when every read will be
    the same.
    """

    def __init__(self, bank: Bank | None, settings: RetrievalConfig, mean: np.ndarray | None = None) -> None:
        self.settings = settings
        self._search = find_module(name=settings.search, **SEARCHES)
        self._read = find_module(name=settings.read, **READS)
        self._provenance: Provenance | None = None
        self.levels: list[int] = []  # to be read, ascending
        if settings.windows < 1 or settings.top_k < 1:
            raise UserError(f"retrieval: windows={settings.windows}, top_k={settings.top_k}; expected 1 or more")
        if settings.beam < 0:
            raise UserError(f"retrieval.beam={settings.beam}; expected 0 (no beam) or more")
        for name in ("select", "tail", "precision", "centring"):  # set in Python, nobody has checked them yet
            choices = get_args(get_type_hints(RetrievalConfig)[name])
            if getattr(settings, name) not in choices:
                raise UserError(f"retrieval.{name}: expected one of {', '.join(map(repr, choices))}, found "
                                f"{getattr(settings, name)!r}")
        self._mean: np.ndarray | None = None  # subtracted from the queries
        if not needs_bank(settings):
            self.tables = Tables(Bank(()))
            return
        if bank is None:
            raise UserError(f"retrieval.search={settings.search} needs a memory bank; build one, or set "
                            "retrieval.search=none")
        stored = bank.levels[0].embeddings.dtype
        if settings.centring != "none":
            self._mean = _check_mean(mean, bank, settings)
        centre = captions_mean(bank) if settings.centring == "both" else None
        self.tables = Tables(bank, settings.precision == "stored" and stored == np.float16, centre)
        self.levels = _levels(bank, settings)
        if settings.beam and not getattr(self._search, "BEAM", True):
            warnings.warn(f"retrieval.beam={settings.beam} has no effect with retrieval.search={settings.search}",
                          stacklevel=2)
        if settings.temperature != RetrievalConfig.temperature and not getattr(self._read, "TEMPERED", False):
            warnings.warn(f"retrieval.temperature={settings.temperature:g} has no effect with retrieval.read="
                          f"{settings.read}", stacklevel=2)
        if hasattr(self._search, "check"):
            self._search.check(bank, settings)

    def read(self, frames: np.ndarray, mask: np.ndarray, exclude: Sequence[str | None] | None = None,
             ids: Sequence[str] | None = None, best_out: bool = False) -> Recalled:
        """Read the memory for frames [B, T, D] float32 with mask bool [B, T] (True: a real frame).

        ``exclude[b]``: the video whose captions item b may not recall (None: nothing is left out).  ``ids`` are
        the videos' ids, needed by search "random" only.  ``best_out``: no window keeps its best node.  Raises UserError
        when the bank is not as wide as the frames, when there are more windows than rows, or when the bank cannot tell
        which captions are whose.
        """
        settings, (batch, _, width) = self.settings, frames.shape
        queries, rows = self.queries(frames, mask, exclude, ids, best_out)
        kept: Kept | None = self._search.search(queries, settings, self.levels)
        if kept is None:
            return _nothing(batch, width)
        tokens: Tokens = self._read.read(queries, kept, settings)
        _check(tokens, batch, width, f"read {settings.read!r}")
        return Recalled(*tokens[:3], queries.by_video(queries.valid),
                        {level: queries.by_video(nodes) for level, nodes in kept.nodes.items()},
                        {level: queries.by_video(scores) for level, scores in kept.scores.items()},
                        {level: queries.by_video(queries.stand_ins(level, nodes))
                         for level, nodes in kept.nodes.items()}, tokens.scores, rows)

    def queries(self, frames: np.ndarray, mask: np.ndarray, exclude: Sequence[str | None] | None = None,
                ids: Sequence[str] | None = None, best_out: bool = False) -> tuple[Queries, np.ndarray]:
        """What `read`, which has the same arguments and errors, searches with; and the rows of each window, int32
        [B, W, 2] (`window_means`).
        """
        batch, _, width = frames.shape
        bank = self.tables.bank
        if bank.levels and width != bank.width:
            raise UserError(f"features are {width} wide and the memory bank {bank.width}; build the bank with the text "
                            "encoder that belongs to the features (memory.encoder)")
        means, valid, rows = window_means(frames, mask, self.settings)
        if self._mean is not None:
            means = np.where(valid[..., None], means - self._mean, np.float32(0))
        return Queries(self.tables, means, valid, self._own_out(exclude, batch), ids, best_out), rows

    def _own_out(self, exclude: Sequence[str | None] | None, batch: int) -> list[OwnOut | None]:
        if exclude is None or all(video is None for video in exclude) or not self.tables.bank.levels:
            return [None] * batch
        if self._provenance is None:
            self._provenance = Provenance(self.tables.bank)
        provenance = self._provenance
        return [None if video is None else provenance.own_out(video) for video in exclude]


def _levels(bank: Bank, settings: RetrievalConfig) -> list[int]:
    levels = sorted(set(settings.levels)) or list(range(1, bank.depth + 1))
    if not 0 <= levels[0] <= levels[-1] <= bank.depth:
        raise UserError(f"retrieval.levels={settings.levels}: the bank has levels 1 (finest) to {bank.depth}, and 0 "
                        "for the captions")
    if levels[0] == 0 and (bank.leaves is None or bank.leaves.embeddings is None):
        raise UserError(f"retrieval.levels={settings.levels}: this memory bank does not hold its captions' embeddings; "
                        f"choose levels from 1 (finest) to {bank.depth}")
    return levels


def _check_mean(mean: np.ndarray | None, bank: Bank, settings: RetrievalConfig) -> np.ndarray:
    if mean is None:
        raise UserError(f"retrieval.centring={settings.centring} needs the mean frame of the training split; make the "
                        "reader with hicm.retrieval.mean_frame, or set retrieval.centring=none")
    if mean.shape != (bank.width,):
        raise UserError(f"retrieval.centring={settings.centring}: the mean frame is {mean.size} wide and the memory "
                        f"bank {bank.width}; build the bank with the text encoder that belongs to the features "
                        "(memory.encoder)")
    return mean.astype(np.float32)


def _nothing(batch: int, width: int) -> Recalled:
    none = np.zeros((batch, 0), bool)
    return Recalled(np.zeros((batch, 0, width), np.float32), none, np.zeros((batch, 0, 3), np.int32), none, {}, {}, {},
                    window_rows=np.zeros((batch, 0, 2), np.int32))


def _check(tokens: Tokens, batch: int, width: int, what: str) -> None:
    """ValueError unless arrays have the agreed shapes and types: a read may come from another package."""
    count = tokens.mask.shape[1]
    expected = (((batch, count, width), np.float32), ((batch, count), np.bool_), ((batch, count, 3), np.int32),
                ((batch, count), np.float32))
    for name, array, (shape, dtype) in zip(tokens._fields, tokens, expected, strict=True):
        if array is not None and (array.shape, array.dtype) != (shape, dtype):
            raise ValueError(f"{what}: {name} are {array.dtype} {list(array.shape)}, expected {np.dtype(dtype)} "
                             f"{list(shape)}")
