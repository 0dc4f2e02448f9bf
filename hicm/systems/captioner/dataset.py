"""From samples to items of the captioner: samples frames, tokenises speech and captions, draws masked spans."""

from dataclasses import replace

import numpy as np
from torch.utils.data import Dataset

from hicm.config import Config
from hicm.data.features import sample as sample_rows
from hicm.data.kept import LIMIT, Kept
from hicm.data.samples import Sample, Samples
from hicm.data.speech import Speech
from hicm.systems.captioner.batch import Item
from hicm.systems.captioner.sequences import Shuffler, caption_sequence, corrupt, speech_sequence
from hicm.systems.captioner.vocabulary import EOS, Vocabulary
from hicm.types import Video


class VideoDataset(Dataset[Item]):
    """Items of one split, in annotation order.

    Index with ``(epoch, row)``: the spans masked for denoising depend on (seed, epoch, row) alone, so an interrupted
    run continues with exactly the same items.  In training all else is kept for the next epoch (`hicm.data.kept`).
    Without ``teaching`` the captions, which may be blank, are not read.
    """

    def __init__(self, config: Config, samples: Samples, vocabulary: Vocabulary, teaching: bool = True) -> None:
        self.data, self.settings, self.seed = config.data, config.room, config.train.seed
        self.teaching = teaching
        self.samples, self.vocabulary = samples, vocabulary
        self._prepared = Kept(self._read, _size, LIMIT if teaching and not config.train.workers else 0)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: tuple[int, int]) -> Item:
        epoch, row = index
        return self._corrupted(self._prepared[row], np.random.default_rng([self.seed, epoch, row]))

    def item(self, sample: Sample, rng: Shuffler) -> Item:
        """The item of one sample; ``rng`` draws the masked spans."""
        return self._corrupted(self._prepare(sample), rng)

    def _read(self, row: int) -> tuple[Item, list[int]]:
        return self._prepare(self.samples[row])

    def _prepare(self, sample: Sample) -> tuple[Item, list[int]]:
        """The item without masked spans, and the speech in which they are drawn."""
        settings = self.settings
        frames, frame_mask = sample_rows(sample.rows, self.data.frames, self.data.sampling)
        memory, memory_mask = np.zeros((0, frames.shape[1]), np.float32), np.zeros(0, bool)
        if sample.recalled is not None:
            memory, memory_mask = sample.recalled.vectors, sample.recalled.mask
        speech = self._speech(sample.speech, sample.duration)
        if self.data.target == "captions":
            video = Video(sample.id, sample.duration, sample.events or () if self.teaching else ())
            heard, (target, _) = speech, caption_sequence(video, self.vocabulary, settings.max_caption_tokens)
        else:
            heard, target = [EOS], speech
        return Item(sample.id, sample.duration, frames, frame_mask, memory, memory_mask, heard, target, [], [],
                    sample.given), speech

    def _corrupted(self, prepared: tuple[Item, list[int]], rng: Shuffler) -> Item:
        (item, speech), objective = prepared, self.settings.objective
        noisy_speech, noisy_target = corrupt(speech, self.vocabulary, rng, objective.noise_density,
                                             objective.noise_span)
        return replace(item, noisy_speech=noisy_speech, noisy_target=noisy_target)

    def speech_length(self, row: int) -> int:
        """Number of speech tokens that the encoder gets for one video."""
        if self.data.target != "captions":
            return 1
        return len(self._speech(*self.samples.speech_of(row)))

    def _speech(self, speech: Speech, duration: float) -> list[int]:
        return speech_sequence(speech, duration, self.vocabulary, self.settings.max_speech_tokens)[0]


def _size(prepared: tuple[Item, list[int]]) -> int:
    """Bytes, roughly: an id takes a pointer and, mostly, an object."""
    item, speech = prepared
    return item.frames.nbytes + item.memory.nbytes + 40 * (len(speech) + len(item.target)) + 1000
