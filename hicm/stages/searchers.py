"""What finds the moments of a video file that a sentence describes: a trained run, or an encoder alone."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hicm.config import Config
from hicm.data.annotations import read_split
from hicm.data.samples import SampleList, single_sample
from hicm.decisive import prediction_settings
from hicm.encoders import Encoder, ImageEncoder, make_encoder, make_image_encoder
from hicm.errors import UserError, during
from hicm.moments.by_cosine import cosine_windows, mean_cosines
from hicm.moments.postprocess import suppress
from hicm.moments.records import Query
from hicm.progress import Progress, no_progress
from hicm.provenance import Origin
from hicm.stages.origins import bank_digest, file_digests, path_digest
from hicm.stages.parts import rows_within
from hicm.stages.predict import prediction_config
from hicm.stages.run_folder import model_folder
from hicm.systems.base import find_system
from hicm.video.features import VideoFeatures, video_features
from hicm.video.identity import content_digest
from hicm.video.windows import overlapping

MOST = 10  # moments of a video that are kept
USUAL = 95  # per cent of the training videos that are not longer than what is searched at once
UNKNOWN = 150.0  # seconds that are searched at once where the training videos are not known


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found in one video: windows (n, 3) float64 of start and end in seconds, and score, the best first.

    ``cosines`` (n,) float64: how like the sentence their frames are, where that says more of videos than the score.
    """

    video: Path
    duration: float  # seconds
    windows: np.ndarray
    cosines: np.ndarray | None = None


class Searcher(ABC):
    """Video file and sentence in, windows out.

    ``overlap``: of two windows whose intersection over union is above it, the worse is dropped; ``how``: the way it
    searches, as people read it.
    """

    how: str
    step = 1.0  # seconds per frame

    def __init__(self, encoder: ImageEncoder, cache: Path, overlap: float) -> None:
        self.encoder, self.cache, self.overlap = encoder, cache, overlap

    def find(self, video: Path, question: str, progress: Progress = no_progress) -> Answer:
        """The moments of a video file; its features are kept in the cache.

        ``progress`` gets the stages frames, in seconds, and search, in windows.  Raises UserError when the file cannot
        be read as a video.
        """
        with during("frames"):
            features = video_features(video, self.encoder, self.cache, self.step, progress)
        with during("search"):
            found = suppress(self.windows(features, question, progress), self.overlap, MOST)
            return Answer(video, features.duration, found, self.cosines(features, question, found))

    @abstractmethod
    def windows(self, features: VideoFeatures, question: str, progress: Progress) -> np.ndarray:
        """All windows (n, 3) of a video, in any order and however they overlap."""

    def cosines(self, features: VideoFeatures, question: str, windows: np.ndarray) -> np.ndarray | None:
        """How like the sentence the frames of windows (n, 3) are: (n,); None where the score says it, or nothing does.
        """
        return None

    def origin(self, question: str, videos: Sequence[Path]) -> Origin:
        """What decides the moments that are found in video files."""
        settings, inputs = self._decided_by()
        settings |= {"question": question, "encoder": self.encoder.name, "seconds_per_row": self.step,
                     "overlap": self.overlap}
        return Origin(settings, inputs | {f"video {one.stem}": content_digest(one) for one in videos})

    @abstractmethod
    def _decided_by(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Settings, and digests of inputs, that decide what is found."""


class PlainSearcher(Searcher):
    """The encoder alone: stretches whose frames are nearest to the sentence (`hicm.moments.by_cosine`).

    Raises UserError when it embeds no sentences, or these in another space than pictures.
    """

    def __init__(self, encoder: str, cache: Path, overlap: float, offline: bool = False) -> None:
        images = make_image_encoder(encoder, offline)
        if not getattr(images, "images_like_texts", True):
            raise UserError(f"search: {images.name} embeds pictures and sentences in different spaces; give an "
                            "--encoder such as openclip:ViT-L-14/openai, or a run (--model)")
        try:
            self._texts = make_encoder(encoder, offline)
        except UserError as error:
            raise UserError(f"search: without --model the encoder embeds the sentence, too: {error}") from error
        super().__init__(images, cache, overlap)
        self.how = f"by cosines of frames and sentence alone ({images.name}), a plain baseline: no model was trained"

    def windows(self, features: VideoFeatures, question: str, progress: Progress) -> np.ndarray:
        """One window for each stretch."""
        return cosine_windows(features.rows, self._texts.encode([question])[0], features.step, features.duration)

    def _decided_by(self) -> tuple[dict[str, Any], dict[str, str]]:
        return {"method": "cosine"}, {}


class RunSearcher(Searcher):
    """A run of a system that finds the moments of sentences.

    A video is searched ``window`` seconds at a time (0: as long as nearly all of the training videos, and no longer
    than the system reads), a longer one in windows that overlap by half.  ``encoder``: of frames; empty: the one of the
    training's features if it is known, else a guess (`_like_words`).  Raises UserError when there is no such run, or
    when it cannot search video files.
    """

    def __init__(self, model: str, encoder: str, cache: Path, overlap: float, window: float = 0.0,
                 overrides: Sequence[str] = ()) -> None:
        self.config = config = prediction_config(Path(model), overrides)
        kind = find_system(config.system)
        if not kind.needs_sentences:
            raise UserError(f"search: {model}: the system {config.system} describes videos and takes no question; give "
                            "a run of the system moments")
        if config.data.streams:
            raise UserError(f"search: {model}: was trained on several kinds of features (data.features and "
                            f"{len(config.data.streams)} of data.streams), and only those of one image encoder can be "
                            "made of a video file; train a run with data.streams=[] and features of one encoder")
        self._folder = model_folder(Path(model))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.system = kind.load(self._folder, config)
        super().__init__(self._open_encoder(encoder), cache, overlap)
        clock = config.data.clock
        self.step = 1 / (clock.fps if clock.rows == "spread" else clock.rate)
        if window > self.system.longest:
            raise UserError(f"--window {window:g}: the run reads at most {self.system.longest:g} seconds of a video")
        self.window = min(window or config.data.longest or _usual_length(config), self.system.longest)
        self._texts = _text_side(self.encoder, config.offline)
        order = "" if self._texts is None else "; those of several videos by score times cosine of frames and sentence"
        self.how = f"by the run {model}{order}"

    def windows(self, features: VideoFeatures, question: str, progress: Progress) -> np.ndarray:
        """What the system finds in each part of the video."""
        rows = features.rows.astype(np.float32)
        spans = overlapping(features.duration, self.window, features.step)
        parts = {str(number): span for number, span in enumerate(spans)}
        none = np.empty((0, 2))
        samples = [single_sample(name, rows_within(rows, features.step, span), features.step, span.end - span.start,
                                 queries=(Query(name, question, name, span.end - span.start, none),))
                   for name, span in parts.items()]
        found, done = [], 0
        for batch in self.system.predict(SampleList(samples), self.device):
            found += [_later(query.windows, parts[name].start) for name, queries in batch.items() for query in queries]
            done += len(batch)
            progress("search", done, len(parts))
        return np.concatenate(found)

    def cosines(self, features: VideoFeatures, question: str, windows: np.ndarray) -> np.ndarray | None:
        """By the encoder of the frames, if it embeds sentences in the same space."""
        if self._texts is None:
            return None
        return mean_cosines(features.rows, self._texts.encode([question])[0], features.step, windows)

    def _decided_by(self) -> tuple[dict[str, Any], dict[str, str]]:
        inputs = {"model": path_digest(self._folder, "checkpoint")} | bank_digest(self.config)
        settings = {"window": self.window, "order": "score" if self._texts is None else "score x cosine"}
        return prediction_settings(self.config) | settings, inputs | file_digests(self.config)

    def _open_encoder(self, given: str) -> ImageEncoder:
        """The image encoder, tried on one picture, so that what is wrong is found before videos are read."""
        stated = _stated_encoder(self.config)
        spec = given or stated or _like_words(self.config)
        if not given and "@" in spec:
            raise UserError(f"search: the run was trained on features of {spec}, a file or folder; say where it is: "
                            f"--encoder {spec.rpartition('@')[0]}")
        encoder = make_image_encoder(spec, self.config.offline)
        if stated and encoder.name != stated and not getattr(encoder, "any_space", False):
            warnings.warn(f"frames are embedded with {encoder.name}, those of the training with {stated}; unless both "
                          "are the same model, what is found means nothing", stacklevel=3)
        none = SampleList([], encoder.name)
        none.width = encoder.encode_images([np.zeros((64, 64, 3), np.uint8)]).shape[1]
        try:
            list(self.system.predict(none, self.device))
        except UserError as error:
            raise UserError(f"search: {error}; name their --encoder") from error
        return encoder


def _later(windows: np.ndarray, seconds: float) -> np.ndarray:
    """Windows (n, 3) of a part that starts at ``seconds``, in seconds of the whole video."""
    return windows + np.array([seconds, seconds, 0.0])


def _text_side(encoder: ImageEncoder, offline: bool) -> Encoder | None:
    """What embeds sentences in the space of the pictures; None where nothing does."""
    if not getattr(encoder, "images_like_texts", True) or getattr(encoder, "any_space", False):
        return None
    try:
        return make_encoder(encoder.name, offline)
    except UserError:  # an encoder of pictures alone
        return None


def _stated_encoder(config: Config) -> str:
    """The encoder of the training's features, where their file is still there and says it; '' otherwise."""
    import h5py

    file = Path(config.data.features)
    if file.suffix not in (".h5", ".hdf5") or not file.is_file():
        return ""
    try:
        with h5py.File(file, "r", locking=False) as store:
            first = next(iter(store.values()), None)
            return "" if first is None else str(first.attrs.get("encoder", ""))
    except OSError:  # damaged; nothing but this is asked of it
        return ""


def _like_words(config: Config) -> str:
    """The encoder of pictures that belongs to that of the words, where it is CLIP; else that of the memory."""
    kind, _, rest = str(getattr(config.room, "words", "")).partition(":")
    return f"openclip:{rest}" if kind == "clip" else config.memory.encoder


def _usual_length(config: Config) -> float:
    """Seconds that nearly all videos of the training split do not exceed; UNKNOWN, with a warning, without them."""
    try:
        videos = read_split(config.data, config.data.train, captions=False)
    except UserError:
        videos = {}
    lengths = [video.duration for video in videos.values() if video.duration == video.duration]
    if not lengths:
        warnings.warn(f"how long the videos of the training are is not known here; videos are searched {UNKNOWN:g} "
                      "seconds at once, as --window says", stacklevel=3)
    return float(np.percentile(lengths, USUAL)) if lengths else UNKNOWN
