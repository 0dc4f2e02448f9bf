"""Videos of one split as items: frames sampled, speech and captions tokenised, memory looked up."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from hicm.config import Config
from hicm.data.annotations import refuse_blank_captions, split_files
from hicm.data.features import Features, sample
from hicm.data.speech import SpeechStore, open_speech
from hicm.data.splits import split_with_features
from hicm.errors import UserError
from hicm.retrieval.retrieve import retrieve
from hicm.retrieval.store import Retrieved, open_retrieved
from hicm.systems.captioner.batch import Item
from hicm.systems.captioner.sequences import Shuffler, caption_sequence, corrupt, speech_sequence
from hicm.systems.captioner.vocabulary import EOS, Vocabulary
from hicm.types import Video


class VideoDataset(Dataset):
    """Items of one split, in annotation order.

    Index with ``(epoch, row)``: the spans that are masked for denoising depend on (seed, epoch, row) alone, so an
    interrupted run continues with the very same items.
    """

    def __init__(self, config: Config, videos: Mapping[str, Video], features: Features, speech: SpeechStore,
                 vocabulary: Vocabulary, retrieved: Retrieved | None) -> None:
        self.config, self.vocabulary = config, vocabulary
        self.features, self.speech, self.retrieved = features, speech, retrieved
        self.videos = list(videos.values())

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: tuple[int, int]) -> Item:
        epoch, row = index
        return self.item(row, np.random.default_rng([self.config.train.seed, epoch, row]))

    def item(self, row: int, rng: Shuffler) -> Item:
        """Video ``row``; ``rng`` draws the masked spans."""
        config, video = self.config, self.videos[row]
        rows = self.features.read(video.id)
        if math.isnan(video.duration):
            video = replace(video, duration=self.speech.duration(video.id) or len(rows) + 1.0)
        frames, frame_mask = sample(rows, config.data.frames)
        memory, memory_mask = np.zeros((0, self.features.width), np.float32), np.zeros(0, bool)
        if self.retrieved is not None:
            memory, memory_mask = self.retrieved.vectors(video.id), self.retrieved.mask(video.id)
        speech = self._speech(video)
        heard, target = speech, speech
        if config.data.target == "captions":
            target, _ = caption_sequence(video, self.vocabulary, config.captioner.max_caption_tokens)
        else:
            heard = [EOS]
        noisy_speech, noisy_target = corrupt(speech, self.vocabulary, rng, config.train.noise_density,
                                             config.train.noise_span)
        return Item(video.id, video.duration, frames, frame_mask, memory, memory_mask, heard, target, noisy_speech,
                    noisy_target)

    def speech_ids(self, row: int) -> list[int]:
        """The speech that is heard of one video, as a sequence."""
        return self._speech(self.videos[row]) if self.config.data.target == "captions" else [EOS]

    def _speech(self, video: Video) -> list[int]:
        return speech_sequence(self.speech.get(video.id, video.duration), video.duration, self.vocabulary,
                               self.config.captioner.max_speech_tokens)[0]


def open_split(config: Config, split: str, vocabulary: Vocabulary, retrieved: Path | None) -> VideoDataset:
    """The data set of a split.  ``retrieved`` is the file of recalled vectors; None: no memory.

    Raises UserError when videos have no features (and ``data.missing_features`` is not skip).
    """
    if config.data.target == "speech" and not config.data.speech:
        raise UserError("data.target: speech needs transcripts; set data.speech")
    videos, features = split_with_features(config.data, split)
    refuse_blank_captions(videos.values(), split_files(config.data, split)[0])
    return VideoDataset(config, videos, features, open_speech(config.data.speech), vocabulary,
                        open_retrieved(retrieved) if retrieved is not None else None)


def recall(config: Config, split: str, folder: Path, training: bool = False) -> Path | None:
    """The file of recalled vectors of a split in a run folder, made if absent; None for search=none.

    ``training`` recalls for the training split under leave-own-out.
    """
    if config.retrieval.search == "none":
        return None
    return retrieve(config, config.data.train if training else split, folder / f"retrieved_{split}.h5", training)
