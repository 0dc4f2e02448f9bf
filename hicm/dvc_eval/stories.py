"""SODA of every video and reference file: types c and d as the toolkits of the protocols run them."""

from dataclasses import dataclass

import numpy as np

from hicm.dvc_eval.case import Case, Texts
from hicm.dvc_eval.soda import PairScores, by_start, soda
from hicm.dvc_eval.spans import iou


@dataclass(frozen=True)
class PairTable:
    """Segment scores (D,) of distinct (METEOR hypothesis, METEOR reference) text indices, as ascending codes."""

    codes: np.ndarray
    scores: np.ndarray
    texts: int  # code = hypothesis * texts + reference

    def look_up(self, hypothesis: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Scores of pairs that are all in the table."""
        return self.scores[np.searchsorted(self.codes, hypothesis * self.texts + reference)]


def soda_pairs(case: Case, texts: Texts) -> np.ndarray:
    """Distinct (reference caption, predicted caption) pairs with IoU > 0, (D, 2) text indices, sorted.

    The toolkits give METEOR the reference caption as its hypothesis and the prediction as its reference.
    """
    codes = [np.zeros(0, dtype=np.int64)]
    for video, predicted in enumerate(case.predicted):
        for track, written in zip(case.references[video], texts.references[video], strict=True):
            if track is not None and len(predicted):
                row, column = np.nonzero(iou(track.spans, predicted.spans) > 0)
                codes.append(np.unique(written[row] * len(texts.tokens) + texts.predicted[video][column]))
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), len(texts.tokens)), axis=1)


def soda_scores(case: Case, kind: str, texts: Texts | None = None, table: PairTable | None = None) -> np.ndarray:
    """Precision, recall and F of every video and annotator, (videos, annotators, 3).

    ``kind`` c (needs ``texts`` and ``table``) or d; all predictions count, without a cap.  NaN where the annotator
    left the video out or it is missing from the predictions; an empty prediction scores 0.
    """
    found = np.full((len(case.videos), len(case.references[0]), 3), np.nan)
    for video, predicted in enumerate(case.predicted):
        for annotator, track in enumerate(case.references[video]):
            if track is None or not case.present[video]:
                continue
            rows, columns = by_start(track.spans), by_start(predicted.spans)
            overlap = iou(track.spans[rows], predicted.spans[columns])
            meteor = None
            if kind == "c":
                meteor = _pair_scores(table, texts.references[video][annotator][rows],
                                      texts.predicted[video][columns])
            found[video, annotator] = soda(kind, overlap, meteor)
    return found


def _pair_scores(table: PairTable, written: np.ndarray, said: np.ndarray) -> PairScores:
    return lambda rows, columns: table.look_up(written[rows], said[columns])


def mean_over_files(found: np.ndarray) -> np.ndarray:
    """Precision, recall, F of the data set (3,): means over the videos of each file, then over files with any."""
    used = ~np.isnan(found[:, :, 0])
    files = [found[used[:, annotator], annotator].mean(axis=0) for annotator in range(found.shape[1])
             if used[:, annotator].any()]
    return np.mean(files, axis=0)


def mean_over_annotators(found: np.ndarray) -> dict[int, np.ndarray]:
    """Precision, recall, F of each video that takes part, by its index."""
    return {video: triples[~np.isnan(triples[:, 0])].mean(axis=0) for video, triples in enumerate(found)
            if not np.isnan(triples[:, 0]).all()}
