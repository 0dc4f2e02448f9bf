"""The captioner as the training loop sees it: batches, loss sums, scores."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor
from torch.utils.data import DataLoader

from hicm.config import Config
from hicm.data.annotations import split_references
from hicm.dvc_eval import evaluate
from hicm.systems.captioner.batch import Batch, collate
from hicm.systems.captioner.dataset import VideoDataset
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.objective import LossModule, Objective
from hicm.systems.captioner.predict import Result, predict
from hicm.systems.captioner.vocabulary import Vocabulary
from hicm.systems.captioner.weights import save_captioner


class CaptionerSystem:
    """Model, objective and data of one run; see `hicm.training.loop.System`."""

    losses = ("generative", "denoising")

    def __init__(self, config: Config, model: Captioner, vocabulary: Vocabulary, objective: Objective,
                 train: VideoDataset, select: VideoDataset | None, run: str) -> None:
        self.config, self.model, self.vocabulary, self.objective = config, model, vocabulary, objective
        self.train, self.select, self.run = train, select, run
        self.module = LossModule(model, objective)

    @property
    def size(self) -> int:
        """Number of training videos."""
        return len(self.train)

    def batches(self, micro: list[list[tuple[int, int]]]) -> Iterable[Batch]:
        """One batch per list of (epoch, row)."""
        return DataLoader(self.train, batch_sampler=micro, collate_fn=collate,
                          num_workers=self.config.train.workers)

    def counts(self, batch: Batch) -> Tensor:
        """Target tokens of each loss."""
        return self.objective.token_counts(batch)

    def total(self, sums: Tensor, counts: Tensor) -> Tensor:
        """Weighted sum of the token means."""
        return self.objective.total(sums, counts)

    def after_step(self) -> None:
        """Re-normalise the time tokens."""
        if self.config.train.rescale_time_tokens:
            self.model.rescale_time_tokens(self.vocabulary.bins)

    def evaluate(self, accelerator: Accelerator) -> dict[str, float]:
        """Scores of the selection split: the selecting metric, CIDEr, F1 and SODA_d; every process predicts a share."""
        rows = range(accelerator.process_index, len(self.select), accelerator.num_processes)
        predictions = predict(self.model, self.select, self.vocabulary, self.config.predict, accelerator.device, rows,
                              progress=accelerator.is_local_main_process)
        gathered: list[Result] = gather_object([predictions])
        scores: list[dict[str, float]] = [{}]
        if accelerator.is_main_process:
            scores = [self._score({video: events for part in gathered for video, events in part.items()})]
        broadcast_object_list(scores)
        return scores[0]

    def _score(self, predictions: Result) -> dict[str, float]:
        metrics = list(dict.fromkeys([self.config.train.select_on, "CIDEr", "F1", "soda_d"]))
        references = split_references(self.config.data, self.config.data.select)
        result = evaluate({"results": predictions}, references, self.config.evaluate.protocol, metrics=metrics)
        for name, reason in result.left_out.items():
            print(f"{name} left out: {reason}")
        return {name: float(result.scores[name]) for name in metrics if name in result.scores}

    def save(self, folder: Path, **about: Any) -> None:
        """Export the captioner with what is known about it."""
        save_captioner(self.model, self.vocabulary, folder, run=self.run, **about)
