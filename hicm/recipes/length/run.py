"""The benchmark: long videos of every factor, captioned whole and in parts.  Running it again continues it."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hicm.config import Config
from hicm.cores import usable_cores
from hicm.data.samples import open_samples
from hicm.decisive import prediction_settings
from hicm.dvc_eval import evaluate
from hicm.errors import UserError
from hicm.files import plain, read_json, sha256, write_json
from hicm.provenance import Origin, now, revision
from hicm.recipes.bench.machine import processor
from hicm.recipes.length.joined import Joined, Source, join
from hicm.recipes.length.measured import (
    ALONE,
    FORM,
    WHOLE,
    Measured,
    gather,
    way_name,
    write_measured,
    write_results,
)
from hicm.recipes.memory_reads.measured import METRICS, PROTOCOL, read_entry
from hicm.stages.origins import path_digest
from hicm.stages.predict import predict, prediction_config
from hicm.stages.run_folder import model_folder
from hicm.systems.base import find_system

SPLIT = "long"  # what the split of long videos is called
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is measured: a run on a split, its videos joined by ``factors``, in parts of at most ``longest`` seconds.

    ``most``: videos that are used, 0: all; ``overrides``: settings of prediction.
    """

    run: Path
    split: str
    factors: tuple[int, ...]
    longest: tuple[float, ...] = ()  # empty: what `hicm caption` takes
    most: int = 0
    overrides: tuple[str, ...] = ()

    @cached_property
    def config(self) -> Config:
        """The settings of prediction."""
        return prediction_config(self.run, self.overrides)

    @cached_property
    def model(self) -> Path:
        """The folder of the model."""
        return model_folder(self.run)

    @cached_property
    def parts(self) -> tuple[float, ...]:
        """Seconds of the longest part, per way to cut.  Raises UserError where the system takes any length."""
        if self.longest:
            return self.longest
        own = self.config.data.longest or find_system(self.config.system).load(self.model, self.config).longest
        if math.isinf(own):
            raise UserError(f"system {self.config.system} captions videos of any length at once; give --longest, the "
                            "seconds of the longest part")
        return (own,)

    def about(self) -> dict[str, Any]:
        """What decides all entries beside the data."""
        found: dict[str, Any] = plain({
            "run": self.run.resolve().name, "split": self.split, "most_videos": self.most,
            "model": path_digest(self.model, "checkpoint"), "settings": prediction_settings(self.config)})
        return found


def make_plan(run: Path, factors: Sequence[int], split: str = "", longest: Sequence[float] = (), most: int = 0,
              overrides: Sequence[str] = ()) -> Plan:
    """A plan; ``split`` defaults to the one that the run reports.  Raises UserError for numbers that are not possible.
    """
    if not factors or min(factors) < 1:
        raise UserError(f"--factors: expected whole numbers from 1, found {', '.join(map(str, factors))}")
    if most < 0:
        raise UserError(f"--videos: expected 0 (all) or more, found {most}")
    for one in longest:
        if not 0 < one < math.inf:
            raise UserError(f"--longest: expected seconds above 0, found {one:g}")
    plan = Plan(run, split, tuple(sorted(set(factors))), tuple(dict.fromkeys(longest)), most, tuple(overrides))
    return replace(plan, split=split or plan.config.data.report)


def run_plan(plan: Plan, out: Path, say: Say = print) -> list[Measured]:
    """Measure every factor and way; ``results.json`` in ``out`` grows with every entry.

    Returns all entries of ``out``, also those of earlier calls with other factors or parts.  ``say`` is given a line
    per entry.  Raises UserError where ``out`` holds something else, and the errors of the stages; what is finished is
    kept.
    """
    about = plan.about()
    _claim(out, about)
    source = Source(plan.config, plan.split, open_samples(plan.config.data, plan.split, captions=False), plan.most)
    for factor in plan.factors:
        joined = join(source, factor, out / f"x{factor}" / "data")
        tester = Tester(plan, joined, factor, source.step, out)
        ways = [(way_name(longest), longest) for longest in (0.0, *plan.parts)]
        for way, longest in [*ways, *([(ALONE, 0.0)] if factor > 1 and 1 in plan.factors else [])]:
            one, new = tester.test(way, longest)
            if new:
                write_results(out, about, gather(out))
            say(f"{factor} x, {way}: CIDEr {100 * one.scores['CIDEr']:.2f}, SODA_c {100 * one.scores['soda_c']:.2f}, "
                f"F1 {100 * one.scores['F1_of_means']:.2f}, {one.predicted:.1f} of {one.annotated:.1f} events"
                + ("" if new else ", measured before"))
    entries = gather(out)
    write_results(out, about, entries)
    return entries


class Tester:
    """Predicts and measures the long videos of one factor."""

    def __init__(self, plan: Plan, joined: Joined, factor: int, step: float, out: Path) -> None:
        self.plan, self.joined, self.factor, self.step, self.out = plan, joined, factor, step, out
        self.folder = out / f"x{factor}"

    def test(self, way: str, longest: float) -> tuple[Measured, bool]:
        """The entry of a way, and whether it is new."""
        return self._measure(way, longest, *(self._alone() if way == ALONE else self._predict(longest)))

    def _predict(self, longest: float) -> tuple[Path, float]:
        """The predictions of videos in parts of at most ``longest`` seconds, 0: whole; and the seconds it took."""
        began = time.monotonic()
        path = predict(self.plan.run, SPLIT, out=self._predictions(way_name(longest)), overrides=[
            *self.plan.overrides, *self.joined.settings(SPLIT, self.step), f"data.longest={longest:g}"])
        return path, time.monotonic() - began

    def _alone(self) -> tuple[Path, float]:
        """What the videos got that were captioned each by itself, put together as if it were of the long videos."""
        one_by_one = self.out / "x1" / f"predictions_{WHOLE}.json"
        single = read_json(one_by_one, "predictions")["results"]
        results = {name: [{**event, "timestamp": [start + second for second in event["timestamp"]]}
                          for video, start in members.items() for event in single[video]]
                   for name, members in self.joined.members.items()}
        path = self._predictions(ALONE)
        content = {"version": "VERSION 1.0", "external_data": {}, "made_from": sha256(one_by_one), "results": results}
        if not path.exists() or read_json(path, "predictions") != content:
            write_json(path, content)
        return path, 0.0

    def _measure(self, way: str, longest: float, predictions: Path, predicting: float) -> tuple[Measured, bool]:
        path = self.folder / f"measured_{way}.json"
        made_of = Origin({"form": FORM}, {"data": self.joined.identity, "predictions": sha256(predictions)}).identity
        if path.exists() and (found := read_entry(Measured, path)).made_of == made_of:
            return found, False
        began = time.monotonic()
        result = evaluate(predictions, self.joined.references, PROTOCOL, metrics=list(METRICS))
        left_out = [name for name in METRICS if name not in result.scores]
        if left_out:
            raise UserError(f"{predictions}: {left_out[0]} cannot be computed here ({result.left_out[left_out[0]]})")
        cores, counts = usable_cores(), result.counts
        one = Measured(
            factor=self.factor, way=way, longest=longest, videos=len(result.videos), minutes=self.joined.minutes,
            made_of=made_of, predictions=str(predictions.relative_to(self.out)), date=now(),
            machine=f"{processor()}, {cores} core{'s' * (cores > 1)}", commit=revision().get("commit", ""),
            signature=result.signature, annotated=float(counts[:, 1:].mean()), predicted=float(counts[:, 0].mean()),
            seconds={"predicting": predicting, "scoring": time.monotonic() - began},
            scores={name: result.scores[name] for name in METRICS})
        write_measured(one, path)
        return one, True

    def _predictions(self, way: str) -> Path:
        return self.folder / f"predictions_{way}.json"


def _claim(out: Path, about: dict[str, Any]) -> None:
    """UserError when ``out`` belongs to another run, split or setting; otherwise it says what it belongs to."""
    path = out / "plan.json"
    if not path.exists():
        write_json(path, about)
        return
    known: Any = read_json(path, "description of a benchmark")
    other = [name for name, value in about.items() if not isinstance(known, dict) or known.get(name) != value]
    if other:
        raise UserError(f"{out}: was made with other values of {', '.join(other)}; choose another --out, or remove it")


