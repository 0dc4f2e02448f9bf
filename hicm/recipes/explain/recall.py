"""What the windows of a video recall: as the run searches the memory, and by other searches and windows.

E annotated events of a video that a window overlaps, W windows, K kept nodes, n_l nodes at level l.
"""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hicm.config import SEARCHES, RetrievalConfig
from hicm.data.features import sample_or_all
from hicm.data.samples import Sample
from hicm.plugins import find_module
from hicm.recipes.explain.plan import Plan
from hicm.recipes.memory_reads.examples import iou
from hicm.retrieval.mean_frame import make_reader
from hicm.retrieval.own_out import Provenance
from hicm.retrieval.reader import Reader
from hicm.retrieval.records import Kept
from hicm.retrieval.scoring import Queries, Tables
from hicm.retrieval.windows import Seconds, window_seconds
from hicm.types import Event, Span

UNIFORM, EVENT = "uniform", "event"  # shapes of windows; EVENT: the events themselves
TIE = 1e-5  # captions whose cosines differ by less are equally near


@dataclass(frozen=True, eq=False)
class Asked:
    """The queries of a video's windows, and for each of E events the window that overlaps it most."""

    queries: Queries
    windows: np.ndarray  # int64 [E]: rows of the queries
    iou: np.ndarray  # float64 [E]: of window and event

    def kept(self, settings: RetrievalConfig, levels: list[int]) -> Kept:
        """What a search keeps of the memory, a row per event; ``levels`` are those to be read, ascending."""
        found: Kept = find_module(name=settings.search, **SEARCHES).search(self.queries, settings, levels)
        return Kept(*({level: rows[self.windows] for level, rows in part.items()}
                      for part in (found.nodes, found.scores, found.to_read)))


@dataclass(frozen=True, eq=False)
class Case:
    """One video: its events, what its windows ask the memory, by shape, and how near its captions are to all nodes."""

    events: tuple[Event, ...]
    asked: dict[str, Asked]
    truth: Queries  # the embeddings of the captions, not centred: one row per event

    def similarity(self, level: int, nodes: np.ndarray) -> np.ndarray:
        """Cosines float [E, K] of the events' captions and some nodes [E, K] of a level; NaN in the place of -1."""
        found = np.take_along_axis(self.truth.scores(level), np.maximum(nodes, 0), axis=1)
        return np.where(nodes >= 0, found, np.nan)


class Memory:
    """The memory of a run, asked in the run's own way and in others."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.settings = plan, plan.config.retrieval
        self.reader = make_reader(plan.bank, plan.config)
        self.shape = self.settings.window_shape
        self._shapes = {self.shape: self.reader}
        if self.shape != UNIFORM:
            self._shapes[UNIFORM] = _under(self.reader, window_shape=UNIFORM)
        self._whole = _under(self.reader, window_shape=UNIFORM, windows=1, mask_padding=True)
        self._plain = Tables(plan.bank)  # cosines of texts are not centred
        self._provenance = Provenance(plan.bank) if plan.own_out else None

    @property
    def shapes(self) -> list[str]:
        """Of windows, the run's own first."""
        return [*self._shapes, EVENT]

    def case(self, sample: Sample) -> Case | None:
        """A video of the split: the events with captions that a window overlaps; None where there are none."""
        events, data = [event for event in sample.events or () if event.text.strip()], self.plan.config.data
        frames, mask = sample_or_all(sample.rows, data.frames, self.settings.windows, data.sampling)
        asked = {shape: self._ask(reader, sample, frames, mask, events) for shape, reader in self._shapes.items()}
        there = np.all([one.windows >= 0 for one in asked.values()], axis=0)
        events = [event for event, found in zip(events, there.tolist(), strict=True) if found]
        if not events:
            return None
        asked = {shape: Asked(one.queries, one.windows[there], one.iou[there]) for shape, one in asked.items()}
        asked[EVENT] = self._ask_events(sample, frames, mask, [event.span for event in events])
        captions = np.stack([self.plan.embeddings[event.text] for event in events])[None]
        own = None if self._provenance is None else self._provenance.own_out(sample.id)
        truth = Queries(self._plain, captions, np.ones((1, len(events)), bool), [own])
        return Case(tuple(events), asked, truth)

    def _ask(self, reader: Reader, sample: Sample, frames: np.ndarray, mask: np.ndarray,
             events: Sequence[Event]) -> Asked:
        queries, rows = reader.queries(frames[None], mask[None], [sample.id] if self.plan.own_out else None,
                                       [sample.id])
        return Asked(queries, *overlapping([event.span for event in events], self._seconds(sample, queries, rows[0])))

    def _ask_events(self, sample: Sample, frames: np.ndarray, mask: np.ndarray, spans: Sequence[Span]) -> Asked:
        """An item per event, whose real frames are those of the event."""
        names = [sample.id] * len(spans)
        queries, _ = self._whole.queries(np.broadcast_to(frames, (len(spans), *frames.shape)),
                                         mask & self._frames_of(sample, len(frames), spans),
                                         names if self.plan.own_out else None, names)
        return Asked(queries, np.arange(len(spans)), np.ones(len(spans)))

    def _seconds(self, sample: Sample, queries: Queries, rows: np.ndarray) -> list[Seconds]:
        """Start and end of each window; None for those that ask nothing."""
        found = self._spans(sample, rows)
        return [span if valid else None for span, valid in zip(found, queries.valid.tolist(), strict=True)]

    def _spans(self, sample: Sample, rows: np.ndarray) -> list[Seconds]:
        data = self.plan.config.data
        return window_seconds(self.settings, sample.duration, data.frames, 1 / sample.seconds_per_row, data.sampling,
                              rows)

    def _frames_of(self, sample: Sample, count: int, spans: Sequence[Span]) -> np.ndarray:
        """The frames whose middle lies in each span, or the one nearest to the span's middle: bool [E, T]."""
        ends = np.stack([np.arange(count), np.arange(count) + 1], axis=1)
        middles = np.asarray([np.nan if one is None else sum(one) / 2 for one in self._spans(sample, ends)])
        found = np.asarray([(middles >= span.start) & (middles < span.end) for span in spans])
        for row in np.flatnonzero(~found.any(axis=1)).tolist():
            found[row, np.nanargmin(np.abs(middles - (spans[row].start + spans[row].end) / 2))] = True
        return found


def flat(settings: RetrievalConfig, level: int, count: int) -> RetrievalConfig:
    """The ``count`` best nodes of one level."""
    return replace(settings, search="flat", flat_level=level, select="top-k", top_k=count, beam=0)


def descend(settings: RetrievalConfig, beam: int) -> RetrievalConfig:
    """A descent that keeps ``beam`` nodes of every level, the last included."""
    return replace(settings, search="descend", select="top-k", top_k=beam, beam=beam)


def at_random(settings: RetrievalConfig) -> RetrievalConfig:
    """One node of each level, drawn by video and window."""
    return replace(settings, search="random", select="max", beam=0, seed=settings.seed + 1)


def overlapping(events: Sequence[Span], windows: Sequence[Seconds]) -> tuple[np.ndarray, np.ndarray]:
    """The window that overlaps each event longest (of those equal, by intersection over union), int64 [E], -1 for none;
    and the intersection over union of the two, float64 [E].
    """
    best, fits = np.full(len(events), -1), np.zeros(len(events))
    for row, event in enumerate(events):
        found = [(min(event.end, window[1]) - max(event.start, window[0]), iou(event, Span(*window)), -number)
                 for number, window in enumerate(windows) if window is not None]
        longest, fit, number = max(found, default=(0.0, 0.0, 0))
        if longest > 0:
            best[row], fits[row] = -number, fit
    return best, fits


def joined(parts: Sequence[dict[Any, np.ndarray]]) -> dict[Any, np.ndarray]:
    """Columns of several videos, one after the other."""
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def quietly(reduce: Any, values: np.ndarray, **options: Any) -> Any:
    """A reduction of NumPy that knows NaN, without its warning where there is nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return reduce(values, **options)


def _under(reader: Reader, **changes: Any) -> Reader:
    """The same reader, its tables shared, under other settings of windows."""
    found = copy.copy(reader)
    found.settings = replace(reader.settings, **changes)
    return found
