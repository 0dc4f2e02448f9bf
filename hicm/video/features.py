"""Frame features of a video file: decode, embed, and keep the result for the next time."""

import itertools
import json
import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hicm.cached_arrays import cached_arrays
from hicm.config import digest
from hicm.encoders import ImageEncoder
from hicm.errors import UserError
from hicm.loading import NoModel
from hicm.progress import Progress, no_progress
from hicm.video.identity import content_digest
from hicm.video.reader import Frame, VideoReader

BATCH = 32  # frames per forward pass


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """One row per ``step`` seconds; row i stands for the seconds from i * step to (i + 1) * step."""

    rows: np.ndarray  # float16 [T, D]
    times: np.ndarray  # float64 [T], seconds at which the frames behind the rows appear
    step: float  # seconds per row
    duration: float  # seconds
    warnings: tuple[str, ...] = ()  # what was wrong with the file, a line each
    weights: str = ""  # digest of the encoder's weights, where it has one


def video_features(path: str | Path, encoder: ImageEncoder, cache: str | Path, step: float = 1.0,
                   progress: Progress = no_progress) -> VideoFeatures:
    """The features of a video file; made once per content, encoder and step, and kept in the folder ``cache``.

    ``progress`` gets the stage frames, in seconds of the video.  What is wrong with the file is a warning.

    Raises UserError when the file cannot be read as a video, or the encoder gives numbers that float16 cannot hold.
    """
    path = Path(path)
    with VideoReader(path) as video:  # a file that is not a video is refused before it is hashed
        key, kept = _place(content_digest(path), encoder.name, cache, step)
        found = cached_arrays(kept, key, lambda: _extract(video, encoder, step, progress))
    features = _features(path, found, step)
    for line in features.warnings:
        warnings.warn(line, stacklevel=2)
    return features


def kept_features(path: Path, content: str, encoder: str, cache: Path, step: float) -> VideoFeatures:
    """The features that `video_features` has cached of a video of known ``content`` (digest); the video is not read.

    Raises UserError when they are not in ``cache``.
    """
    def missing() -> dict[str, Any]:
        raise UserError(f"{path}: its features are no longer in {cache}; the same command makes them again")

    key, kept = _place(content, encoder, cache, step)
    return _features(path, cached_arrays(kept, key, missing), step)


def _place(content: str, encoder: str, cache: str | Path, step: float) -> tuple[str, Path]:
    """The cache key of features, and their file."""
    key = json.dumps({"video": content, "encoder": encoder, "step": step}, sort_keys=True)
    return key, Path(cache) / f"{digest(key, 16)}.npz"  # not by name: a renamed video is the same one


def _features(path: Path, found: dict[str, Any], step: float) -> VideoFeatures:
    return VideoFeatures(found["rows"], found["times"], step, float(found["duration"]),
                         tuple(f"{path}: {line}" for line in found["warnings"].tolist()),
                         str(found.get("weights", "")))


def _extract(video: VideoReader, encoder: ImageEncoder, step: float, progress: Progress) -> dict[str, Any]:
    rows: list[np.ndarray] = []
    times: list[float] = []
    stated = video.stated_duration and round(video.stated_duration)
    for frames in _batches(video.frames(step), BATCH):
        rows.append(_embedded(encoder, [frame.rgb for frame in frames]))
        times += [frame.time for frame in frames]
        progress("frames", min(len(times) * step, stated or math.inf), stated or 0)
    found = np.concatenate(rows).astype(np.float16)
    if not np.isfinite(found).all():
        raise UserError(f"{video.path}: {encoder.name} gave numbers that are not finite in float16; check the encoder")
    return {"rows": found, "times": np.array(times), "duration": video.duration,
            "warnings": np.array(_warnings(video), dtype=np.str_),
            "weights": np.array(getattr(encoder, "weights_sha256", ""))}


def _embedded(encoder: ImageEncoder, pictures: list[np.ndarray]) -> np.ndarray:
    """Float [len(pictures), D].  Raises NoModel for any other result, as encoders of other packages may give."""
    rows = np.asarray(encoder.encode_images(pictures))
    if rows.ndim != 2 or len(rows) != len(pictures) or not rows.shape[1] or rows.dtype.kind != "f":
        raise NoModel(f"encoder: {encoder.name} gave {list(rows.shape)} of {rows.dtype} for {len(pictures)} pictures; "
                      f"expected floats [{len(pictures)}, width]; correct its encode_images")
    return rows


def _batches(frames: Iterator[Frame], size: int) -> Iterable[list[Frame]]:
    return iter(lambda: list(itertools.islice(frames, size)), [])


def _warnings(video: VideoReader) -> list[str]:
    found = []
    if video.unreadable:
        found.append(f"{video.unreadable} damaged packet{'s were' if video.unreadable > 1 else ' was'} left out")
    if video.cut_off:
        found.append(f"ends after {video.duration:.1f} seconds; its header says {video.stated_duration:.1f}")
    return found
