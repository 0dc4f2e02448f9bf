"""The trials: one setting after the other, each beside the best values so far.  Running it again continues it.

Each trial is also scored without its least sure events: to write many events and keep the surest can be better than to
write few.  That needs scoring only, no further captioning.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hicm.data.annotations import read_split, split_references
from hicm.dvc_eval import Result, evaluate
from hicm.errors import UserError
from hicm.evaluation.significance import Versus, compare
from hicm.files import read_json, write_json
from hicm.provenance import now, revision
from hicm.recipes.calibration.plan import CHOSEN_BY, UNSURE, Plan, override
from hicm.recipes.calibration.unseen import unseen_difference
from hicm.stages.predict import predict, prediction_config

FILE = "calibration.json"
Say = Callable[[str], None]
Events = dict[str, list[dict[str, Any]]]  # of a predictions file


@dataclass(frozen=True)
class Trial:
    """What some settings gave.  Scores are fractions; events are means per video, words per sentence."""

    settings: dict[str, str]  # of captioner.decode, beside those of the plan; none: as the run has them
    events: float
    words: float
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibration:
    """All trials, the best one, and how it differs from the run's own settings.

    ``versus``: the difference by metric; empty where the run's own settings are the best.  ``events``, ``words``: those
    of the annotations, as in `Trial`.  ``unseen``: see `unseen_difference`.
    """

    videos: int
    events: float
    words: float
    trials: tuple[Trial, ...]
    best: Trial
    versus: dict[str, Versus]
    unseen: dict[str, float]
    signature: str

    @property
    def overrides(self) -> list[str]:
        """The best settings as ``--set`` takes them."""
        return [override(name, value) for name, value in self.best.settings.items()]


def calibrate(plan: Plan, out: Path, say: Say = print) -> Calibration:
    """Try what is planned, and write ``calibration.json`` and the predictions to ``out``.

    ``say`` is given a line per trial.  Raises UserError where ``out`` holds a calibration that was planned differently,
    and the errors of the stages; what is captioned is kept.
    """
    tester = Tester(plan, out, say)
    best = tester.best(tester.test({}))
    for name, values in plan.tried.items():
        start = {known: value for known, value in best.settings.items() if known not in UNSURE}
        trials = [trial for value in values if not tester.is_own(name, value)
                  for trial in tester.test(start | {name: value})]
        best = tester.best([best, *trials])
    return tester.finish(best)


class Tester:
    """Captions the videos under some settings, and scores the captions."""

    def __init__(self, plan: Plan, out: Path, say: Say) -> None:
        self.plan, self.out, self.say, self.about = plan, out, say, plan.about()
        self.trials: dict[str, tuple[Trial, Result]] = {}
        self._claim()

    @cached_property
    def references(self) -> list[Any]:
        """Files, or videos by id, one per annotator."""
        return list(split_references(self.plan.config.data, self.plan.split))

    def is_own(self, name: str, value: str) -> bool:
        """Whether a value is what the run has anyway, however it is written."""
        config = prediction_config(self.plan.run, [*self.plan.overrides, override(name, value)])
        return bool(config.room.decode == self.plan.config.room.decode)

    def test(self, settings: dict[str, str]) -> list[Trial]:
        """The trial of these settings, and those without the shares of the events of the least confidence."""
        if not self.plan.dropped:
            return [self._score(settings, self._predict(settings))]
        sure = {**settings, UNSURE[0]: self.plan.confidence}
        events = self._predict(sure)
        scores = [event["score"] for found in events.values() for event in found] or [0.0]
        thresholds = dict.fromkeys(f"{np.quantile(scores, share):.3g}" for share in self.plan.dropped)
        return [self._score(settings, events), *(
            self._score({**sure, UNSURE[1]: threshold}, sure_of(events, float(threshold))) for threshold in thresholds)]

    def best(self, trials: Sequence[Trial]) -> Trial:
        """The first of those with the highest score."""
        return max(trials, key=lambda one: one.scores[CHOSEN_BY])

    def finish(self, best: Trial) -> Calibration:
        """What was found, which is also written."""
        base, found = self.trials[slug({})][1], self.trials[slug(best.settings)][1]
        names = list(self.plan.metrics)
        versus = {} if not best.settings else {
            row.metric: row for row in compare({"own": base, "best": found}, names, samples=self.plan.samples).rows}
        told = [len(event.text.split()) for video in read_split(self.plan.config.data, self.plan.split).values()
                for event in video.events]
        calibration = Calibration(
            videos=len(base.videos), events=float(base.counts[:, 1:].mean()), words=_mean(told),
            trials=tuple(trial for trial, _ in self.trials.values()), best=best, versus=versus,
            unseen=unseen_difference([{name: result.measures[name] for name in names} for _, result in
                                      self.trials.values()], CHOSEN_BY),
            signature=base.signature)
        write_json(self.out / FILE, {
            "about": self.about, "date": now(), **revision(), "chosen_by": CHOSEN_BY, "signature": base.signature,
            "annotated": {"videos": calibration.videos, "events": calibration.events, "words": calibration.words},
            "trials": [asdict(trial) for trial in calibration.trials], "best": asdict(best),
            "set": calibration.overrides,
            "difference": {name: {"difference": row.difference, "interval": None if row.interval is None else
                                  [row.interval.low, row.interval.high]} for name, row in versus.items()},
            "difference_on_unseen": calibration.unseen})
        return calibration

    def _predict(self, settings: dict[str, str]) -> Events:
        overrides = [*self.plan.overrides, *(override(name, value) for name, value in settings.items())]
        path = predict(self.plan.run, self.plan.split, out=self.out / f"predictions_{slug(settings)}.json",
                       overrides=overrides)
        found: Events = read_json(path, "predictions")["results"]
        return found

    def _score(self, settings: dict[str, str], events: Events) -> Trial:
        result = evaluate({"results": events}, self.references, self.plan.protocol,
                          metrics=list(self.plan.metrics))
        if result.left_out:
            raise UserError("; ".join(f"{name} cannot be computed here ({why})"
                                      for name, why in result.left_out.items()))
        words = [len(event["sentence"].split()) for found in events.values() for event in found]
        trial = Trial(settings, float(result.counts[:, 0].mean()), _mean(words),
                      {name: float(result.scores[name]) for name in self.plan.metrics})
        self.trials[slug(settings)] = trial, result
        self.say(f"{named(settings)}: SODA_c {100 * trial.scores[CHOSEN_BY]:.2f}, {trial.events:.2f} events")
        return trial

    def _claim(self) -> None:
        """UserError when the folder holds a calibration that was planned differently."""
        path = self.out / FILE
        known: Any = read_json(path, "calibration") if path.exists() else {"about": self.about}
        found = known.get("about") if isinstance(known, dict) else None
        if not isinstance(found, dict) or found != self.about:
            other = [name for name, value in self.about.items() if not isinstance(found, dict)
                     or found.get(name) != value]
            raise UserError(f"{self.out}: was made with other values of {', '.join(other)}; choose another --out, or "
                            "remove the folder")


def sure_of(events: Events, threshold: float) -> Events:
    """The events with at least this confidence."""
    return {video: [event for event in found if event["score"] >= threshold] for video, found in events.items()}


def slug(settings: Mapping[str, str]) -> str:
    """Settings as a part of a file's name.

    >>> slug({"event_bias": "0.5", "word_bias": "1"}), slug({})
    ('event_bias=0.5,word_bias=1', 'own')
    """
    return ",".join(f"{name}={value}" for name, value in settings.items()) or "own"


def named(settings: Mapping[str, str]) -> str:
    """Settings in words.

    >>> named({"event_bias": "0.5", "word_bias": "1"}), named({})
    ('event_bias 0.5, word_bias 1', 'as the run has it')
    """
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "as the run has it"


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
