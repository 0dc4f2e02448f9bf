"""The bank as matrices, and one batch of queries scored against it.

M = B * W windows of a batch (video-major), n_l nodes at level l (level 0: the captions), D width.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse

from hicm.memory.bank import Bank, Leaves, Level
from hicm.retrieval.own_out import OwnOut
from hicm.retrieval.select import NEVER, listed_scores

SMALLEST_NORM = 1e-8
# Cosines that a dense product computes while one node is looked up and scored by itself.  A rough estimate: the best
# value depends on the machine and the number of windows.  But for ties and rounding, it only changes the time.
GATHER = 32


def captions_mean(bank: Bank) -> np.ndarray:
    """Float32 [D]: the mean embedding of the bank's captions, or of its finest level where it does not hold theirs."""
    leaves = bank.leaves
    own = None if leaves is None else leaves.embeddings
    return (bank.level(1).embeddings if own is None else own).mean(axis=0, dtype=np.float64).astype(np.float32)


class Tables:
    """What all searches of one bank share; matrices are made when first asked for.

    ``rounding``: round means to float16, as the released code does with its float16 bank.  ``centre`` float32 [D]: what
    is subtracted from embeddings before cosines are taken; None: nothing.
    """

    def __init__(self, bank: Bank, rounding: bool = False, centre: np.ndarray | None = None) -> None:
        self.bank = bank
        self.rounding = rounding
        self.centre = centre
        self._matrices: dict[int, np.ndarray] = {}
        self._units: dict[int, np.ndarray] = {}
        self._children: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def matrix(self, level: int) -> np.ndarray:
        """Embeddings float32 [n_l, D]."""
        if level not in self._matrices:
            source: Leaves | Level | None = self.bank.leaves if level == 0 else self.bank.level(level)
            if source is None or source.embeddings is None:
                raise ValueError("the bank does not hold its captions' embeddings")
            self._matrices[level] = np.ascontiguousarray(source.embeddings, np.float32)
        return self._matrices[level]

    def unit(self, level: int) -> np.ndarray:
        """Embeddings, less ``centre``, divided by their norms, float32 [n_l, D]; a zero embedding stays zero."""
        if level not in self._units:
            self._units[level] = self._scaled(self.matrix(level))
        return self._units[level]

    def unit_captions(self, captions: np.ndarray) -> np.ndarray:
        """`unit` of some captions [n], float32 [n, D]."""
        return self._scaled(self.matrix(0)[captions])

    def _scaled(self, embeddings: np.ndarray) -> np.ndarray:
        return unit_rows(embeddings if self.centre is None else embeddings - self.centre)

    def children(self, level: int, kept: np.ndarray) -> np.ndarray:
        """The children of the kept nodes [M, K] as candidates of the level below, int64 [M, C], -1 padded.

        They follow the order in which their parents were kept, and among one parent's children list order.
        """
        if level not in self._children:
            lists = self.bank.level(level).children
            ends = np.cumsum([len(ids) for ids in lists])
            self._children[level] = np.concatenate([[0], ends]), np.concatenate(lists).astype(np.int64)
        starts, index = self._children[level]
        lengths = np.where(kept >= 0, starts[kept + 1] - starts[kept], 0)
        totals = lengths.sum(axis=1)
        candidates = np.full((len(kept), int(totals.max(initial=0))), -1)
        lengths, first = lengths.ravel(), starts[kept].ravel()
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        candidates[np.arange(candidates.shape[1]) < totals[:, None]] = index[np.repeat(first, lengths) + within]
        return candidates

    def round(self, vectors: np.ndarray) -> np.ndarray:
        """``vectors`` as float32, through float16 when the released rounding is on."""
        return vectors.astype(np.float16).astype(np.float32) if self.rounding else vectors


class Queries:
    """The window queries of a batch of videos, and what they may recall.

    ``means`` [B, W, D] are the queries and ``valid`` bool [B, W] those that stand for a real frame; ``own`` says per
    video what it may not recall; ``ids`` are the videos' ids, where they are known.  With ``best_out`` no window may
    recall its best node of a level (the first on ties), as CM2 trains.
    """

    def __init__(self, tables: Tables, means: np.ndarray, valid: np.ndarray, own: Sequence[OwnOut | None],
                 ids: Sequence[str] | None = None, best_out: bool = False) -> None:
        self.batch, self.windows, width = means.shape
        self.tables = tables
        self.queries = means.reshape(-1, width)
        self.valid = valid.reshape(-1)
        self.own = own
        self.ids = ids
        self.best_out = best_out
        self.cosines = 0  # how many were computed so far
        self._norms = np.maximum(np.linalg.norm(self.queries, axis=1, keepdims=True), SMALLEST_NORM).astype(np.float32)
        self._scores: dict[int, np.ndarray] = {}

    def rows(self) -> Iterator[slice]:
        """Per video, its rows among the M windows."""
        return (slice(video * self.windows, (video + 1) * self.windows) for video in range(self.batch))

    def by_video(self, array: np.ndarray) -> np.ndarray:
        """Rows of windows [M, ...] as [B, W, ...]."""
        return array.reshape(self.batch, self.windows, *array.shape[1:])

    def everything(self, level: int) -> np.ndarray:
        """All ids of a level as candidates [M, n_l], ascending; nothing (-1) for a window without a frame."""
        ids = np.arange(len(self.tables.matrix(level)))
        return np.where(self.valid[:, None], ids, -1)

    def whole(self, level: int) -> tuple[np.ndarray, np.ndarray]:
        """`everything` of a level as candidates, and their scores float32 [M, n_l], for `select_listed`."""
        scores = self.scores(level)
        ids = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
        return ids, scores if self.valid.all() else np.where(self.valid[:, None], scores, NEVER)

    def scores(self, level: int) -> np.ndarray:
        """Cosines float32 [M, n_l]; 0 for a zero query, -inf for what the window may not recall.

        The query's norm divides last, so that equal products stay equal scores.
        """
        if level not in self._scores:
            self._scores[level] = self._dense(level, np.arange(self.batch))
        return self._scores[level]

    def listed(self, level: int, candidates: np.ndarray) -> np.ndarray:
        """The `scores` of the candidates [M, C] of a level, float32 [M, C]; -inf where padded.

        A video with few candidates has them scored one by one, which takes as long for a large level as for a small
        one; a video with many has the whole level scored.  Which of the two depends on the video alone.  One by one,
        equal embeddings have equal scores, as einsum adds up every row in the same order; in the product of a whole
        level, BLAS may round them differently, also with the number of videos.
        """
        nodes, by_video = len(self.tables.matrix(level)), self.by_video(candidates)
        many = np.count_nonzero(by_video >= 0, axis=(1, 2)) * GATHER > self.windows * nodes
        if self.best_out or many.all():  # the best of a level is among all its nodes
            return listed_scores(candidates, self.scores(level))
        scores = np.full(by_video.shape, NEVER)
        if many.any():
            wanted = by_video[many]
            scores[many] = listed_scores(wanted.reshape(-1, wanted.shape[2]),
                                         self._dense(level, np.flatnonzero(many))).reshape(wanted.shape)
        for video in np.flatnonzero(~many).tolist():
            scores[video] = self._one_by_one(level, video, by_video[video])
        return scores.reshape(candidates.shape)

    def _dense(self, level: int, videos: np.ndarray) -> np.ndarray:
        """The `scores` of all windows of some videos [V], float32 [V * W, n_l]."""
        rows = np.arange(len(self.queries)).reshape(self.batch, self.windows)[videos].ravel()
        scores = self.queries[rows] @ self.tables.unit(level).T
        self.cosines += scores.size
        for part, video in zip(scores.reshape(len(videos), self.windows, scores.shape[1]), videos, strict=True):
            own = self.own[video]
            if own is not None and level in own.stand_ins:
                nodes, leaves = own.stand_ins[level]
                part[:, nodes] = self.by_video(self.queries)[video] @ self.tables.unit_captions(leaves).T
            if own is not None:
                part[:, own.removed.get(level, [])] = NEVER
        scores /= self._norms[rows]
        if self.best_out:
            scores[np.arange(len(scores)), scores.argmax(axis=1)] = NEVER
        return scores

    def _one_by_one(self, level: int, video: int, candidates: np.ndarray) -> np.ndarray:
        """The scores of a video's candidates [W, C], float32 [W, C]; -inf where padded."""
        unit, own, queries = self.tables.unit(level), self.own[video], self.by_video(self.queries)[video]
        scores = np.full(candidates.shape, NEVER)
        for row, (wanted, query) in enumerate(zip(candidates, queries, strict=True)):
            named = wanted >= 0
            scores[row, named] = np.einsum("cd,d->c", unit.take(wanted[named], axis=0), query)
            self.cosines += int(np.count_nonzero(named))
        leaves = _stand_ins(own, level, candidates)
        places = np.nonzero(leaves >= 0)
        if len(places[0]):
            others = self.tables.unit_captions(leaves[places])
            scores[places] = np.einsum("cd,cd->c", others, queries[places[0]])
        scores /= self.by_video(self._norms)[video]
        if own is not None and level in own.removed:
            scores[np.isin(candidates, own.removed[level])] = NEVER
        return scores

    def hide(self, level: int, scores: np.ndarray) -> None:
        """Set the scores [M, n_l] of what the windows' videos may not recall to -inf."""
        for rows, own in zip(self.rows(), self.own, strict=True):
            if own is not None:
                scores[rows, own.removed.get(level, [])] = NEVER

    def stand_ins(self, level: int, kept: np.ndarray) -> np.ndarray:
        """Leaf int32 [M, K] that stands in for each kept node [M, K] of a level; -1: the node itself is read."""
        found = np.empty(kept.shape, np.int32)
        for rows, own in zip(self.rows(), self.own, strict=True):
            found[rows] = _stand_ins(own, level, kept[rows])
        return found

    def mean(self, level: int, kept: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Mean of the kept nodes' embeddings, float32 [M, D]; zero where nothing was kept (g_l of 2.5).

        Where a caption stands in for a node, its embedding is taken.  ``weights`` float32 [M, K]: how much each node
        counts, 1 the one that counts most, 0 where ``kept`` is padded; None: all count alike.
        """
        stand_in = self.stand_ins(level, kept)
        total = _sums(np.where(stand_in < 0, kept, -1), self.tables.matrix(level), weights)
        if (stand_in >= 0).any():
            total += _sums(stand_in, self.tables.matrix(0), weights)
        counts = (kept >= 0).sum(axis=1, keepdims=True)
        if weights is not None and kept.shape[1]:
            counts = np.cumsum(weights, axis=1)[:, -1:]  # one after the other: padding changes no rounding
        return self.tables.round(total / np.maximum(counts, 1).astype(np.float32))


def unit_rows(matrix: np.ndarray) -> np.ndarray:
    """Rows divided by their L2 norm (at least 1e-8), float32."""
    norms = np.linalg.norm(matrix.astype(np.float32, copy=False), axis=1, keepdims=True)
    return (matrix / np.maximum(norms, SMALLEST_NORM)).astype(np.float32, copy=False)


def _stand_ins(own: OwnOut | None, level: int, kept: np.ndarray) -> np.ndarray:
    """`Queries.stand_ins` of one video's rows [W, K]."""
    if own is None or level not in own.stand_ins:
        return np.full(kept.shape, -1, np.int32)
    nodes, leaves = own.stand_ins[level]
    places = np.minimum(np.searchsorted(nodes, kept), len(nodes) - 1)
    return np.where(nodes[places] == kept, leaves[places], -1).astype(np.int32)


def _sums(ids: np.ndarray, matrix: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Sum of the named rows of a matrix [n, D], each times its weight [M, K], for each row of ids [M, K]; -1: none."""
    named = ids >= 0
    pointers = np.concatenate([[0], np.cumsum(named.sum(axis=1))])
    columns = ids[named]
    factors = np.ones(len(columns), np.float32) if weights is None else weights[named]
    picked = scipy.sparse.csr_array((factors, columns, pointers),
                                    shape=(len(ids), len(matrix)))
    return picked @ matrix
