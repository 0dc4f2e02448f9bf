"""What every system reads: one video, or a part of one, as a `Sample`; a split of them as `Samples`.

A sample holds the frame features with their clock, the speech, what is known of its events, and what the memory recalls
for it.  It comes from a split of annotation files (`open_samples`) or from one video of its own (`single_sample`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hicm.config import DataConfig
from hicm.data.annotations import refuse_blank_captions, split_files
from hicm.data.features import Features
from hicm.data.speech import Speech, SpeechStore, open_speech
from hicm.data.splits import split_with_features
from hicm.errors import UserError
from hicm.types import Event, Span, Video


@dataclass(frozen=True, eq=False)
class MemoryTokens:
    """What the memory hands over for one sample: S slots of width D."""

    vectors: np.ndarray  # float32 [S, D]
    mask: np.ndarray  # bool [S], False: nothing was recalled
    slots: np.ndarray  # int32 [S, 3]: window, level, node; -1 for several or all


Recall = Callable[[str], MemoryTokens]  # by video id


@dataclass(frozen=True, eq=False)
class Sample:
    """One video.  ``events`` is None where no annotation is known; ``recalled`` where no memory was read."""

    id: str
    duration: float  # seconds
    rows: np.ndarray  # float32 [T, D], T >= 1: frame features
    seconds_per_row: float
    speech: Speech
    events: tuple[Event, ...] | None = None
    recalled: MemoryTokens | None = None
    query: str | None = None  # moment retrieval: the sentence whose moment is sought
    window: Span | None = None  # the part of the video that is meant, in seconds; None: all of it
    level: int | None = None  # granularity, for recursive captioning


class Samples(Sequence[Sample]):
    """The samples of one split, in annotation order; features and recalled tokens are read when an item is taken.

    Safe to hand to worker processes.
    """

    def __init__(self, videos: Mapping[str, Video], features: Features, speech: SpeechStore,
                 recall: Recall | None = None) -> None:
        self.videos = tuple(videos.values())
        self.features, self.speech, self.recall = features, speech, recall

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, row):  # type: ignore[override]  # one sample; slices are `take`
        video = self.videos[row]
        rows = self.features.read(video.id)
        duration = video.duration
        if math.isnan(duration):
            duration = self.speech.duration(video.id) or len(rows) * self.seconds_per_row + 1.0
        return Sample(video.id, duration, rows, self.seconds_per_row, self.speech.get(video.id, duration), video.events,
                      None if self.recall is None else self.recall(video.id))

    @property
    def ids(self) -> tuple[str, ...]:
        """Video ids."""
        return tuple(video.id for video in self.videos)

    @property
    def width(self) -> int:
        """D of the frame features."""
        return self.features.width

    @property
    def seconds_per_row(self) -> float:
        """Of the frame features: stores of more than one row per second are thinned to one."""
        return 1 / min(self.features.fps, 1.0)

    def speech_of(self, row: int) -> Speech:
        """The speech of one sample, without reading its features."""
        return self.speech.get(self.videos[row].id, self.videos[row].duration)

    def take(self, rows: Sequence[int]) -> "Samples":
        """Some of the samples, in the order given."""
        return Samples({self.videos[row].id: self.videos[row] for row in rows}, self.features, self.speech, self.recall)

    def with_recall(self, recall: Recall | None) -> "Samples":
        """The same samples with what a memory recalls for them."""
        return Samples({video.id: video for video in self.videos}, self.features, self.speech, recall)


def open_samples(config: DataConfig, split: str, recall: Recall | None = None) -> Samples:
    """The samples of a split.

    Raises UserError when videos have no features (and ``data.missing_features`` is not skip), a caption is blank, or
    ``data.target: speech`` lacks transcripts.
    """
    if config.target == "speech" and not config.speech:
        raise UserError("data.target: speech needs transcripts; set data.speech")
    videos, features = split_with_features(config, split)
    refuse_blank_captions(videos.values(), split_files(config, split)[0])
    return Samples(videos, features, open_speech(config.speech), recall)


def single_sample(video_id: str, rows: np.ndarray, seconds_per_row: float = 1.0, duration: float | None = None,
                  speech: Speech | None = None, recall: Callable[[Sample], MemoryTokens] | None = None) -> Sample:
    """A sample of one video that stands in no annotation file; ``duration`` defaults to that of its rows, in seconds.

    Raises UserError when ``rows`` is not a matrix with at least one row.
    """
    rows = np.asarray(rows, np.float32)
    if rows.ndim != 2 or not len(rows):
        raise UserError(f"video {video_id}: expected features [rows, width] with at least one row, found shape "
                        f"{tuple(rows.shape)}")
    sample = Sample(video_id, duration or len(rows) * seconds_per_row, rows, seconds_per_row, speech or Speech())
    return sample if recall is None else replace(sample, recalled=recall(sample))
