"""What every system reads: one video, or a part of one, as a `Sample`; a split of them as `Samples`.

A sample holds the frame features with their clock, the speech, what is known of its events, and what the memory recalls
for it.  It comes from a split of annotation files (`open_samples`) or from one video of its own (`single_sample`).
"""

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from hicm.config import DataConfig
from hicm.data.annotations import refuse_blank_captions, split_files, teaches_captions
from hicm.data.features import Features
from hicm.data.ids import no_match
from hicm.data.speech import Speech, SpeechStore, open_speech
from hicm.data.splits import split_with_features
from hicm.errors import UserError
from hicm.moments.dense import queries_of
from hicm.moments.records import Query
from hicm.types import Event, Span, Video


@dataclass(frozen=True, eq=False)
class MemoryTokens:
    """What the memory hands over for one sample: S slots of width D."""

    vectors: np.ndarray  # float32 [S, D]
    mask: np.ndarray  # bool [S], False: nothing was recalled
    slots: np.ndarray  # int32 [S, 3]: window, level, node; -1 for several or all
    cosines: np.ndarray | None = None  # float32 [S]; None: slots do not stand for one node each
    texts: tuple[str, ...] | None = None  # S texts of the nodes, where the system reads them
    window_rows: np.ndarray | None = None  # int32 [W, 2]: see `hicm.retrieval.records`; None: files of earlier versions


Recall = Callable[[str], MemoryTokens]  # by video id


@dataclass(frozen=True, eq=False)
class Sample:
    """One video.  ``events`` is None where no annotation is known; ``recalled`` where no memory was read.

    ``given``: the events that are to be worded, in place of events that the system finds; None: it finds them.
    """

    id: str
    duration: float  # seconds
    rows: np.ndarray  # float32 [T, D], T >= 1: frame features
    seconds_per_row: float
    speech: Speech
    events: tuple[Event, ...] | None = None
    recalled: MemoryTokens | None = None
    queries: tuple[Query, ...] | None = None  # moment retrieval: the sentences whose moments are sought
    window: Span | None = None  # the part of the video that is meant, in seconds; None: all of it
    level: int | None = None  # granularity, for recursive captioning
    given: tuple[Span, ...] | None = None  # seconds; any order, and not necessarily within the video


class Samples(Sequence[Sample]):
    """Several samples in order; each is read when it is taken.  Safe to hand to worker processes."""

    where: str  # where the features come from, for errors
    width: int  # D of the frame features
    recall: Recall | None = None
    ids: tuple[str, ...]  # of the videos

    @abstractmethod
    def __getitem__(self, row: int) -> Sample:  # type: ignore[override]  # one at a time; several are `take`
        """The sample of one row.  Raises UserError when its features, speech or recalled tokens cannot be read."""

    @abstractmethod
    def take(self, rows: Sequence[int]) -> Self:
        """Some of the samples, in the order given."""

    @abstractmethod
    def speech_of(self, row: int) -> tuple[Speech, float]:
        """The speech of one sample and its duration in seconds, where possible without reading its features."""

    def __len__(self) -> int:
        return len(self.ids)


class SplitSamples(Samples):
    """The samples of one split, in annotation order; ``given``: the events that are to be worded, by video id."""

    def __init__(self, videos: Mapping[str, Video], features: Features, speech: SpeechStore,
                 recall: Recall | None = None, given: Mapping[str, tuple[Span, ...]] | None = None) -> None:
        self.videos = tuple(videos.values())
        self.ids = tuple(video.id for video in self.videos)
        self.features, self.speech, self.recall, self.given = features, speech, recall, given
        self.where, self.width = str(features.path), features.width

    def __getitem__(self, row: int) -> Sample:  # type: ignore[override]
        video, clock = self.videos[row], self.features.clock
        rows = self.features.read(video.id)
        duration = video.duration
        if math.isnan(duration):
            duration = self.speech.duration(video.id) or math.nan
        if math.isnan(duration):
            if clock.rows == "spread":
                raise UserError(f"{self.where}: video {video.id}: its duration is not known, over which "
                                "data.feature_rows=spread spreads the rows; add it to the annotations")
            duration = len(rows) * (1 / clock.rate) + 1.0
        seconds = clock.seconds(len(rows), duration)
        return Sample(video.id, duration, rows, seconds, self.speech.get(video.id, duration), video.events,
                      None if self.recall is None else self.recall(video.id), queries=queries_of(video),
                      given=None if self.given is None else self.given[video.id])

    def speech_of(self, row: int) -> tuple[Speech, float]:
        """The speech of one sample and its duration; without a duration on file the features are read."""
        video = self.videos[row]
        duration = self[row].duration if math.isnan(video.duration) else video.duration
        return self.speech.get(video.id, duration), duration

    def take(self, rows: Sequence[int]) -> "SplitSamples":
        """Some of the samples, in the order given."""
        chosen = {self.videos[row].id: self.videos[row] for row in rows}
        return SplitSamples(chosen, self.features, self.speech, self.recall, self.given)

    def with_recall(self, recall: Recall | None) -> "SplitSamples":
        """The same samples with what a memory recalls for them."""
        return SplitSamples({video.id: video for video in self.videos}, self.features, self.speech, recall, self.given)

    def with_features(self, features: Features) -> "SplitSamples":
        """The same samples with other features, which must have all of their videos."""
        return SplitSamples({video.id: video for video in self.videos}, features, self.speech, self.recall, self.given)

    def with_given(self, given: Mapping[str, tuple[Span, ...]]) -> "SplitSamples":
        """The samples of the videos that ``given`` has, with its events to word, in seconds."""
        chosen = {video.id: video for video in self.videos if video.id in given}
        return SplitSamples(chosen, self.features, self.speech, self.recall, given)


class SampleList(Samples):
    """Samples that are in memory already, e.g. of single videos.  Raises UserError where their widths differ."""

    def __init__(self, samples: Sequence[Sample], where: str = "samples") -> None:
        self.samples, self.where = tuple(samples), where
        self.ids = tuple(sample.id for sample in self.samples)
        widths = {sample.rows.shape[1] for sample in self.samples}
        if len(widths) > 1:
            raise UserError(f"{where}: features of different widths ({', '.join(map(str, sorted(widths)))}); extract "
                            "them with one encoder")
        self.width = widths.pop() if widths else 0

    def __getitem__(self, row: int) -> Sample:  # type: ignore[override]
        return self.samples[row]

    def speech_of(self, row: int) -> tuple[Speech, float]:
        """The speech of one sample and its duration."""
        return self.samples[row].speech, self.samples[row].duration

    def take(self, rows: Sequence[int]) -> "SampleList":
        """Some of the samples, in the order given."""
        return SampleList([self.samples[row] for row in rows], self.where)


def open_samples(config: DataConfig, split: str, recall: Recall | None = None, captions: bool = True,
                 speech: SpeechStore | None = None) -> SplitSamples:
    """The samples of a split.

    Without ``captions`` it need not have any: its videos are only to be captioned.  ``speech``: ``data.speech``, where
    it is open already (a large file takes seconds).  Raises UserError when videos have
    no features (and ``data.missing_features`` is not skip), when a caption of the training split is blank or none of
    its videos has speech, though ``data.speech`` is set, or when ``data.target: speech`` lacks transcripts.
    """
    if config.target == "speech" and not config.speech:
        raise UserError("data.target: speech needs transcripts; set data.speech")
    videos, features = split_with_features(config, split, captions)
    if captions and teaches_captions(config, split):
        refuse_blank_captions(videos.values(), split_files(config, split)[0])
    speech = open_speech(config.speech) if speech is None else speech
    if speech.path is not None and not any(video in speech for video in videos):
        said = (f"{config.speech}: no video of split {split} has speech: "
                + no_match(videos, speech.keys(), speech.path.name))
        if captions and split == config.train:
            raise UserError(f"{said}; data.speech= (empty) trains without speech")
        warnings.warn(said, stacklevel=2)
    return SplitSamples(videos, features, speech, recall)


def single_sample(video_id: str, rows: np.ndarray, seconds_per_row: float = 1.0, duration: float | None = None,
                  speech: Speech | None = None, recalled: MemoryTokens | None = None,
                  queries: tuple[Query, ...] | None = None) -> Sample:
    """A sample of one video that stands in no annotation file; ``duration`` defaults to that of its rows, in seconds.

    Raises UserError when ``rows`` is not a matrix of finite numbers with at least one row.
    """
    rows = np.asarray(rows, np.float32)
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise UserError(f"video {video_id}: expected features [rows, width] of finite numbers with at least one row, "
                        f"found shape {tuple(rows.shape)}")
    return Sample(video_id, duration or len(rows) * seconds_per_row, rows, seconds_per_row, speech or Speech(),
                  recalled=recalled, queries=queries)
