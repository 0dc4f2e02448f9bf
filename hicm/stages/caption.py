"""From video files to captions: frame features, what the memory recalls, events, files to look at.

A trained model (a run folder) captions, or, without one, the recall system quotes a memory bank.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hicm.config import Config, load_config
from hicm.data.features import sample
from hicm.data.samples import MemoryTokens, Sample, SampleList, single_sample
from hicm.encoders import ImageEncoder, make_image_encoder
from hicm.errors import UserError
from hicm.exports import Captioned, Picture, Refused, check_formats, path_of, write_all
from hicm.exports.json import read
from hicm.files import append, read_json
from hicm.memory.bank import bank_hash, load_bank
from hicm.provenance import Origin
from hicm.retrieval.reader import Reader, needs_bank
from hicm.rooms import memory_need
from hicm.stages.origins import bank_digest, path_digest
from hicm.stages.predict import prediction_config
from hicm.stages.run_folder import model_folder
from hicm.systems.base import System, find_system
from hicm.types import Event
from hicm.video.facts import read_facts
from hicm.video.features import VideoFeatures, video_features

SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp", ".ogv")
FORMATS = ("json", "srt", "vtt", "txt")
FAILED = "failed.jsonl"


@dataclass(frozen=True)
class Summary:
    """What became of the videos; printed at the end."""

    out: Path
    done: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()  # captioned by an earlier call
    failed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()  # captioned, but not written in every format

    @property
    def ok(self) -> bool:
        return not self.failed and not self.refused

    def __str__(self) -> str:
        parts = [f"{len(self.done) + len(self.refused)} captioned"]
        parts += [f"{len(self.refused)} of them not in every format (see {self.out / FAILED})"] if self.refused else []
        parts += [f"{len(self.skipped)} already there"] if self.skipped else []
        parts += [f"{len(self.failed)} failed (see {self.out / FAILED})"] if self.failed else []
        return f"{self.out}: {', '.join(parts)}"


class VideoCaptioner:
    """A system with the encoders it needs: video file in, events out.  Models are loaded at first use.

    ``model``: a run folder; empty: the recall system on the bank ``memory``.  ``encoder``: of frames; empty: the image
    side of what embedded the memory.  Raises UserError when neither is given, or the model cannot be used.
    """

    def __init__(self, model: str = "", memory: str = "", encoder: str = "", cache: str = "presave/videos",
                 overrides: Sequence[str] = ()) -> None:
        self.config, self.system, self.origin = _open_system(model, memory, overrides)
        self.cache = Path(cache)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.encoder = self._open_encoder(encoder)
        tokens = memory_need(self.config) == "tokens"
        self._reader = Reader(load_bank(self.config.bank) if needs_bank(self.config.retrieval) else None,
                              self.config.retrieval) if tokens else None

    def features(self, video: str | Path) -> VideoFeatures:
        """Frame features of a video file, kept in the cache.  Raises UserError when it cannot be read."""
        return video_features(video, self.encoder, self.cache)

    def events(self, video: str | Path) -> tuple[Event, ...]:
        """What happens in a video file, in order of time."""
        return self.caption(video).events

    def caption(self, video: str | Path) -> Captioned:
        """The events of a video file, none of which ends after it, with how they were made."""
        video = Path(video)
        features = self.features(video)
        for line in features.warnings:
            print(line)
        [(_, found)] = next(iter(self.system.predict(SampleList([self._sample(video, features)], str(video)),
                                                     self.device))).items()
        events = sorted(_inside(found, features.duration), key=lambda event: (event.span.start, event.span.end))
        facts = read_facts(video)
        return Captioned(video.stem, str(video), features.duration, tuple(events),
                         {"decided_by": self.origin.to_json(), "encoder": self.encoder.name,
                          "seconds_per_row": features.step}, Picture(facts.frame_rate, facts.size, facts.sound))

    def _open_encoder(self, given: str) -> ImageEncoder:
        """The image encoder, tried on one picture, so that what is wrong is found before videos are read.

        A file or folder that embedded the bank is known by its content only, so it has to be given again.
        """
        config = self.config
        embedded_by = load_bank(config.bank).info.get("encoder") if config.bank.exists() else None
        spec = given or config.memory.encoder
        if not given and "@" in spec and spec == embedded_by:
            raise UserError(f"caption: the memory was embedded with {spec}, a file or folder; say where it is: "
                            f"--encoder {spec.rpartition('@')[0]}")
        encoder = make_image_encoder(spec, config.offline)
        none = SampleList([], encoder.name)
        none.width = encoder.encode_images([np.zeros((64, 64, 3), np.uint8)]).shape[1]
        list(self.system.predict(none, self.device))  # refuses features that do not fit
        if embedded_by and encoder.name != embedded_by:
            warnings.warn(f"frames are embedded with {encoder.name}, the memory with {embedded_by}; unless both are "
                          "the same model, what is recalled means nothing", stacklevel=2)
        return encoder

    def _sample(self, video: Path, features: VideoFeatures) -> Sample:
        rows = features.rows.astype("float32")
        return single_sample(video.stem, rows, features.step, features.duration, recalled=self._recall(rows))

    def _recall(self, rows: Any) -> MemoryTokens | None:
        if self._reader is None:
            return None
        frames, mask = sample(rows, self.config.data.frames)
        found = self._reader.read(frames[None], mask[None])
        return MemoryTokens(found.vectors[0], found.mask[0], found.slots[0])


def caption_files(videos: Sequence[str], captioner: VideoCaptioner, out: Path, formats: Sequence[str] = FORMATS,
                  overwrite: bool = False) -> Summary:
    """Caption video files, and those of folders, into ``out``; what is there already, made the same way, is skipped.

    A format that is new is written from the ``.json`` that is there.  A video that cannot be captioned, or not written
    in one of the formats, is recorded in ``failed.jsonl``, and the others go on.  Raises UserError before
    anything is captioned when a file is missing, two share a name, or a format is unknown.
    """
    check_formats(tuple(formats))
    done: list[str] = []
    skipped: list[str] = []
    failed: list[str] = []
    refused: list[str] = []
    for video in find_videos(videos):
        try:
            (done if _caption_file(video, captioner, out, formats, overwrite) else skipped).append(video.stem)
        except UserError as error:
            print(error)
            append(out / FAILED, json.dumps({"video": str(video), "reason": str(error)}))
            (refused if isinstance(error, Refused) else failed).append(video.stem)
    return Summary(out, tuple(done), tuple(skipped), tuple(failed), tuple(refused))


def _caption_file(video: Path, captioner: VideoCaptioner, out: Path, formats: Sequence[str], overwrite: bool) -> bool:
    """Whether there was anything to do."""
    kept = out / f"{video.stem}.json"
    if overwrite or not _is_there(kept, captioner):
        write_all(captioner.caption(video), out, formats)
        return True
    missing = [name for name in formats if not path_of(video.stem, out, name).exists()]
    if missing:
        write_all(read(kept), out, missing)
    return bool(missing)


def find_videos(given: Sequence[str]) -> list[Path]:
    """Video files as given, and those of folders by their ending, sorted.

    Raises UserError when one is missing, a folder has none, or two files would be written under one name.
    """
    found: list[Path] = []
    for path in map(Path, given):
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        if not path.exists():
            raise UserError(f"{path}: video not found; give a video file or a folder of them")
        if not inside:
            raise UserError(f"{path}: no video in this folder; expected files ending in {', '.join(SUFFIXES)}")
        found += inside
    stems: dict[str, Path] = {}
    for file in found:
        if stems.setdefault(file.stem, file) != file:
            raise UserError(f"{file}: would be written under the name of {stems[file.stem]}; rename one, or give "
                            "each its own --out")
    return list(stems.values())


def _is_there(path: Path, captioner: VideoCaptioner) -> bool:
    """Whether captions made the same way are there; UserError when they were made in another way."""
    if not path.exists():
        return False
    content = read_json(path, "captions")
    made_by = content.get("made_by") if isinstance(content, dict) else None
    other = captioner.origin.differences(made_by.get("decided_by") if isinstance(made_by, dict) else None)
    if other:
        raise UserError(f"{path}: holds other captions ({'; '.join(other)}); choose another --out, or replace "
                        "them with --overwrite")
    return True


def _inside(events: Sequence[Event], duration: float) -> list[Event]:
    """The events that begin within the video, cut at its end."""
    kept = [event for event in events if 0 <= event.span.start < duration]
    return [replace(event, span=replace(event.span, end=min(event.span.end, duration))) for event in kept]


def _open_system(model: str, memory: str, overrides: Sequence[str]) -> tuple[Config, System, Origin]:
    own = [f"memory.path={memory}"] if memory else []
    if model:
        config = prediction_config(Path(model), [*overrides, *own])
        folder = model_folder(Path(model))
        origin = Origin({}, {"model": path_digest(folder, "checkpoint")} | bank_digest(config))
        return config, find_system(config.system).load(folder, config), origin
    if not memory:
        raise UserError("caption: nothing to caption with; give a run folder (--model), or a memory bank to quote from "
                        "(--memory)")
    bank = load_bank(memory)
    config = load_config(None, ["system=recall", *own, f"memory.encoder={bank.info.get('encoder', '')}", *overrides])
    return config, find_system(config.system).untrained(config), Origin({}, {"memory bank": bank_hash(memory)})
