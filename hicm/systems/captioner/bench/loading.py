"""Training batches plainly: features in memory, frames chosen one by one, every text tokenised whenever it is used."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hicm.data.samples import SplitSamples
from hicm.data.text import normalise
from hicm.data.time_tokens import to_bin
from hicm.systems.captioner.batch import Batch, Item, collate
from hicm.systems.captioner.sequences import corrupt
from hicm.systems.captioner.vocabulary import EOS


def first_epoch(system: Any, samples: SplitSamples, micro: list[list[tuple[int, int]]]) -> Iterable[Batch]:
    """The batches of `hicm.systems.captioner.system.System.batches`, with nothing kept of what was read before."""
    return type(system)(system.config, system.model, system.vocabulary, system.objective, samples).batches(micro)


class PlainLoader:
    """The batches of a `hicm.systems.captioner.system.System`; nothing of one epoch is kept for the next."""

    def __init__(self, system: Any, samples: SplitSamples) -> None:
        self.vocabulary, self.config, self.samples = system.vocabulary, system.config, samples
        self.features = {sample.id: torch.from_numpy(np.array(sample.rows)) for sample in samples}
        self.recalled = {sample.id: sample.recalled for sample in samples}

    def batches(self, micro: list[list[tuple[int, int]]]) -> Iterator[Batch]:
        """One batch per list of (epoch, row)."""
        for rows in micro:
            yield collate([self._item(*row) for row in rows])

    @staticmethod
    def equal(one: Batch, other: Batch) -> bool:
        """Whether two batches hold the same."""
        pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Batch)]
        return all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in pairs)

    def _item(self, epoch: int, row: int) -> Item:
        video, settings = self.samples.videos[row], self.config.room
        speech = self.samples.speech.get(video.id, video.duration)
        heard = self._ids(zip(speech.start, speech.end, speech.text, strict=True), video.duration,
                          settings.max_speech_tokens)
        target = self._ids(((event.span.start, event.span.end, event.text) for event in video.events), video.duration,
                           settings.max_caption_tokens)
        draw = np.random.default_rng([self.config.train.seed, epoch, row])
        noisy = corrupt(heard, self.vocabulary, draw, settings.objective.noise_density, settings.objective.noise_span)
        frames, mask = self._frames(self.features[video.id], self.config.data.frames)
        recalled = self.recalled[video.id]
        assert recalled is not None
        return Item(video.id, video.duration, frames.numpy(), mask.numpy(), recalled.vectors, recalled.mask, heard,
                    target, *noisy)

    def _ids(self, parts: Any, duration: float, limit: int) -> list[int]:
        found: list[Tensor] = []
        for start, end, text in parts:
            times = [self.vocabulary.time_id(to_bin(second, duration, self.vocabulary.bins)) for second in (start, end)]
            words: Sequence[int] = self.vocabulary.tokenizer(normalise(text), add_special_tokens=False)["input_ids"]
            found += [torch.tensor(times), torch.tensor(words, dtype=torch.int64)]
        ids = torch.cat(found) if found else torch.zeros(0, dtype=torch.int64)
        return torch.cat([ids[:limit - 1], torch.tensor([EOS])]).tolist()

    @staticmethod
    def _frames(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
        if len(rows) > count:
            return torch.stack([rows[at * len(rows) // count] for at in range(count)]), torch.ones(count).bool()
        missing = count - len(rows)
        padded = torch.cat([rows, torch.zeros(missing, rows.shape[1])])
        return padded, torch.arange(count) < len(rows)
