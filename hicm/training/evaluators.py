"""Evaluators run at the end of an epoch: each has a name and yields (metric, value), the same on every process."""

from collections.abc import Iterator
from typing import Any, Protocol

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from tqdm import tqdm

from hicm.config import Config
from hicm.data.annotations import split_references
from hicm.data.samples import Samples
from hicm.systems.base import System
from hicm.tasks import find_task


class Evaluator(Protocol):
    """What the training loop calls at the end of an epoch."""

    name: str  # of the split in the log

    def __call__(self, accelerator: Accelerator) -> Iterator[tuple[str, float]]: ...


class Selection:
    """Scores on the split that selects the checkpoint: the selecting metric and those that the task watches.

    Each process predicts a share of the videos; the main process scores them all.
    """

    name = "select"

    def __init__(self, config: Config, system: System, samples: Samples) -> None:
        self.config, self.system, self.samples = config, system, samples

    def __call__(self, accelerator: Accelerator) -> Iterator[tuple[str, float]]:
        rows = range(accelerator.process_index, len(self.samples), accelerator.num_processes)
        task = find_task(self.system.task)
        predictions: dict[str, Any] = {}
        with tqdm(total=len(rows), desc="predict", unit="video", disable=not accelerator.is_local_main_process) as bar:
            for events in self.system.predict(self.samples.take(rows), accelerator.device):
                predictions |= {video: task.to_json(found) for video, found in events.items()}
                bar.update(len(events))
        gathered: list[dict[str, Any]] = gather_object([predictions])
        scores: list[dict[str, float]] = [{}]
        if accelerator.is_main_process:
            found = {video: events for part in gathered for video, events in part.items()}
            scores = [self._score({video: found[video] for video in self.samples.ids})]
        broadcast_object_list(scores)
        yield from scores[0].items()

    def _score(self, predictions: dict[str, Any]) -> dict[str, float]:
        task = find_task(self.system.task)
        metrics = list(dict.fromkeys([self.config.train.select_on, *task.watched]))
        references = split_references(self.config.data, self.config.data.select)
        result = task.evaluate({"results": predictions}, references, self.config.evaluate.protocol, metrics=metrics)
        for name, reason in result.left_out.items():
            print(f"{name} left out: {reason}")
        return {name: float(result.scores[name]) for name in metrics if name in result.scores}
