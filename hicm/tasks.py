"""What systems are asked for, task by task: the form of their predictions, and who scores them.

A task is found by its name; its evaluator is imported when it is used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hicm.errors import UserError
from hicm.types import Event


@dataclass(frozen=True)
class Task:
    """One task.

    ``evaluate(predictions, references, protocol, metrics=...)`` returns a result with ``scores`` and, for those that
    cannot be computed here, ``left_out``: their reasons.  ``metrics(protocol)``: the names of a protocol's scores.
    ``protocols`` gives the names of protocols that are asked for, and raises UserError if they, ``metrics`` or
    ``rules`` are unknown.
    """

    name: str
    evaluate: Callable[..., Any]
    metrics: Callable[[str], Sequence[str]]
    watched: tuple[str, ...]  # metrics shown during training, beside the selecting one
    protocols: Callable[..., list[str]] = lambda names, **_: list(names)

    def to_json(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Events in the form of a predictions file; times in seconds, a score and a level where there is one."""
        return [{"sentence": event.text, "timestamp": [event.span.start, event.span.end]}
                | ({} if event.score is None else {"score": event.score})
                | ({} if event.level is None else {"level": event.level}) for event in events]


def _dvc(*arguments: Any, **options: Any) -> Any:
    from hicm.dvc_eval import evaluate

    return evaluate(*arguments, **options)


def _dvc_metrics(protocol: str) -> Sequence[str]:
    from hicm.dvc_eval import available_metrics
    from hicm.dvc_eval.results.signature import read_signature
    from hicm.evaluation.signatures import is_signature

    return available_metrics(read_signature(protocol)[0] if is_signature(protocol) else protocol)


def _dvc_protocols(names: Sequence[str], **options: Any) -> list[str]:
    from hicm.dvc_eval.evaluate import find_wanted

    return [one.rules.name for one in find_wanted(names, **options)]


def summands(metric: str) -> list[str]:
    """The scores of a metric that may be their sum.

    >>> summands("CIDEr"), summands("METEOR+soda_c")
    (['CIDEr'], ['METEOR', 'soda_c'])
    """
    return [name.strip() for name in metric.split("+")]


def value_of(metric: str, result: Any) -> float:
    """A score of an evaluator's result, or a sum of them.  Raises UserError when one cannot be computed here."""
    names = summands(metric)
    for name in names:
        if name not in result.scores:
            raise UserError(f"train.select_on: {name} cannot be computed here ({result.left_out.get(name)}); select on "
                            "another one")
    return sum(float(result.scores[name]) for name in names)


TASKS = {"dvc": Task("dvc", _dvc, _dvc_metrics, ("CIDEr", "F1", "soda_d"), _dvc_protocols)}


def find_task(name: str) -> Task:
    """The task of that name.  Raises UserError when there is none."""
    if name not in TASKS:
        raise UserError(f"task {name!r} is not known; expected one of {', '.join(TASKS)}")
    return TASKS[name]
