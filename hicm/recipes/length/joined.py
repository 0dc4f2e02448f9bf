"""Long videos, made of several videos of a split that follow one another: a data set on disk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from hicm.config import Config
from hicm.data.annotations import read_annotations, split_references
from hicm.data.features import write_features
from hicm.data.samples import SplitSamples
from hicm.errors import UserError
from hicm.files import atomic_folder, read_json, write_json
from hicm.provenance import Origin
from hicm.recipes.memory_reads.others import by_hash
from hicm.types import Video

FORM = 1  # one higher when the same videos would be joined otherwise
ABOUT, FEATURES, SPEECH = "about.json", "features.h5", "speech.json"


@dataclass(frozen=True)
class Joined:
    """A data set of long videos in ``folder``: by id, the videos that each is made of, with their first seconds."""

    folder: Path
    members: dict[str, dict[str, float]]
    annotators: int
    speech: bool
    identity: str
    minutes: float  # mean duration

    @property
    def references(self) -> list[str]:
        """The annotation files, one per annotator."""
        return [str(self.folder / _annotations(number)) for number in range(self.annotators)]

    def settings(self, split: str, seconds_per_row: float) -> list[str]:
        """The settings with which it is read, as split ``split``."""
        speech = str(self.folder / SPEECH) if self.speech else ""
        return [f"data.annotations.{split}=[{', '.join(map(_quoted, self.references))}]", "data.feature_array=",
                f"data.features={_quoted(str(self.folder / FEATURES))}", f"data.feature_fps={1 / seconds_per_row}",
                f"data.speech={_quoted(speech)}", "data.streams=[]"]


class Source:
    """The videos of a split in a fixed order, by a hash of their ids; ``most``: only the first ones, 0: all.

    Raises UserError when the split cannot be read.
    """

    def __init__(self, config: Config, split: str, samples: SplitSamples, most: int = 0) -> None:
        self.samples, self.split = samples, split
        self.ids = by_hash(samples.ids)[:most or None]
        self.step = 1 / samples.features.clock.rate
        self.annotators = [one if isinstance(one, dict) else read_annotations(one)
                           for one in split_references(config.data, split)]
        self._rows = {video: row for row, video in enumerate(samples.ids)}

    def row(self, video: str) -> int:
        """Where a video stands in the split."""
        return self._rows[video]

    @cached_property
    def durations(self) -> dict[str, float]:
        """Seconds by video."""
        return {video: self.samples.speech_of(self._rows[video])[1] for video in self.ids}

    @cached_property
    def identity(self) -> str:
        """Digest of features, speech and annotations of the videos."""
        speech = {"speech": self.samples.speech.fingerprint(self.ids)} if self.samples.speech.path else {}
        return Origin({"durations": self.durations}, speech | {
            "features": self.samples.features.fingerprint(self.ids),
            **{f"annotations {number}": Origin({}, {video: repr(one.get(video)) for video in self.ids}).identity
               for number, one in enumerate(self.annotators)}}).identity


def join(source: Source, factor: int, folder: Path) -> Joined:
    """Write long videos of ``factor`` videos each to ``folder``, unless they are there.

    Consecutive videos of ``source`` are joined, each once; the last long one may be made of fewer.  With factor 1
    videos keep their ids.  Raises UserError when ``folder`` holds something else.
    """
    groups = grouped(source.ids, factor)
    members = {name: starts(videos, source.durations) for name, videos in groups.items()}
    identity = Origin({"form": FORM, "members": members}, {"source": source.identity}).identity
    about = {"identity": identity, "split": source.split, "factor": factor, "members": members}
    spoken = source.samples.speech.path is not None
    total = sum(source.durations[video] for video in source.ids)
    found = Joined(folder, members, len(source.annotators), spoken, identity, total / len(groups) / 60)
    if folder.exists():
        path = folder / ABOUT
        if not path.exists() or read_json(path, "description of joined videos").get("identity") != identity:
            raise UserError(f"{folder}: holds other data than would be made now; choose another --out, or remove it")
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as temporary:
        write_features(temporary / FEATURES, _LongRows(source, groups))
        for number, videos in enumerate(source.annotators):
            write_json(temporary / _annotations(number), {
                name: _entry(own, videos, source.durations) for name, own in members.items()})
        if spoken:
            write_json(temporary / SPEECH, {name: _speech(own, source) for name, own in members.items()})
        write_json(temporary / ABOUT, about)
    return found


def grouped(ids: Sequence[str], factor: int) -> dict[str, list[str]]:
    """The videos that each long video is made of, by its id."""
    if factor == 1:
        return {video: [video] for video in ids}
    return {f"long_{factor}x_{number:05d}": list(ids[first:first + factor])
            for number, first in enumerate(range(0, len(ids), factor))}


def starts(videos: Sequence[str], durations: Mapping[str, float]) -> dict[str, float]:
    """When each video begins in a long one, in seconds."""
    first = accumulate((durations[video] for video in videos[:-1]), initial=0.0)
    return dict(zip(videos, first, strict=True))


def joined_rows(parts: Sequence[np.ndarray], durations: Sequence[float], step: float) -> np.ndarray:
    """Rows [T, D] of a long video, one per ``step`` seconds: each the row of its part that is shown then.

    The rows of a part are spread over its duration, as a captioner takes them to be.
    """
    ends = np.cumsum(durations)
    seconds = (np.arange(max(1, round(ends[-1] / step))) + 0.5) * step
    place = np.minimum(np.searchsorted(ends, seconds, "right"), len(parts) - 1)
    shares = (seconds - (ends - durations)[place]) / np.asarray(durations)[place]
    return np.stack([parts[part][min(int(share * len(parts[part])), len(parts[part]) - 1)]
                     for part, share in zip(place.tolist(), shares.tolist(), strict=True)])


class _LongRows(Mapping[str, np.ndarray]):
    """The rows of long videos by id, made one at a time."""

    def __init__(self, source: Source, groups: Mapping[str, Sequence[str]]) -> None:
        self._source, self._groups = source, groups

    def __getitem__(self, name: str) -> np.ndarray:
        source, videos = self._source, self._groups[name]
        parts = [source.samples.features.read(video) for video in videos]
        if len(parts) == 1:
            return parts[0]
        return joined_rows(parts, [source.durations[video] for video in videos], source.step)

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)


def _entry(members: Mapping[str, float], videos: Mapping[str, Video], durations: Mapping[str, float]) -> dict[str, Any]:
    """The annotation of a long video; an annotator who did not see a part of it has no events there."""
    events = [(event, start) for video, start in members.items() if video in videos for event in videos[video].events]
    last, start = list(members.items())[-1]
    return {"duration": start + durations[last],
            "timestamps": [[start + event.span.start, start + event.span.end] for event, start in events],
            "sentences": [event.text for event, _ in events]}


def _speech(members: Mapping[str, float], source: Source) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {"start": [], "end": [], "text": []}
    for video, first in members.items():
        speech, _ = source.samples.speech_of(source.row(video))
        found["start"] += [first + second for second in speech.start]
        found["end"] += [first + second for second in speech.end]
        found["text"] += speech.text
    return found


def _annotations(number: int) -> str:
    return f"annotations_{number + 1}.json"


def _quoted(path: str) -> str:
    """A path as a yaml value."""
    return "'" + path.replace("'", "''") + "'"
