"""The captioner as seen by stages and the training loop: batches, loss sums, events."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from hicm.config import Config
from hicm.data.samples import Samples, SplitSamples
from hicm.errors import UserError
from hicm.nn.loader import load_batches
from hicm.rooms import memory_need
from hicm.systems.base import Device, Events, Learner, longest_first, refuse_other_model
from hicm.systems.captioner.batch import Batch, collate
from hicm.systems.captioner.batches import in_batches, in_precision
from hicm.systems.captioner.dataset import VideoDataset
from hicm.systems.captioner.decode import find_events
from hicm.systems.captioner.given import caption_events
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.objective import LossModule, Objective
from hicm.systems.captioner.precision import frame_precisions
from hicm.systems.captioner.prepare import check_sentinels, keep_vocabulary, make_rereader, open_vocabulary
from hicm.systems.captioner.settings import IN_WEIGHTS, require_confidence, require_input, warn_of_unread
from hicm.systems.captioner.vocabulary import Vocabulary
from hicm.systems.captioner.weights import build, load_captioner, save_captioner
from hicm.types import Event

SPREAD = 8.0  # seconds per frame: 100 frames then span what 99 % of YouCook2's training videos last


class System(Learner):
    """Model and vocabulary, and in training also objective and data; see `hicm.systems.base`."""

    captions_given = True

    def __init__(self, config: Config, model: Captioner, vocabulary: Vocabulary, objective: Objective | None = None,
                 samples: Samples | None = None) -> None:
        self.config, self.model, self.vocabulary = config, model, vocabulary
        self.longest = model.frames * SPREAD
        if objective is not None and samples is not None:
            self.objective = objective
            self.dataset = VideoDataset(config, samples, vocabulary)
            self.losses = tuple(objective.weights)
            self.module = LossModule(model, objective)
            self.size = len(samples)

    @classmethod
    def prepare(cls, config: Config, folder: Path, samples: SplitSamples) -> Self:
        """Vocabulary and model according to the settings, to be trained on ``samples``."""
        vocabulary, settings = open_vocabulary(config, folder, samples.speech), config.room.objective
        check_sentinels(config, vocabulary)
        model = build(config.room, vocabulary, samples.width, config.data.frames,
                      0 if samples.recall is None else samples.width, config.offline)
        if model.standardise is not None and not model.standardise.measured:
            model.standardise.measure(samples[row].rows for row in range(len(samples)))
        model.recompute(config.room.checkpointing)
        objective = Objective(settings.generative, settings.denoising, settings.label_smoothing, settings.word_dropout,
                              make_rereader(config, model.t5.config.d_model, model.memory_width),
                              settings.saliency if config.room.scores_frames else 0.0)
        keep_vocabulary(vocabulary, folder)
        return cls(config, model, vocabulary, objective, samples)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        """The captioner saved in ``folder``; ``config`` decides how it generates."""
        model, vocabulary, _ = load_captioner(folder)
        refuse_other_model("captioner", model.config, config.room, IN_WEIGHTS, folder)
        require_input(config.room)
        require_confidence(config.room.decode)
        warn_of_unread(config.room.decode)
        if memory_need(config) == "tokens" and model.config.use_video and model.memory_projection is None:
            raise UserError(f"{folder}: was trained without a memory and cannot read one; set retrieval.search=none")
        model.config = replace(model.config, use_speech=config.room.use_speech, mask_padding=config.room.mask_padding)
        return cls(config, model, vocabulary)

    def batches(self, micro: list[list[tuple[int, int]]]) -> Iterable[Batch]:
        """One batch per list of (epoch, row)."""
        return load_batches(self.dataset, micro, collate, self.config.train.workers)

    def lengths(self) -> list[int]:
        """Speech tokens of each training sample."""
        return [self.dataset.speech_length(row) for row in range(self.size)]

    def counts(self, batch: Batch) -> Tensor:
        """Target tokens of each loss."""
        return self.objective.token_counts(batch)

    def total(self, sums: Tensor, counts: Tensor) -> Tensor:
        """Weighted sum of the token means."""
        return self.objective.total(sums, counts)

    def watched(self, samples: Samples, device: Device = "cpu") -> dict[str, float]:
        """The average precision of frame saliency, if the model has it: mean over videos with frames of both kinds.

        Batches that run out of memory are halved.
        """
        if self.model.saliency is None:
            return {}
        dataset, model = VideoDataset(self.config, samples, self.vocabulary, False), self.model.to(device).eval()
        batches = in_batches(range(len(samples)), self.config.room.decode.batch, lambda rows: frame_precisions(
            model, collate([dataset[0, row] for row in rows]).to(device)))
        found = [precision for _, precisions in batches for precision in precisions]
        return {"saliency_AP": sum(found) / len(found)} if found else {}

    def after_step(self) -> None:
        """Rescale the time tokens, if the settings say so."""
        if self.config.room.objective.rescale_time_tokens:
            self.model.rescale_time_tokens(self.vocabulary.bins)

    def predict(self, samples: Samples, device: Device = "cpu") -> Iterator[Events]:
        """Events in the order of generation; batches hold videos with similar lengths of speech, longest first.

        Batches that run out of memory are halved.
        """
        settings = self.config.room.decode
        if self.model.config.use_video and self.model.feature_width != samples.width:
            raise UserError(f"{samples.where}: features are {samples.width} wide, the captioner reads "
                            f"{self.model.feature_width}; use the features it was trained on")
        dataset = VideoDataset(self.config, samples, self.vocabulary, teaching=False)
        rows = [row for batch in self.prediction_batches(samples) for row in batch]
        self.model.to(device).eval()
        model = in_precision(self.model, settings.precision, device)
        for chosen, events in in_batches(rows, settings.batch, lambda rows: self._events(
                model, collate([dataset[0, row] for row in rows]).to(device, model.t5.dtype))):
            yield dict(zip((samples.ids[row] for row in chosen), events, strict=True))

    def prediction_batches(self, samples: Samples) -> list[list[int]]:
        """Rows by length of speech, longest first, ``decode.batch`` at a time."""
        dataset = VideoDataset(self.config, samples, self.vocabulary, teaching=False)
        return longest_first(list(map(dataset.speech_length, range(len(samples)))), self.config.room.decode.batch)

    def _events(self, model: Captioner, batch: Batch) -> list[list[Event]]:
        settings = self.config.room.decode
        if batch.given:
            return caption_events(model, batch, batch.given, self.vocabulary, settings)
        return find_events(model, batch, self.vocabulary, settings)

    def save(self, folder: Path, **about: Any) -> None:
        """Write weights, tokenizer and description to ``folder``; ``about`` is added to the description."""
        save_captioner(self.model, self.vocabulary, folder, **about)
