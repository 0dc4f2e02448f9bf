"""The scores that the settings name: those that are asked for, and the one that selects the checkpoint."""

from hicm.config import Config
from hicm.errors import UserError
from hicm.strict import nearest
from hicm.tasks import Task, summands

SHOWN = 40  # names of scores in an error, at most


def selecting_metrics(config: Config, task: Task) -> list[str]:
    """The selecting metric, or those whose sum it is, and those of the watched ones that the protocol has."""
    known = task.metrics(config.evaluate.protocol)
    return list(dict.fromkeys([*summands(config.train.select_on), *(name for name in task.watched if name in known)]))


def check_asked(config: Config, task: Task) -> None:
    """Raise UserError when the protocol, or one of ``evaluate.metrics``, is none of the task."""
    try:
        task.protocols([config.evaluate.protocol])
    except UserError as error:
        raise UserError(f"evaluate.protocol: {error}") from error
    try:
        task.protocols([config.evaluate.protocol], metrics=config.evaluate.metrics or None)
    except UserError as error:
        raise UserError(f"evaluate.metrics: {error}") from error


def check_metric(config: Config, task: Task) -> None:
    """Raise UserError, with the names that there are, when the selecting metric is no score of the protocol."""
    protocol = config.evaluate.protocol
    known = list(task.metrics(protocol))
    for metric in summands(config.train.select_on):
        if metric in known:
            continue
        near = nearest(metric, {name: name for name in known})
        raise UserError(f"train.select_on: {metric!r} is no score of protocol {protocol}; the nearest is {near!r}; "
                        f"known: {', '.join(known[:SHOWN])}{', ...' if len(known) > SHOWN else ''}")
