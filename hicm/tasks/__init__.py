"""What systems are asked for, task by task: the form of their predictions, and who scores them.

A task is a module of this package, found by its name, which defines `TASK`; its evaluator is imported when it is used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from hicm.errors import UserError
from hicm.types import Video


@dataclass(frozen=True)
class Task:
    """One task.

    ``evaluate(predictions, references, protocol, metrics=...)`` returns a result with ``scores`` and, for those that
    cannot be computed here, ``left_out``: their reasons.  ``references``: annotation files, or the videos of each
    annotator by id.  ``metrics(protocol)``: the names of a protocol's scores.
    ``to_json``: what a system predicts for one video, in the form of a predictions file.
    ``made_up``: predictions for videos like those that a training will score, each with what it lacks ("": nothing).
    ``protocols`` gives the names of protocols that are asked for, and raises UserError if they, ``metrics`` or
    ``rules`` are unknown.
    """

    name: str
    evaluate: Callable[..., Any]
    metrics: Callable[[str], Sequence[str]]
    watched: tuple[str, ...]  # metrics shown during training, beside the selecting one
    to_json: Callable[[Sequence[Any]], list[dict[str, Any]]]
    made_up: Callable[[Sequence[Video]], list[tuple[str, dict[str, Any]]]]
    protocols: Callable[..., list[str]] = lambda names, **_: list(names)


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


def task_names() -> list[str]:
    """The names of all tasks."""
    return sorted(part.name for part in iter_modules(__path__))


def find_task(name: str) -> Task:
    """The task of that name.  Raises UserError when there is none."""
    if name not in task_names():
        raise UserError(f"task {name!r} is not known; expected one of {', '.join(task_names())}")
    task: Task = import_module(f"{__name__}.{name}").TASK
    return task
