"""Speech and captions as token sequences with time tokens (Vid2Seq), and span corruption (T5)."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from hicm.data.speech import Speech
from hicm.data.text import normalise
from hicm.data.time_tokens import to_bin
from hicm.systems.captioner.vocabulary import EOS, PAD, Vocabulary
from hicm.types import Video

SEGMENT_LIMIT = 1000  # most tokens of one speech segment


class Shuffler(Protocol):
    """What span corruption needs of a random generator: NumPy's Generator or its legacy RandomState."""

    def shuffle(self, x: np.ndarray) -> None:
        """Shuffle in place."""


def speech_sequence(speech: Speech, duration: float, vocabulary: Vocabulary, limit: int) -> tuple[list[int], int]:
    """x: start, end and words of every segment, then EOS; at most ``limit`` ids.

    Returns the ids and how many were cut off.
    """
    segments = zip(speech.start, speech.end, speech.text, strict=True)
    return _sequence(segments, duration, vocabulary, SEGMENT_LIMIT, limit)


def caption_sequence(video: Video, vocabulary: Vocabulary, limit: int) -> tuple[list[int], int]:
    """y: start, end and caption of every event in file order, then EOS; at most ``limit`` ids.

    Returns the ids and how many were cut off.
    """
    events = ((event.span.start, event.span.end, event.text) for event in video.events)
    return _sequence(events, video.duration, vocabulary, limit, limit)


def _sequence(parts: Iterable[tuple[float, float, str]], duration: float, vocabulary: Vocabulary, part_limit: int,
              limit: int) -> tuple[list[int], int]:
    ids = [token for start, end, text in parts for token in timed(start, end, text, duration, vocabulary, part_limit)]
    return [*ids[: limit - 1], EOS], max(0, len(ids) - (limit - 1))


def timed(start: float, end: float, text: str, duration: float, vocabulary: Vocabulary, limit: int) -> list[int]:
    """Start, end (seconds) and at most ``limit`` tokens of the words."""
    words = vocabulary.encode(normalise(text), limit)
    if not vocabulary.bins:
        return words
    return [vocabulary.time_id(to_bin(second, duration, vocabulary.bins)) for second in (start, end)] + words


def corrupt(x: list[int], vocabulary: Vocabulary, rng: Shuffler, density: float = 0.25,
            span: float = 5.0) -> tuple[list[int], list[int]]:
    """T5 span corruption of a speech sequence: (input with sentinels, target with the masked spans).

    In the input each masked span is replaced by a sentinel; the target lists every sentinel followed by the ids it
    replaces.  Where that takes more spans than the vocabulary has sentinels, there are as many as it has, and they are
    longer: as many ids are masked.  ``x`` = [EOS] (no speech) gives ([PAD], [EOS]), so the decoder sees only the video,
    and so does a vocabulary without sentinels.
    """
    if len(x) <= 1 or not vocabulary.sentinels:
        return [PAD], [EOS]
    noise, wanted = masked(len(x), density, span)
    kept = len(x) - noise
    spans = min(wanted, len(vocabulary.sentinels))
    noise_lengths = _segmentation(noise, spans, rng)
    kept_lengths = _segmentation(kept, spans, rng)
    source: list[int] = []
    target: list[int] = []
    position = 0
    for i, (keep, mask) in enumerate(zip(kept_lengths, noise_lengths, strict=True)):
        sentinel = vocabulary.sentinel(i)
        source += [*x[position: position + keep], sentinel]
        target += [sentinel, *x[position + keep: position + keep + mask]]
        position += keep + mask
    return [*source, EOS], [*target, EOS]


def masked(length: int, density: float, span: float) -> tuple[int, int]:
    """How many of ``length`` >= 2 ids are masked, and in how many spans (T5)."""
    noise = min(max(int(np.round(length * density)), 1), length - 1)
    return noise, min(max(int(np.round(noise / span)), 1), noise, length - noise)


def _segmentation(items: int, parts: int, rng: Shuffler) -> list[int]:
    """Random lengths of ``parts`` non-empty runs that add up to ``items``, from a single shuffle."""
    first = np.arange(items - 1) < parts - 1
    rng.shuffle(first)
    numbers = np.cumsum(np.concatenate([[False], first]))
    return np.bincount(numbers, minlength=parts).tolist()
