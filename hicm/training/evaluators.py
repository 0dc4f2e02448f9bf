"""Evaluators run at the end of an epoch: each has a name and yields (metric, value), the same on every process."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm

from hicm.config import Config
from hicm.data.annotations import split_references
from hicm.data.samples import Samples
from hicm.errors import UserError
from hicm.systems.base import Learner, System
from hicm.tasks import Task, find_task, summands, value_of
from hicm.training.metrics import check_metric, selecting_metrics
from hicm.training.processes import on_main, own_share, together
from hicm.types import Video


class Evaluator(Protocol):
    """What the training loop calls at the end of an epoch."""

    name: str  # of the split in the log

    def check(self, accelerator: Accelerator) -> None:
        """Find before the first step what would go wrong.  Raises UserError."""

    def __call__(self, accelerator: Accelerator) -> Iterator[tuple[str, float]]: ...


class Selection:
    """Scores on the split that selects the checkpoint: the selecting metric, and those that task and system watch.

    Each process predicts a share of the videos; the main process scores them all.
    """

    name = "select"

    def __init__(self, config: Config, system: System, samples: Samples) -> None:
        self.config, self.system, self.samples = config, system, samples
        self._own: Samples | None = None  # the share of this process: sorting videos reads and tokenises all speech

    def check(self, accelerator: Accelerator) -> None:
        """Predict one video, as at every evaluation.  Raises UserError when the settings do not allow it."""
        with together(accelerator):
            if accelerator.is_main_process:
                next(iter(self.system.predict(self.samples.take([0]), accelerator.device)), None)

    def __call__(self, accelerator: Accelerator) -> Iterator[tuple[str, float]]:
        with together(accelerator):
            own = self._own = own_share(self.system, self.samples, accelerator) if self._own is None else self._own
        task = find_task(self.system.task)
        predictions: dict[str, Any] = {}
        with tqdm(total=len(own), desc="predict", unit="video", disable=not accelerator.is_local_main_process) as bar:
            for events in self.system.predict(own, accelerator.device) if len(own) else ():
                predictions |= {video: task.to_json(found) for video, found in events.items()}
                bar.update(len(events))
        gathered: list[dict[str, Any]] = gather_object([predictions])
        found = {video: events for part in gathered for video, events in part.items()}
        scores = on_main(accelerator, lambda: self._score({video: found[video] for video in self.samples.ids})
                         | self._watched(accelerator.device))
        yield from scores.items()

    def _watched(self, device: torch.device) -> dict[str, float]:
        return self.system.watched(self.samples, device) if isinstance(self.system, Learner) else {}

    def _score(self, predictions: dict[str, Any]) -> dict[str, float]:
        task = find_task(self.system.task)
        result = score_selection(self.config, task, predictions)
        for name, reason in result.left_out.items():
            print(f"{name} left out: {reason}")
        metric = self.config.train.select_on
        scores = {name: float(result.scores[name]) for name in selecting_metrics(self.config, task)
                  if name in result.scores}
        return {metric: value_of(metric, result)} | scores if set(summands(metric)) <= scores.keys() else scores


def score_selection(config: Config, task: Task, predictions: dict[str, Any]) -> Any:
    """The evaluator's result for predictions of the selecting split."""
    references = split_references(config.data, config.data.select)
    return task.evaluate({"results": predictions}, references, config.evaluate.protocol,
                         metrics=selecting_metrics(config, task))


def check_scoring(config: Config, task: Task, videos: Sequence[Video]) -> None:
    """Score made-up predictions of the selecting split, just as training will.

    Raises UserError when the metric, the protocol or the references do not allow it: before the first step, not after
    the first epoch.
    """
    check_metric(config, task)
    for lacking, predictions in task.made_up(videos):
        try:
            result = score_selection(config, task, predictions)
        except UserError as error:
            if not lacking:
                raise UserError(f"split {config.data.select}, which selects the checkpoint: {error}") from error
            raise UserError(f"evaluate.protocol: {config.evaluate.protocol} cannot select a checkpoint: it refuses "
                            f"predictions without {lacking} ({error}); choose another protocol") from error
        if not lacking:
            value_of(config.train.select_on, result)
