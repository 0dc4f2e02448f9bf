"""The parallel system as seen by stages and the training loop: batches, loss sums, events."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from hicm.config import Config
from hicm.data.kept import LIMIT
from hicm.data.samples import Samples, SplitSamples
from hicm.errors import UserError
from hicm.nn.loader import load_batches
from hicm.rooms import memory_need
from hicm.systems.base import Device, Events, Learner, longest_first, refuse_other_model
from hicm.systems.parallel.batch import Batch, collate
from hicm.systems.parallel.dataset import VideoDataset
from hicm.systems.parallel.decode import describe
from hicm.systems.parallel.given import caption_spans
from hicm.systems.parallel.losses import ACTIVITYNET, LossModule, count_shares, loss_names
from hicm.systems.parallel.model import Parallel
from hicm.systems.parallel.settings import IN_WEIGHTS, Settings
from hicm.systems.parallel.vocabulary import Vocabulary, build_vocabulary, load_vocabulary
from hicm.systems.parallel.weights import load_model, save_model, start_model


class System(Learner):
    """Model and vocabulary, and in training also losses and data; see `hicm.systems.base`."""

    captions_given = True
    longest = 800.0  # seconds: nearly all videos of YouCook2 and ActivityNet Captions are shorter

    def __init__(self, config: Config, model: Parallel, vocabulary: Vocabulary,
                 samples: SplitSamples | None = None) -> None:
        self.config, self.model, self.vocabulary = config, model, vocabulary
        if samples is not None:
            self.dataset = VideoDataset(samples, vocabulary, config.data.frames, config.room.max_words,
                                        sampling=config.data.sampling, kept=0 if config.train.workers else LIMIT)
            self.losses = loss_names(config.room.decoder_layers, bool(config.room.objective.overlap))
            self.module = LossModule(model, config.room.objective, _shares(config.room, samples))
            self.size = len(samples)

    @classmethod
    def prepare(cls, config: Config, folder: Path, samples: SplitSamples) -> Self:
        """Vocabulary and model according to the settings, to be trained on ``samples``."""
        settings = config.room
        texts = [event.text for video in samples.videos for event in video.events]
        if not texts:
            raise UserError(f"split {config.data.train}: no captions to learn from; add some")
        memory = 0 if samples.recall is None else samples.width
        if settings.init:
            model, vocabulary = start_model(settings, samples.width, memory)
            return cls(config, model, vocabulary, samples)
        vocabulary = (load_vocabulary(settings.vocabulary) if settings.vocabulary else
                      build_vocabulary(texts, settings.rarest))
        return cls(config, Parallel(settings, samples.width, memory, len(vocabulary)), vocabulary, samples)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        """The model saved in ``folder``; ``config`` decides how events are chosen."""
        model, vocabulary = load_model(folder)
        refuse_other_model("parallel", model.settings, config.room, IN_WEIGHTS, folder)
        if memory_need(config) == "tokens" and not model.memory_width:
            raise UserError(f"{folder}: was trained without a memory and cannot read one; set retrieval.search=none")
        return cls(config, model, vocabulary)

    def batches(self, micro: list[list[tuple[int, int]]]) -> Iterable[Batch]:
        """One batch per list of (epoch, row)."""
        return load_batches(self.dataset, micro, collate, self.config.train.workers)

    def counts(self, batch: Batch) -> Tensor:
        """Videos: each loss is a mean over them."""
        return torch.full((len(self.losses),), len(batch.ids), device=batch.events.device)

    def total(self, sums: Tensor, counts: Tensor) -> Tensor:
        """Weighted sum of the means over videos."""
        weights: Tensor = self.module.weights  # type: ignore[assignment]  # torch types attributes as Tensor | Module
        return (weights.to(sums.device) * sums / counts.clamp(min=1)).sum()

    def optimiser(self, module: nn.Module, lr: float) -> torch.optim.Optimizer:
        """Adam with weight decay as an L2 penalty, as published; the captioner may have a learning rate of its own."""
        decay, scale = self.config.room.weight_decay, self.config.room.caption_lr
        if scale == 1:
            return torch.optim.Adam(module.parameters(), lr=lr, weight_decay=decay)
        own = {id(weight) for weight in self.model.captions.parameters()}
        groups = [{"params": [weight for weight in module.parameters() if id(weight) not in own]},
                  {"params": [weight for weight in module.parameters() if id(weight) in own], "scale": scale}]
        return torch.optim.Adam(groups, lr=lr, weight_decay=decay)

    def predict(self, samples: Samples, device: Device = "cpu") -> Iterator[Events]:
        """Events in order of time, or those given in their order.

        Batches hold videos of similar durations, longest first.
        """
        settings = self.config.room.decode
        if samples.width != self.model.feature_width:
            raise UserError(f"{samples.where}: features are {samples.width} wide, the model reads "
                            f"{self.model.feature_width}; use the features it was trained on")
        dataset = VideoDataset(samples, self.vocabulary, self.config.data.frames, 0, teaching=False,
                               sampling=self.config.data.sampling)
        self.model.to(device).eval()
        for rows in self.prediction_batches(samples):
            taken = [samples[row] for row in rows]
            batch = collate([dataset.item(sample) for sample in taken]).to(device)
            given = [sample.given for sample in taken if sample.given is not None]
            found = (caption_spans(self.model, batch, given, self.vocabulary, settings) if given else
                     describe(self.model, batch, self.vocabulary, settings))
            yield dict(zip(batch.ids, found, strict=True))

    def prediction_batches(self, samples: Samples) -> list[list[int]]:
        """Rows by duration, longest first, ``decode.batch`` at a time."""
        durations = [samples.speech_of(row)[1] for row in range(len(samples))]
        return longest_first(durations, self.config.room.decode.batch)

    def save(self, folder: Path, **about: Any) -> None:
        """Write weights, words and description to ``folder``; ``about`` is added to the description."""
        save_model(self.model, self.vocabulary, folder, **about)


def _shares(settings: Settings, samples: SplitSamples) -> Tensor:
    """The share of videos with 0, 1, ... ``max_events`` events, as ``objective.counts`` says."""
    if settings.objective.counts == "training":
        return count_shares([len(video.events) for video in samples.videos], settings.max_events)
    shares = torch.zeros(settings.max_events + 1)
    known = torch.tensor(ACTIVITYNET[:settings.max_events + 1])
    shares[:len(known)] = known
    return shares
