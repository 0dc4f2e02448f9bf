"""Queries side by side with what is predicted for them, under the rules of a protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hicm.errors import UserError
from hicm.moments.postprocess import post_process
from hicm.moments.records import Annotations, Query, Submission
from hicm.moments_eval.inputs.protocols import Protocol
from hicm.moments_eval.inputs.windows import Padded, pad

SHOWN = 5  # ids that a message names


@dataclass(frozen=True)
class Case:
    """Q queries in the order of the annotations, and what is predicted for each.

    ``true``: rows of start and end; ``predicted``: start, end and score of the windows that count for mAP, best first;
    ``first`` (Q, 2): the window that R1 is about, empty where there is none.  ``listed`` (Q,): how many windows the
    file has.  ``saliency``: the scores per clip of each query (None: not given).
    """

    queries: tuple[Query, ...]
    true: Padded
    first: np.ndarray
    predicted: Padded
    listed: np.ndarray
    saliency: tuple[np.ndarray | None, ...]

    @property
    def has_windows(self) -> bool:
        """Whether any window is predicted at all."""
        return bool(self.listed.any())


def build_case(annotations: Annotations, submission: Submission, rules: Protocol) -> Case:
    """Both sides, with windows post-processed and cut as the rules say."""
    queries = annotations.queries
    found = [submission.predictions.get(query.id) for query in queries]
    none = np.zeros((0, 3))
    lists = [none if one is None or one.windows is None else one.windows for one in found]
    listed = pad([_first_ones(windows, rules) for windows in lists], 3)
    listed = Padded(_processed(listed.rows, [query.duration for query in queries], rules), listed.counts)
    best = listed.best_first(listed.rows[..., 2], rules.max_windows)
    first = best if rules.order == "score" else listed
    return Case(
        queries=queries, true=pad([query.windows for query in queries], 2), predicted=best,
        first=first.rows[:, 0, :2], listed=np.array([len(windows) for windows in lists], dtype=np.int64),
        saliency=tuple(None if one is None else one.saliency for one in found))


def _first_ones(windows: np.ndarray, rules: Protocol) -> np.ndarray:
    """The windows (p, 3) of one query that may count, in the order of the file."""
    if len(windows) <= rules.max_windows:
        return windows
    if rules.order == "listed":
        return windows[:rules.max_windows]
    return windows[np.sort(np.argsort(-windows[:, 2], kind="stable")[:rules.max_windows])]


def _processed(windows: np.ndarray, durations: Sequence[float | None], rules: Protocol) -> np.ndarray:
    """Windows (Q, N, 3), post-processed."""
    if rules.clamp or rules.round:
        windows = post_process(windows.reshape(-1, 3), rules.clamp, rules.round).reshape(windows.shape)
    if rules.clamp_to_video:
        longest = np.array([np.inf if one is None else one for one in durations])[:, None, None]
        windows = np.concatenate([np.clip(windows[..., :2], 0.0, longest), windows[..., 2:]], axis=-1)
    return windows


def coverage(annotations: Annotations, submission: Submission) -> dict[str, Any]:
    """Which queries the scores are about.

    Numbers: ``queries`` in the annotations and ``scored``.  Ids: ``missing`` from the predictions, ``empty`` in them,
    ``unknown`` to the annotations.
    """
    known = {query.id for query in annotations.queries}
    predictions = submission.predictions
    moments = any(one.windows is not None for one in predictions.values())  # else highlights alone are predicted
    return {
        "queries": len(known), "scored": len(known),
        "missing": [query.id for query in annotations.queries if query.id not in predictions],
        "empty": [name for name, one in predictions.items() if name in known and moments
                  and (one.windows is None or not len(one.windows))],
        "unknown": [name for name in predictions if name not in known],
    }


def check_coverage(covered: dict[str, Any], rules: Protocol) -> list[str]:
    """Warnings about queries that the rules count as 0 or leave out.  Raises UserError for those they do not allow."""
    if len(covered["missing"]) == covered["queries"]:
        raise UserError(f"predictions: none of the {covered['queries']} annotated queries is predicted; annotated: "
                        f"{_some(covered['missing'])}; predicted: {_some(covered['unknown']) or 'none'}")
    said = {"missing": ("queries are not predicted", "missing", "zero", "they count as 0"),
            "empty": ("queries are predicted without a window", "missing", "zero", "they count as 0"),
            "unknown": ("predicted queries are not annotated", "unknown", "ignore", "they are not scored")}
    warnings = []
    for kind, (what, rule, allowed, effect) in said.items():
        if not covered[kind]:
            continue
        one = f"{len(covered[kind])} {what} ({_some(covered[kind])})"
        if getattr(rules, rule) != allowed:
            raise UserError(f"predictions: {one}, which protocol {rules.name} does not allow; complete the file, or "
                            f"score with --rule {rule}={allowed}")
        warnings.append(f"predictions: {one}; {effect}")
    return warnings


def _some(ids: Sequence[str]) -> str:
    more = f", and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more


def clip_warnings(case: Case, rules: Protocol) -> list[str]:
    """Warnings about queries with more or fewer scores of clips than their video has clips."""
    other = [(query.id, len(scores), int(query.duration / rules.clip_length))
             for query, scores in zip(case.queries, case.saliency, strict=True)
             if scores is not None and query.ratings is not None and query.duration is not None
             and len(scores) != int(query.duration / rules.clip_length)]
    if not other:
        return []
    name, given, clips = other[0]
    return [f"predictions: {len(other)} queries have another number of clip scores than their video has clips of "
            f"{rules.clip_length:g} s (first: {name}, {given} for {clips}); missing ones count as 0, further ones are "
            "cut off"]
