"""The moments system as seen by stages and the training loop: batches, loss sums, moments."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from hicm.config import Config
from hicm.data.kept import LIMIT
from hicm.data.samples import Sample, Samples, SplitSamples
from hicm.errors import UserError
from hicm.nn.loader import load_batches
from hicm.systems.base import Device, Events, Learner, longest_first, refuse_other_model
from hicm.systems.moments.batch import Batch
from hicm.systems.moments.collate import Item, collate
from hicm.systems.moments.counts import read_counts
from hicm.systems.moments.dataset import Preparation, QueryDataset, learnable
from hicm.systems.moments.decode import moments
from hicm.systems.moments.model import Moments
from hicm.systems.moments.objective import LossModule, loss_counts, loss_names, loss_weights
from hicm.systems.moments.recalled import open_memory
from hicm.systems.moments.settings import IN_WEIGHTS, reach
from hicm.systems.moments.tags import load_tags
from hicm.systems.moments.vocabulary import Vocabulary, build_vocabulary, listed_vocabulary
from hicm.systems.moments.weights import load_model, save_model
from hicm.systems.moments.words import Words, make_words

ENDPOINTS = 2  # columns that say where a row starts and ends


class System(Learner):
    """Model, word vectors and classes of words, and in training also losses and data; see `hicm.systems.base`."""

    task = "moments"
    needs_sentences = True

    def __init__(self, config: Config, model: Moments, vocabulary: Vocabulary, words: Words,
                 samples: SplitSamples | None = None) -> None:
        self.config, self.model, self.vocabulary, self.words = config, model, vocabulary, words
        settings = config.room
        self.longest = reach(config)
        self.memory = open_memory(config, words, training=samples is not None)
        self.prepared = Preparation(words, vocabulary, config.data.frames, settings.max_words,
                                    normalise=not config.data.streams, tags_file=settings.tags,
                                    reach=self.longest)
        if samples is not None:
            self.prepared.tags = load_tags(settings.tags, words.splitting) if settings.tags else None
            self.dataset = QueryDataset(samples, self.prepared, settings.sentences, settings.windows,
                                        config.train.seed, 0 if config.train.workers else LIMIT, self.memory)
            self.losses = loss_names(settings.decoder_layers)
            self.module = LossModule(model, settings.objective)
            self.weights = loss_weights(settings.objective, settings.decoder_layers)
            self.size = len(self.dataset)

    @classmethod
    def prepare(cls, config: Config, folder: Path, samples: SplitSamples) -> Self:
        """Word vectors, classes of words and model according to the settings, to be trained on ``samples``."""
        settings, words = config.room, make_words(config.room.words, config.offline)
        texts = [query.text for video in samples.videos for query in learnable(video, reach(config))]
        if not texts:
            raise UserError(f"split {config.data.train}: no sentences with moments to learn from; add some")
        most = settings.max_words - 2 * words.ends
        read = [words.split(text).words[:most] for text in texts]
        if settings.counts:
            listed = read_counts(settings.counts, words.splitting)
            vocabulary = listed_vocabulary(listed, read, settings.classes, words.ends, settings.counts)
        else:
            vocabulary = build_vocabulary(read, settings.classes, words.ends)
        model = Moments(settings, samples.width + ENDPOINTS, words.width, len(vocabulary))
        return cls(config, model, vocabulary, words, samples)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        """The model saved in ``folder``; ``config`` decides how many moments are kept."""
        model, vocabulary, name = load_model(folder)
        refuse_other_model("moments", model.settings, config.room, IN_WEIGHTS, folder)
        words = make_words(config.room.words, config.offline)
        if words.name != name or words.ends != vocabulary.ends:
            raise UserError(f"{folder}: was trained with the word vectors {name}, found {words.name}; set "
                            "moments.words to those")
        return cls(config, model, vocabulary, words)

    def batches(self, micro: list[list[tuple[int, int]]]) -> Iterable[Batch]:
        """One batch per list of (epoch, row)."""
        return load_batches(self.dataset, micro, _each_alone, self.config.train.workers)

    def counts(self, batch: Batch) -> Tensor:
        """Matched pairs, windows or queries; see `loss_counts`."""
        settings = self.config.room
        return loss_counts(batch, settings.queries, settings.decoder_layers)

    def total(self, sums: Tensor, counts: Tensor) -> Tensor:
        """Weighted sum of the means."""
        return (self.weights.to(sums.device) * sums / counts.clamp(min=1)).sum()

    def optimiser(self, module: nn.Module, lr: float) -> torch.optim.Optimizer:
        """AdamW, as published."""
        return torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=self.config.room.weight_decay)

    def groups(self) -> list[int] | None:
        """The video of each training item, where some make several: a batch has those of different videos."""
        videos = self.dataset.videos()
        return videos if len(set(videos)) < len(videos) else None

    def predict(self, samples: Samples, device: Device = "cpu") -> Iterator[Events]:
        """What is found for each query of a video (`hicm.moments.records.Found`), in their order.

        Batches hold videos of similar durations, longest first.  A video without queries has an empty list.
        """
        width, settings = self.model.feature_width - ENDPOINTS, self.config.room
        if samples.width != width:
            raise UserError(f"{samples.where}: features are {samples.width} wide, the model reads {width}; use the "
                            "features it was trained on")
        self.model.to(device).eval()
        for rows in self.prediction_batches(samples):
            taken = [samples[row] for row in rows]
            found: Events = {sample.id: [] for sample in taken}
            items = [self._item(sample) for sample in taken if sample.queries]
            if items:
                with torch.inference_mode():
                    batch = collate([[item] for item in items]).to(device)
                    made = moments(self.model(batch), batch, settings.decode, settings.objective.saliency > 0)
                found |= dict(zip(batch.ids, made, strict=True))
            yield found

    def _item(self, sample: Sample) -> Item:
        queries = sample.queries or ()
        texts = [query.text for query in queries]
        vectors = self.words.vectors(texts, self.prepared.max_words)
        if vectors and vectors[0].shape[1] != self.model.word_width:
            raise UserError(f"moments.words={self.config.room.words}: word vectors are {vectors[0].shape[1]} wide, the "
                            f"model reads {self.model.word_width}; set moments.words to those it was trained with")
        recalled = None if self.memory is None else self.memory.vectors(texts)
        return self.prepared.item(sample, queries, vectors, teaching=False, recalled=recalled)

    def prediction_batches(self, samples: Samples) -> list[list[int]]:
        """Rows by duration, longest first, ``decode.batch`` at a time."""
        durations = [samples.speech_of(row)[1] for row in range(len(samples))]
        return longest_first(durations, self.config.room.decode.batch)

    def save(self, folder: Path, **about: Any) -> None:
        """Write weights, classes of words and description to ``folder``; ``about`` is added to the description."""
        save_model(self.model, self.vocabulary, self.words.name, folder, **about)


def _each_alone(items: Sequence[Item]) -> Batch:
    """A batch in which every video is a group of its own."""
    return collate([[item] for item in items])
