"""Moment retrieval: for each query of a video, windows and scores of its clips, scored by `hicm.moments_eval`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hicm.errors import UserError
from hicm.moments.dense import queries_of, to_annotations
from hicm.moments.records import Found
from hicm.tasks import Task
from hicm.types import Video

DECIMALS = 4  # of seconds and scores, as submissions have them


def _evaluate(predictions: Any, references: Sequence[Any], protocol: Any, **options: Any) -> Any:
    from hicm.moments_eval import evaluate

    annotations: Any = list(references)
    if annotations and isinstance(annotations[0], Mapping):
        if len(annotations) > 1:
            raise UserError(f"annotations: {len(annotations)} annotators, but each query of moment retrieval is "
                            "annotated once; put their queries into one file")
        annotations = to_annotations(annotations[0].values())
    return evaluate(predictions, annotations, protocol, **options)


def _metrics(protocol: str) -> Sequence[str]:
    from hicm.evaluation.signatures import is_signature
    from hicm.moments_eval import available_metrics
    from hicm.moments_eval.results.signature import read_signature

    return available_metrics(read_signature(protocol)[0] if is_signature(protocol) else protocol)


def _protocols(names: Sequence[str], **options: Any) -> list[str]:
    from hicm.moments_eval.evaluate import find_wanted

    return [rules.name for rules, _ in find_wanted(names, **options)]


def _to_json(found: Sequence[Found]) -> list[dict[str, Any]]:
    return [{"qid": one.query, "query": one.text, "windows": _plain(one.windows)}
            | ({} if one.saliency is None else {"saliency": _plain(one.saliency)}) for one in found]


def _plain(numbers: np.ndarray) -> Any:
    return numbers.astype(np.float64).round(DECIMALS).tolist()


def _made_up(videos: Sequence[Video]) -> list[tuple[str, dict[str, Any]]]:
    window = np.array([[0.0, 1.0, 1.0]])
    return [("", {video.id: _to_json([Found(query.id, query.text, window, np.zeros(1)) for query in queries_of(video)])
                  for video in videos})]


TASK = Task("moments", _evaluate, _metrics, ("R1@0.5", "R1@0.7", "mIoU", "mAP"), _to_json, _made_up, _protocols)
