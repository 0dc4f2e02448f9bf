"""The made-up dataset of the demo: annotations, frame features, speech and settings, generated from a seed.

Frames imitate those of CLIP: text and images share a space, in which images are shifted by a gap.

    frame = gap + scene(video) + noise(frame) + [inside an event] (signal * text(caption) + noise(event)),  |frame| = 1

where text() is the hashing encoder that also embeds the memory.  So captions of similar meaning in other videos are
close to the frames, and what the memory recalls is informative about the video.
"""

import dataclasses
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hicm.config import load_config, save_config
from hicm.data.features import write_features
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.files import write_json
from hicm.recipes.demo.grammar import ACTIVITIES, FILLERS, KINDS
from hicm.types import Event, Span, Video

SETTINGS = Path(__file__).with_name("demo.yaml")
PARALLEL = Path(__file__).with_name("parallel.yaml")
ID_LENGTH = 11  # that of a YouTube id, so that no reader takes a part of the id for the whole

# Norms of the parts of a frame, before normalisation.
GAP, SCENE, NOISE, SIGNAL, EVENT = 0.6, 0.4, 1.0, 0.8, 0.7
SHORTEST, LONGEST = 60, 180  # seconds per video
FEWEST, MOST = 3, 7  # events per video
COVERED = (0.6, 0.85)  # share of a video covered by events
PAUSE = 1.0  # least number of seconds between two events
SPOKEN = 0.6  # share of videos with speech
MENTIONED = 0.7  # share of events that the speech mentions
CHATTER = 0.4  # segments of unrelated speech per event

Segment = tuple[float, float, str]


def make_dataset(folder: Path, videos: dict[str, int] | None = None, width: int = 64, seed: int = 0) -> Path:
    """Write a made-up dataset and its settings to ``folder``; returns the path of the settings, ``demo.yaml``.

    ``videos`` is split -> number of videos (default: 480 train, 60 val).  The first split is for training, the second
    selects the checkpoint, the last is reported.  Writes ``<split>.json`` (annotations), ``features.h5`` (float16
    [seconds, width], L2-normalised), ``speech.json`` and ``demo.yaml``.  Equal arguments give identical contents.
    Raises UserError when a number is out of range or the folder cannot be written.
    """
    videos = {"train": 480, "val": 60} if videos is None else videos
    if len(videos) < 2 or min(videos.values()) < 1 or max(videos.values()) > 9999:
        raise UserError(f"demo: expected two splits or more with 1 to 9999 videos each, found {videos}")
    folder = Path(folder)
    encoder = f"hashing:{width}"
    gap = _unit(np.random.default_rng(seed), width)
    embed = _Embedding(encoder)
    features: dict[str, np.ndarray] = {}
    speech: dict[str, dict[str, list[Any]]] = {}
    for number, (split, count) in enumerate(videos.items()):
        annotations = {}
        for index in tqdm(range(count), desc=f"demo: {split}", unit="video"):
            rng = np.random.default_rng([seed, zlib.crc32(f"{split}/{index}".encode())])
            video, spoken = make_video(rng, number * 10_000 + index)
            annotations[video.id] = {"duration": video.duration,
                                     "timestamps": [[event.span.start, event.span.end] for event in video.events],
                                     "sentences": [event.text for event in video.events]}
            features[video.id] = make_frames(rng, video, gap, embed)
            if spoken:
                starts, ends, texts = map(list, zip(*spoken, strict=True))
                speech[video.id] = {"start": starts, "end": ends, "text": texts}
        write_json(folder / f"{split}.json", annotations)
    write_features(folder / "features.h5", features)
    write_json(folder / "speech.json", speech)
    return _write_settings(folder, list(videos), encoder)


def write_parallel_settings(demo: Path) -> Path:
    """Write ``parallel.yaml``, settings of the system parallel for the dataset of ``demo``, beside it."""
    own, base = load_config(PARALLEL), load_config(demo)
    data = dataclasses.replace(base.data, frames=own.data.frames, speech="")
    own = dataclasses.replace(own, data=data, memory=base.memory)
    save_config(own, demo.with_name(PARALLEL.name))
    return demo.with_name(PARALLEL.name)


def make_video(rng: np.random.Generator, number: int) -> tuple[Video, list[Segment]]:
    """A video with 3 to 7 events that do not overlap, and its speech (possibly none).

    It lasts 60 to 180 whole seconds; its id is the activity followed by ``number``, 11 characters in total.
    """
    name = str(rng.choice(list(ACTIVITIES)))
    activity = ACTIVITIES[name]
    slots = {slot: str(rng.choice(choices)) for slot, choices in activity.slots.items()}
    kinds = _script(rng, activity.script)
    duration, spans = _schedule(rng, [KINDS[kind].seconds for kind in kinds])
    events = tuple(Event(span, str(rng.choice(KINDS[kind].captions)).format(**slots))
                   for kind, span in zip(kinds, spans, strict=True))
    video = Video(f"{name}{number:0{ID_LENGTH - len(name)}d}", duration, events)
    spoken = _talk(rng, kinds, video, slots) if rng.random() < SPOKEN else []
    return video, spoken


def make_frames(rng: np.random.Generator, video: Video, gap: np.ndarray,
                embed: Callable[[str], np.ndarray]) -> np.ndarray:
    """One row per second, float16 [seconds, D], L2-normalised; ``gap`` is [D], ``embed`` gives unit vectors [D]."""
    seconds, width = int(video.duration), len(gap)
    frames = GAP * gap + SCENE * _unit(rng, width) + NOISE * _unit(rng, seconds, width)
    centre = np.arange(seconds) + 0.5
    for event in video.events:
        inside = (centre >= event.span.start) & (centre < event.span.end)
        frames[inside] += SIGNAL * embed(event.text) + EVENT * _unit(rng, width)
    return (frames / np.linalg.norm(frames, axis=-1, keepdims=True)).astype(np.float16)


def _script(rng: np.random.Generator, script: tuple[tuple[str, float], ...]) -> list[str]:
    """Kinds of the steps that occur, in order; drawn again until their number is in range."""
    while True:
        kinds = [kind for kind, probability in script if rng.random() < probability]
        if FEWEST <= len(kinds) <= MOST:
            return kinds


def _schedule(rng: np.random.Generator, ranges: list[tuple[float, float]]) -> tuple[float, list[Span]]:
    """Duration (whole seconds) and a span (to a tenth of a second) per event, in order, with pauses in between."""
    lengths = np.array([rng.uniform(*seconds) for seconds in ranges])
    duration = float(np.clip(round(lengths.sum() / rng.uniform(*COVERED)), SHORTEST, LONGEST))
    lengths *= min(1.0, COVERED[1] * duration / lengths.sum())
    spare = duration - lengths.sum() - PAUSE * (len(lengths) + 1)
    pauses = PAUSE + spare * rng.dirichlet(np.ones(len(lengths) + 1))
    starts = np.cumsum(pauses[:-1]) + np.cumsum(lengths) - lengths
    return duration, [Span(round(float(start), 1), round(float(start + length), 1))
                      for start, length in zip(starts, lengths, strict=True)]


def _talk(rng: np.random.Generator, kinds: list[str], video: Video, slots: dict[str, str]) -> list[Segment]:
    """Speech: mentions near some events, and unrelated talk; segments in order of start, inside the video."""
    segments = []
    for kind, event in zip(kinds, video.events, strict=True):
        if rng.random() < MENTIONED:
            said = str(rng.choice(KINDS[kind].speech)).format(**slots)
            segments.append(_segment(rng.normal(event.span.start, 3.0), said, video.duration))
        if rng.random() < CHATTER:
            segments.append(_segment(rng.uniform(0, video.duration), str(rng.choice(FILLERS)), video.duration))
    return sorted(segments)


def _segment(start: float, text: str, duration: float) -> Segment:
    length = 0.5 + 0.4 * len(text.split())
    start = round(float(np.clip(start, 0, duration - length)), 1)
    return start, round(min(start + length, duration), 1), text


class _Embedding:
    """Unit vectors of captions, equal to those in the memory, each computed once."""

    def __init__(self, encoder: str) -> None:
        self._encoder = make_encoder(encoder)
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, caption: str) -> np.ndarray:
        if caption not in self._known:
            self._known[caption] = self._encoder.encode([caption])[0]
        return self._known[caption]


def _unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random unit vectors."""
    x = rng.standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _write_settings(folder: Path, splits: list[str], encoder: str) -> Path:
    """Write the packaged settings with the files of this dataset filled in."""
    config = load_config(SETTINGS)
    data = dataclasses.replace(config.data, annotations={split: [str(folder / f"{split}.json")] for split in splits},
                               features=str(folder / "features.h5"), speech=str(folder / "speech.json"),
                               train=splits[0], select=splits[1], report=splits[-1])
    memory = dataclasses.replace(config.memory, source=[splits[0]], encoder=encoder)
    save_config(dataclasses.replace(config, data=data, memory=memory), folder / "demo.yaml")
    return folder / "demo.yaml"
