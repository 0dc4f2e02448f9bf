"""The recall system as stages see it: prepared with a bank, a few settings chosen, then asked video by video."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from hicm.config import Config, changes
from hicm.data.samples import Sample, Samples, SplitSamples
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.memory.bank import load_bank
from hicm.systems.base import Chooser, Device, Events, Score
from hicm.systems.recall.decode import Footage, caption, caption_spans
from hicm.systems.recall.model import Captions, captions_of, fit, nearest_texts
from hicm.systems.recall.objective import choose, draw
from hicm.systems.recall.segment import span_means
from hicm.systems.recall.settings import Settings
from hicm.systems.recall.writer import Recollection, Writer, count, open_writer
from hicm.types import Event

VIDEOS = 200  # training videos that the settings are tried on, at most
DESCRIPTION = "recall.json"
AT_ONCE = 4  # videos per request at once that are recalled before the next ones are


class System(Chooser):
    """Captions that can be quoted, the mean training row and the settings; see `hicm.systems.base`."""

    captions_given = True

    def __init__(self, config: Config, captions: Captions, mean: np.ndarray, settings: Settings,
                 samples: Samples | None = None, writer: Writer | None = None) -> None:
        self.config, self.captions, self.mean, self.settings = config, captions, mean, settings
        self.samples, self.writer = samples, writer
        self._outcomes: dict[str, dict[str, int]] = {}
        self._quotes: dict[str, list[Event]] = {}

    @classmethod
    def prepare(cls, config: Config, folder: Path, samples: SplitSamples) -> Self:
        """The captions of the bank, and the mean of the training features; its settings are still those asked for."""
        captions = captions_of(load_bank(config.bank))
        _check_width(samples, captions.vectors.shape[1])
        return cls(config, captions, fit(sample.rows for sample in samples), config.room, samples)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        """What `save` wrote, under the settings of ``config``: a run's own are those that were chosen."""
        content = read_json(folder / DESCRIPTION, "model description")
        try:
            mean = np.asarray(content["mean"], np.float32)
            if mean.ndim != 1 or not np.isfinite(mean).all():
                raise ValueError("mean: expected a list of finite numbers")
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{folder / DESCRIPTION}: cannot be read as the description of a recall system "
                            f"({type(error).__name__}: {error}); was it edited?") from error
        return cls(config, captions_of(load_bank(config.bank)), mean, config.room, writer=_writer(config))

    @classmethod
    def untrained(cls, config: Config) -> Self:
        """The captions of the bank; queries are not centred, as the mean training row is unknown."""
        captions = captions_of(load_bank(config.bank))
        return cls(config, captions, np.zeros(captions.vectors.shape[1], np.float32),
                   replace(config.room, centring="none"), writer=_writer(config))

    def choose(self, score: Score) -> list[dict[str, Any]]:
        """Try a grid of settings on some training videos and keep the best."""
        if self.samples is None:
            raise ValueError("a loaded system has no training videos: use prepare()")
        seed = self.config.train.seed
        wanted = set(draw(self.samples.ids, VIDEOS, seed))
        rows = [row for row, video in enumerate(self.samples.ids) if video in wanted]
        footage = [_footage(sample) for sample in self.samples.take(rows)]
        choice = choose(footage, self.captions, self.mean, score, self.config.room, most=VIDEOS, seed=seed,
                        leave_own_out=self.config.retrieval.leave_own_out)
        self.settings = choice.settings
        return [asdict(one.settings) | {"score": one.score, "events": one.events} for one in choice.tried]

    def predict(self, samples: Samples, device: Device = "cpu") -> Iterator[Events]:
        """Events in order of time, or those given in their order, one video after the other.

        With a writer, its sentences in place of the quoted captions, whose scores they keep; in order of arrival.
        """
        _check_width(samples, len(self.mean))
        if self.writer is None:
            for sample in samples:
                yield {sample.id: self._events(sample)}
            return
        size = AT_ONCE * self.settings.writing.concurrency
        for start in range(0, len(samples), size):
            yield from self._written(self.writer, [samples[row] for row in range(len(samples))[start:start + size]])

    def _written(self, writer: Writer, samples: Sequence[Sample]) -> Iterator[Events]:
        """The events of some videos, with captions by a language model."""
        quoted = {sample.id: sorted(enumerate(self._events(sample)), key=_by_time) for sample in samples}
        recollections = [self._recollection(sample, [event for _, event in quoted[sample.id]]) for sample in samples]
        for one, verdicts in writer.write(recollections):
            self._outcomes[one.video] = count(verdicts)
            self._quotes[one.video] = [event for _, event in quoted[one.video]]
            written = {place: replace(event, text=verdict.text or event.text)
                      for (place, event), verdict in zip(quoted[one.video], verdicts, strict=True)}
            yield {one.video: [written[place] for place in range(len(written))]}

    def _recollection(self, sample: Sample, events: Sequence[Event]) -> Recollection:
        """What is recalled for a video and its events, which are in order of time; what they quote comes first."""
        footage, most = _footage(sample), self.settings.writing.texts
        spans = np.array([(0.0, sample.duration), *((one.span.start, one.span.end) for one in events)])
        means = span_means(footage.rows, footage.step, footage.duration, spans)
        whole, *own = nearest_texts(means, self.captions, self.mean, self.settings, most)
        return Recollection(sample.id, whole, tuple(
            tuple(dict.fromkeys((event.text, *texts)))[:most] for event, texts in zip(events, own, strict=True)))

    def outcomes(self, video: str) -> dict[str, int]:
        """How many captions of a predicted video were written, and why others are recalled ones."""
        return self._outcomes.get(video, {})

    def quotes(self, video: str) -> Sequence[Event]:
        """What the events of a video would quote without the writer, in order of time; empty without one."""
        return self._quotes.get(video, ())

    @property
    def about(self) -> dict[str, Any]:
        """The writer, where there is one."""
        return {} if self.writer is None else {"writer": self.writer.about}

    def _events(self, sample: Sample) -> list[Event]:
        if sample.given is None:
            return caption(_footage(sample), self.captions, self.mean, self.settings)
        return caption_spans(_footage(sample), sample.given, self.captions, self.mean, self.settings)

    def save(self, folder: Path, **about: Any) -> None:
        """Write ``recall.json``: the settings and the mean; the bank is the run's own."""
        write_json(folder / DESCRIPTION, {"settings": asdict(self.settings), "mean": self.mean.tolist(), **about})


def _writer(config: Config) -> Writer | None:
    unread = sorted(changes(config.room.writing))
    if unread and not config.room.writer:
        warnings.warn(f"recall.writing.{unread[0]}: has no effect without recall.writer", stacklevel=4)
    return open_writer(config.room, config.bank)


def _by_time(numbered: tuple[int, Event]) -> tuple[float, float]:
    _, event = numbered
    return event.span.start, event.span.end


def _footage(sample: Sample) -> Footage:
    return Footage(sample.id, sample.duration, sample.rows, sample.seconds_per_row, sample.events or ())


def _check_width(samples: Samples, width: int) -> None:
    if samples.width != width:
        raise UserError(f"{samples.where}: features are {samples.width} wide, the memory bank and the model "
                        f"{width}; use the features that belong to them")
