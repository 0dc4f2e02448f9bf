"""Dense video captioning: events with their times and captions, scored by `hicm.dvc_eval`."""

from collections.abc import Sequence
from typing import Any

from hicm.tasks import Task
from hicm.types import Event, Span, Video


def _evaluate(*arguments: Any, **options: Any) -> Any:
    from hicm.dvc_eval import evaluate

    return evaluate(*arguments, **options)


def _metrics(protocol: str) -> Sequence[str]:
    from hicm.dvc_eval import available_metrics
    from hicm.dvc_eval.results.signature import read_signature
    from hicm.evaluation.signatures import is_signature

    return available_metrics(read_signature(protocol)[0] if is_signature(protocol) else protocol)


def _protocols(names: Sequence[str], **options: Any) -> list[str]:
    from hicm.dvc_eval.evaluate import find_wanted

    return [one.rules.name for one in find_wanted(names, **options)]


def _to_json(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Times in seconds, a score and a level where there is one."""
    return [{"sentence": event.text, "timestamp": [event.span.start, event.span.end]}
            | ({} if event.score is None else {"score": event.score})
            | ({} if event.level is None else {"level": event.level}) for event in events]


def _made_up(videos: Sequence[Video]) -> list[tuple[str, dict[str, Any]]]:
    one = _to_json([Event(Span(0.0, 1.0), "something happens")])
    return [("", dict.fromkeys((video.id for video in videos), one)),
            ("events", {video.id: [] for video in videos})]


TASK = Task("dvc", _evaluate, _metrics, ("CIDEr", "F1", "soda_d"), _to_json, _made_up, _protocols)
