"""From samples to items of the captioner: samples frames, tokenises speech and captions, draws masked spans."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from hicm.config import Config
from hicm.data.features import sample as sample_rows
from hicm.data.kept import LIMIT, Kept
from hicm.data.samples import MemoryTokens, Sample, Samples
from hicm.data.speech import Speech
from hicm.retrieval.windows import slot_seconds, window_seconds
from hicm.systems.captioner.batch import Item
from hicm.systems.captioner.hiding import chance_of, hide
from hicm.systems.captioner.memory_noise import chosen, exchanged, open_random_items
from hicm.systems.captioner.memory_positions import MARKS, marks
from hicm.systems.captioner.recalled_text import sentences
from hicm.systems.captioner.saliency import inside_events
from hicm.systems.captioner.sequences import caption_sequence, corrupt, speech_sequence, timed
from hicm.systems.captioner.vocabulary import EOS, Vocabulary
from hicm.types import Video

SENTENCE_LIMIT = 64  # most tokens of one recalled sentence


class VideoDataset(Dataset[Item]):
    """Items of one split, in annotation order.

    Index with ``(epoch, row)``: all training noise (masked spans, what is left out or hidden) depends on (seed, epoch,
    row) and the number of epochs alone, so an interrupted run continues with exactly the same items.  In training all
    else is kept for the next epoch (`hicm.data.kept`).  Without ``teaching`` the captions, which may be blank, are not
    read.
    """

    def __init__(self, config: Config, samples: Samples, vocabulary: Vocabulary, teaching: bool = True) -> None:
        self.data, self.settings, self.seed = config.data, config.room, config.train.seed
        self.epochs = config.train.epochs
        self.retrieval = config.retrieval
        self.teaching = teaching
        self.samples, self.vocabulary = samples, vocabulary
        self.others = open_random_items(config) if teaching else None  # what recalled items are exchanged for
        self._prepared = Kept(self._read, _size, LIMIT if teaching and not config.train.workers else 0)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: tuple[int, int]) -> Item:
        epoch, row = index
        rng = np.random.default_rng([self.seed, epoch, row])
        item = self._finished(self._prepared[row], rng, self.teaching)
        return self._hidden(item, epoch, rng) if self.teaching and self.settings.video_drop else item

    def item(self, sample: Sample, rng: np.random.Generator) -> Item:
        """The item of one sample; ``rng`` draws the masked spans."""
        return self._finished(self._recalling(sample), rng, False)

    def _read(self, row: int) -> "Prepared":
        sample = self.samples[row]
        drawn = self.teaching and bool(self.settings.memory_sample or self.others)
        rest = replace(sample, rows=sample.rows[:0].copy()) if drawn else None
        return self._recalling(sample)._replace(sample=rest)

    def _recalling(self, sample: Sample) -> "Prepared":
        """What is prepared of a sample that reads the nearest of its recalled items."""
        if sample.recalled is not None:
            sample = replace(sample, recalled=chosen(sample.recalled, self.settings.memory_sample))
        prepared = self._prepare(sample)
        return prepared._replace(item=replace(prepared.item, marks=self._marks(sample)))

    def _marks(self, sample: Sample) -> np.ndarray | None:
        """What each recalled vector stands for; None: the model does not ask for it."""
        if not self.settings.memory_positions:
            return None
        if sample.recalled is None:
            return np.zeros((0, MARKS), np.float32)
        return marks(sample.recalled, self._slot_seconds(sample, sample.recalled), sample.duration)

    def _drawn(self, prepared: "Prepared", rng: np.random.Generator) -> "Prepared":
        """Training noise: items sampled from what was recalled, and exchanged for others."""
        sample = prepared.sample
        if sample is None or sample.recalled is None:
            return prepared
        tokens = chosen(sample.recalled, self.settings.memory_sample, rng)
        if self.others is not None:
            tokens = exchanged(tokens, self.settings.memory_swap, self.others, sample.id, rng)
        sample = replace(sample, recalled=tokens)
        if self.settings.memory_as == "text":
            return prepared._replace(recalled=self._recalled(sample))
        return prepared._replace(item=replace(prepared.item, memory=tokens.vectors, memory_mask=tokens.mask,
                                              marks=self._marks(sample)))

    def _prepare(self, sample: Sample) -> "Prepared":
        """The item without masked spans and recalled sentences."""
        settings = self.settings
        frames, frame_mask = sample_rows(sample.rows, self.data.frames, self.data.sampling)
        memory, memory_mask, read = np.zeros((0, frames.shape[1]), np.float32), np.zeros(0, bool), list[Read]()
        spans = frame_spans(frame_mask, sample.seconds_per_row / sample.duration)
        inside = inside_events(sample.events or (), sample.duration, spans) if settings.scores_frames else None
        if settings.memory_as == "text":
            read = self._recalled(sample)
        elif sample.recalled is not None:
            memory, memory_mask = sample.recalled.vectors, sample.recalled.mask
            spans = np.concatenate([spans, self._slot_spans(sample, sample.recalled)])
        speech = self._speech(sample.speech, sample.duration)
        if self.data.target == "captions":
            video = Video(sample.id, sample.duration, sample.events or () if self.teaching else ())
            heard, (target, _) = speech, caption_sequence(video, self.vocabulary, settings.max_caption_tokens)
        else:
            heard, target = [EOS], speech
        return Prepared(Item(sample.id, sample.duration, frames, frame_mask, memory, memory_mask, heard, target, [], [],
                             sample.given, spans, inside=inside), speech, read)

    def _slot_spans(self, sample: Sample, recalled: MemoryTokens) -> np.ndarray:
        """When the window of each slot is, as shares of the duration: float32 [W, 2]; [0, 1] for several windows."""
        found = self._slot_seconds(sample, recalled) / sample.duration
        return np.where(np.isnan(found), np.array([0.0, 1.0]), found).astype(np.float32)

    def _recalled(self, sample: Sample) -> list["Read"]:
        """The recalled sentences."""
        if sample.recalled is None:
            return []
        found = sentences(sample.recalled, self._slot_seconds(sample, sample.recalled), self.settings.memory_sentences)
        cosines = np.array([one.cosine for one in found])
        scaled = (cosines - cosines.mean()) / (cosines.std() or 1.0) if found else cosines
        return [Read(timed(one.start, one.end, one.text, sample.duration, self.vocabulary, SENTENCE_LIMIT), cosine,
                     one.text)
                for one, cosine in zip(found, scaled.tolist(), strict=True)]

    def _slot_seconds(self, sample: Sample, recalled: MemoryTokens) -> np.ndarray:
        """Start and end of each slot's window, float64 [S, 2] in seconds; NaN for all windows and for padding."""
        windows = window_seconds(self.retrieval, sample.duration, self.data.frames, 1 / sample.seconds_per_row,
                                 self.data.sampling, recalled.window_rows)
        return slot_seconds(recalled.slots, windows)

    def _finished(self, prepared: "Prepared", rng: np.random.Generator, noise: bool) -> Item:
        """With masked spans and what is read of what was recalled (``noise``: some is exchanged or left out)."""
        objective = self.settings.objective
        noisy_speech, noisy_target = corrupt(prepared.speech, self.vocabulary, rng, objective.noise_density,
                                             objective.noise_span)
        prepared = self._drawn(prepared, rng) if noise else prepared
        item = prepared.item
        if self.settings.memory_as != "text":
            return replace(item, noisy_speech=noisy_speech, noisy_target=noisy_target)
        read = self._noisy(prepared.recalled, rng) if noise else prepared.recalled
        before = [*(token for sentence in read for token in sentence.ids), EOS]
        return replace(item, speech=before + item.speech, noisy_speech=before + noisy_speech, noisy_target=noisy_target,
                       cosines=tuple(sentence.cosine for sentence in read for _ in sentence.ids))

    def _noisy(self, recalled: list["Read"], rng: np.random.Generator) -> list["Read"]:
        """Training noise: no sentence at all, or each one with a chance, so that none is relied upon blindly."""
        settings = self.settings
        if rng.random() < settings.memory_drop_all:
            return []
        return [sentence for sentence in recalled if rng.random() >= settings.memory_drop]

    def _hidden(self, item: Item, epoch: int, rng: np.random.Generator) -> Item:
        """Training noise: the frames of some videos are hidden.  Drawn last, so all other noise stays the same."""
        settings = self.settings
        chance = chance_of(settings.video_drop, settings.video_drop_grows, epoch, self.epochs)
        return replace(item, hidden=hide(item.frame_mask, chance, settings.video_drop_share, rng))

    def recalled(self, row: int) -> list["Read"]:
        """The recalled sentences of one video in the order in which the encoder gets them; none without text."""
        return self._prepared[row].recalled

    def speech_length(self, row: int) -> int:
        """Number of speech tokens that the encoder gets for one video."""
        if self.data.target != "captions":
            return 1
        return len(self._speech(*self.samples.speech_of(row)))

    def _speech(self, speech: Speech, duration: float) -> list[int]:
        return speech_sequence(speech, duration, self.vocabulary, self.settings.max_speech_tokens)[0]


def _size(prepared: "Prepared") -> int:
    """Bytes, roughly: an id takes a pointer and, mostly, an object."""
    item = prepared.item
    ids = len(prepared.speech) + len(item.target) + sum(len(read.ids) for read in prepared.recalled)
    recalled = None if prepared.sample is None else prepared.sample.recalled
    drawn = 0 if recalled is None else recalled.vectors.nbytes
    return item.frames.nbytes + item.memory.nbytes + drawn + 40 * ids + 1000


def frame_spans(mask: np.ndarray, share: float) -> np.ndarray:
    """When each frame is, as shares of the duration: float32 [T, 2].

    Frames that fill ``mask`` [T] are spread over the whole video; fewer real ones stand for ``share`` of it each.
    """
    real = int(mask.sum())
    edges = np.arange(len(mask) + 1) * (1 / max(1, real) if real == len(mask) else share)
    edges[real:] = 1.0  # the last real frame lasts to the end; padding is nowhere
    return np.clip(np.stack([edges[:-1], edges[1:]], 1), 0, 1).astype(np.float32)


class Read(NamedTuple):
    """A recalled sentence: its two times and its words as ids; its cosine, scaled to mean 0 and deviation 1 over the
    video; the text that the memory has.
    """

    ids: list[int]
    cosine: float
    text: str


class Prepared(NamedTuple):
    """What is the same in every epoch: the item but for masked spans and recalled sentences, and these apart."""

    item: Item
    speech: list[int]
    recalled: list[Read]
    sample: Sample | None = None  # without frames, where what is read of it is drawn anew in every epoch
