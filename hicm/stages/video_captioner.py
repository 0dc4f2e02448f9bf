"""A system with the encoders it needs: video files in, events out."""

import functools
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hicm.config import Config, load_config
from hicm.data.features import sample_or_all
from hicm.data.samples import MemoryTokens, Sample, SampleList, single_sample
from hicm.data.speech import Speech, SpeechStore, open_speech
from hicm.decisive import prediction_settings
from hicm.encoders import ImageEncoder, make_image_encoder
from hicm.errors import UserError, during, printable
from hicm.exports import Captioned, Picture
from hicm.memory.bank import Bank, load_bank
from hicm.outputs import output_folder
from hicm.progress import Progress, no_progress, progress_line
from hicm.provenance import Origin
from hicm.recognisers import NoSound, Recogniser, make_recogniser
from hicm.retrieval.mean_frame import make_reader
from hicm.retrieval.reader import Reader, needs_bank
from hicm.retrieval.texts import add_texts
from hicm.retrieval.trees import Memory
from hicm.rooms import memory_need, quotes_memory, reads_speech, reads_tokens
from hicm.stages.origins import bank_digest, file_digests, path_digest
from hicm.stages.parts import in_video, rows_within, speech_within
from hicm.stages.predict import prediction_config
from hicm.stages.run_folder import model_folder
from hicm.systems.base import System, find_system
from hicm.types import Event, RecalledPart, Span
from hicm.video.facts import read_facts
from hicm.video.features import VideoFeatures, video_features
from hicm.video.identity import content_digest
from hicm.video.speech import video_speech
from hicm.video.windows import around, cut

NONE, DEFAULT = "none", "whisper:small"  # of --speech
STEP = 1.0  # seconds per frame, as in all published features


class VideoCaptioner:
    """Video file in, events out; models are loaded once.

    model: a run folder; empty: the recall system, which quotes the bank ``memory`` and needs no training
    encoder: of frames; empty: the image side of what embedded the memory
    speech: a recogniser, a file or folder of transcripts, or "none"; empty: whisper:small where the system was
        trained with speech
    cache: folder of features and transcripts
    window: seconds that are captioned at once; a longer video is cut at pauses where the picture changes; 0:
        ``data.longest``, or else as the system says (`System.longest`)
    overrides: settings, as ``section.key=value``

    Raises UserError when there is nothing to caption with, its parts do not fit, or the cache cannot be written.
    """

    def __init__(self, model: str = "", memory: str = "", encoder: str = "", speech: str = "",
                 cache: str | Path = "presave/videos", window: float = 0.0, overrides: Sequence[str] = ()) -> None:
        self.cache, self.window = output_folder(cache, "--cache"), window
        self.config, self.system, self._inputs = _open_system(model, memory, overrides)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        bank = load_bank(self.config.bank) if self.config.bank.exists() else None
        self.encoder = self._open_encoder(encoder, bank)
        self.speech = self._open_speech(speech)
        self._reader, self._memory = _open_memory(self.config, bank)

    @during("frames")
    def features(self, video: str | Path, progress: Progress = no_progress) -> VideoFeatures:
        """Frame features of a video file, kept in the cache.  Raises UserError when it cannot be read."""
        return video_features(video, self.encoder, self.cache, STEP, progress)

    @during("speech")
    def read_speech(self, video: str | Path, duration: float, progress: Progress = no_progress) -> Speech:
        """The speech of a video within ``duration`` seconds, if the system reads it; warns of a broken sound track."""
        if self.speech is None:
            return Speech()
        stem = Path(video).stem
        if isinstance(self.speech, SpeechStore):
            return self.speech.get(stem, duration)
        try:
            entry = video_speech(video, self.speech, self.cache, progress)
        except NoSound as error:
            warnings.warn(f"{error}; captioned without speech", stacklevel=2)
            return Speech()
        return SpeechStore.of({stem: entry}).get(stem, duration)

    def events(self, video: str | Path) -> tuple[Event, ...]:
        """The events of a video file, in order of time."""
        with progress_line(printable(Path(video).name)) as progress:
            return self.caption(video, progress).events

    @property
    def longest(self) -> float:
        """Seconds that are captioned at once."""
        return self.window or self.config.data.longest or self.system.longest

    def check_given(self) -> None:
        """UserError where the system describes only the events that it finds itself."""
        if not self.system.captions_given:
            raise UserError(f"caption: the system {self.config.system} describes the events that it finds, not given "
                            "moments; give the run of another system")

    @during("captions")
    def caption_moments(self, video: str | Path, spans: Sequence[Span],
                        progress: Progress = no_progress) -> tuple[str, ...]:
        """What the system says of moments of a video file, each seen with `longest` seconds of the video around it.

        ``progress`` and errors are those of `caption` and `check_given`.
        """
        self.check_given()
        video = Path(video)
        features = self.features(video, progress)
        rows, speech = features.rows.astype(np.float32), self.read_speech(video, features.duration, progress)
        parts = []
        for number, span in enumerate(spans, start=1):
            window = around(span, features.duration, self.longest)
            part = _part(f"{video.stem} {number}", features, rows, speech, window)
            own = Span(span.start - window.start, span.end - window.start)
            parts.append(replace(part, recalled=self._recall(part)[0], given=(own,)))
        found: dict[str, list[Event]] = {}
        for batch in self.system.predict(SampleList(parts, str(video)), self.device):
            found |= batch
            progress("captions", len(found), len(parts))
        return tuple(found[part.id][0].text for part in parts)

    @during("captions")
    def caption(self, video: str | Path, progress: Progress = no_progress) -> Captioned:
        """The events of a video file, none of which ends after it, with what decided them.

        ``progress`` gets the stages frames and speech in seconds, recall and captions in windows.
        """
        video = Path(video)
        features = self.features(video, progress)
        rows, speech = features.rows.astype(np.float32), self.read_speech(video, features.duration, progress)
        windows = cut(rows, features.step, features.duration, self.longest,
                      tuple(zip(speech.start, speech.end, strict=True)))
        if len(windows) > 1:
            print(printable(f"{video}: {features.duration:.0f} seconds, captioned in {len(windows)} windows"))
        parts = [_part(f"{video.stem} {number}", features, rows, speech, window)
                 for number, window in enumerate(windows, start=1)]
        recalls = []
        for number, part in enumerate(parts):
            tokens, read = self._recall(part)
            recalls.append(read)
            parts[number] = replace(part, recalled=tokens)
            progress("recall", number + 1, len(parts))
        found: dict[str, list[Event]] = {}
        for batch in self.system.predict(SampleList(parts, str(video)), self.device):
            found |= batch
            progress("captions", len(found), len(parts))
        events, quotes = [], list[Event]()
        for part, window in zip(parts, windows, strict=True):
            events += in_video(found[part.id], window)
            quotes += in_video(self.system.quotes(part.id) or found[part.id], window)
        events.sort(key=lambda event: (event.span.start, event.span.end))
        recalled = [_later(one, window.start) for own, window in zip(recalls, windows, strict=True) for one in own]
        if quotes_memory(self.config.system) and self._memory is not None:
            recalled = self._memory.quoted(quotes)
        facts = read_facts(video)
        return Captioned(video.stem, str(video), features.duration, tuple(events),
                         {"decided_by": self.origin(video).to_json(), "device": str(self.device), **self.system.about},
                         Picture(facts.frame_rate, facts.size, facts.sound), _speech_events(speech), tuple(recalled))

    def origin(self, video: str | Path) -> Origin:
        """What decides the events of a video file."""
        parts: dict[str, Any] = {"encoder": self.encoder.name, "seconds_per_row": STEP}
        parts |= {"window": self.window} if self.window else {}
        inputs = {"video": content_digest(video)}
        if isinstance(self.speech, SpeechStore):
            inputs |= {"speech": self.speech.fingerprint([Path(video).stem])}
        elif self.speech is not None:
            parts |= {"speech": self.speech.name}
        return Origin(prediction_settings(self.config) | parts, self._inputs | inputs)

    def _open_encoder(self, given: str, bank: Bank | None) -> ImageEncoder:
        """The image encoder, tried on one picture, so that what is wrong is found before videos are read.

        A file or folder that embedded the bank is known by its content only, so it has to be given again.
        """
        config = self.config
        embedded_by = None if bank is None else bank.info.get("encoder")
        spec = given or config.memory.encoder
        if not given and "@" in spec and spec == embedded_by:
            raise UserError(f"caption: the memory was embedded with {spec}, a file or folder; say where it is: "
                            f"--encoder {spec.rpartition('@')[0]}")
        encoder = make_image_encoder(spec, config.offline)
        none = SampleList([], encoder.name)
        none.width = encoder.encode_images([np.zeros((64, 64, 3), np.uint8)]).shape[1]
        list(self.system.predict(none, self.device))  # refuses features that do not fit
        if embedded_by and not getattr(encoder, "images_like_texts", True):
            warnings.warn(f"{encoder.name} embeds images and texts in different spaces, so what is recalled means "
                          "nothing; give an --encoder whose images and texts share one, as CLIP's do", stacklevel=3)
        elif embedded_by and encoder.name != embedded_by and not getattr(encoder, "any_space", False):
            warnings.warn(f"frames are embedded with {encoder.name}, the memory with {embedded_by}; unless both are "
                          "the same model, what is recalled means nothing", stacklevel=3)
        return encoder

    def _open_speech(self, given: str) -> Recogniser | SpeechStore | None:
        if not reads_speech(self.config) and given not in ("", NONE):
            warnings.warn(f"--speech {given}: has no effect, as this model reads no speech", stacklevel=3)
        if not reads_speech(self.config) or given == NONE:
            return None
        if not given and not self.config.data.speech:
            print(f"captioned without speech, as the model was trained; --speech {DEFAULT} reads it")
            return None
        if given and Path(given).exists():
            return open_speech(given)
        return make_recogniser(given or DEFAULT, self.config.offline)

    def _recall(self, part: Sample) -> tuple[MemoryTokens | None, list[RecalledPart]]:
        """What a part of a video recalls: as tokens for the system, and as trees for display."""
        data = self.config.data
        if self._reader is None:
            return None, []
        frames, mask = sample_or_all(part.rows, data.frames, self.config.retrieval.windows, data.sampling)
        found = self._reader.read(frames[None], mask[None])
        tokens = MemoryTokens(found.vectors[0], found.mask[0], found.slots[0],
                              None if found.slot_scores is None else found.slot_scores[0],
                              window_rows=None if found.window_rows is None else found.window_rows[0])
        if self._memory is not None and memory_need(self.config) == "texts":
            tokens = add_texts(tokens, self._memory.bank)
        if self._memory is None or not found.nodes:
            return tokens, []
        return tokens, self._memory.windows(found.visited(0), part.duration, rows=tokens.window_rows)


def shared_captioner(**options: Any) -> VideoCaptioner:
    """A captioner, which later calls with the same options share."""
    return _kept(**{name: tuple(value) if isinstance(value, list) else value for name, value in options.items()})


_kept = functools.lru_cache(maxsize=2)(VideoCaptioner)


def _part(name: str, features: VideoFeatures, rows: np.ndarray, speech: Speech, window: Span) -> Sample:
    """One window of a video as a video of its own."""
    return single_sample(name, rows_within(rows, features.step, window), features.step, window.end - window.start,
                         speech_within(speech, window))


def _later(recalled: RecalledPart, seconds: float) -> RecalledPart:
    """What a window recalled, in seconds of the whole video."""
    return replace(recalled, span=Span(recalled.span.start + seconds, recalled.span.end + seconds))


def _speech_events(speech: Speech) -> tuple[Event, ...]:
    return tuple(Event(Span(start, end), text)
                 for start, end, text in zip(speech.start, speech.end, speech.text, strict=True))


def _open_memory(config: Config, bank: Bank | None) -> tuple[Reader | None, Memory | None]:
    """The reader of the memory, if the system reads tokens, and the memory as shown, if the system uses it."""
    tokens, bank = reads_tokens(config), bank if memory_need(config) != "none" else None
    if tokens:
        bank = (bank or load_bank(config.bank)) if needs_bank(config.retrieval) else None
    own = replace(config, data=replace(config.data, feature_fps=1 / STEP, feature_rows="all"))  # of these videos
    return make_reader(bank, config) if tokens else None, None if bank is None else Memory(own, bank)


def _open_system(model: str, memory: str, overrides: Sequence[str]) -> tuple[Config, System, dict[str, str]]:
    """Settings, system, and digests of what they were made from."""
    own = [f"memory.path={memory}"] if memory else []
    if model:
        config = prediction_config(Path(model), [*overrides, *own])
        if find_system(config.system).needs_sentences:
            raise UserError(f"caption: {model}: the system {config.system} finds the moments of given sentences and "
                            "describes nothing; put them into an annotation file, and use hicm predict")
        folder = model_folder(Path(model))
        return config, find_system(config.system).load(folder, config), {
            "model": path_digest(folder, "checkpoint")} | bank_digest(config) | file_digests(config)
    if not memory:
        raise UserError("caption: nothing to caption with; give a run folder (--model), or a memory bank to quote from "
                        "(--memory)")
    encoder = load_bank(memory).info.get("encoder", "")
    config = load_config(None, ["system=recall", *own, f"memory.encoder={encoder}", *overrides])
    return config, find_system(config.system).untrained(config), bank_digest(config) | file_digests(config)
