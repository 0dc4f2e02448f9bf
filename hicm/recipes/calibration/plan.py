"""What is tried, on which videos: checked before anything is captioned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hicm.config import HOLDOUT, Config
from hicm.decisive import prediction_settings
from hicm.dvc_eval import available_metrics
from hicm.dvc_eval.inputs.protocols import F1_NAMES
from hicm.errors import UserError
from hicm.files import plain
from hicm.stages.origins import path_digest
from hicm.stages.predict import prediction_config
from hicm.stages.run_folder import model_folder

TRIED = {"event_bias": ("-0.5", "0.5"), "word_bias": ("-1", "1")}  # few: the more is tried, the more is due to chance
DROPPED = (0.1, 0.2, 0.3, 0.4)  # shares of events
UNSURE = ("confidence", "min_confidence")  # settings of leaving out what is unsure
CHOSEN_BY = "soda_c"


@dataclass(frozen=True)
class Plan:
    """A run, a split, and what is tried: values of settings of ``captioner.decode``, one setting after the other.

    ``dropped``: shares of the events of the least ``confidence`` that are left out, each time, for ``min_confidence``;
    ``overrides``: further settings of prediction.
    """

    run: Path
    split: str
    tried: Mapping[str, Sequence[str]]
    dropped: tuple[float, ...]
    confidence: str
    overrides: tuple[str, ...] = ()

    @cached_property
    def config(self) -> Config:
        """The settings of prediction before anything is tried."""
        return prediction_config(self.run, self.overrides)

    @property
    def metrics(self) -> dict[str, str]:
        """The scores of the table, and what they are called there."""
        known = available_metrics(self.config.evaluate.protocol)
        f1 = next(name for name in F1_NAMES.values() if name in known)
        return {f1: "F1", CHOSEN_BY: "SODA_c", "CIDEr": "CIDEr"}

    def about(self) -> dict[str, Any]:
        """What all trials have in common."""
        found: dict[str, Any] = plain({
            "run": self.run.resolve().name, "split": self.split, "protocol": self.config.evaluate.protocol,
            "model": path_digest(model_folder(self.run), "checkpoint"),
            "settings": prediction_settings(self.config)})
        return found


def make_plan(run: Path, split: str = "", tried: Mapping[str, Sequence[str]] | None = None,
              dropped: Sequence[float] = DROPPED, confidence: str = "both", overrides: Sequence[str] = (),
              on_report: bool = False) -> Plan:
    """A plan; ``split`` defaults to the held-out part of the training videos, ``tried`` to `TRIED`.

    Raises UserError for another system's run, for settings and values that do not exist, for the reported split (unless
    ``on_report``) and for the one that trained the run, on both of which the choice would flatter itself.
    """
    config = prediction_config(run, overrides)
    if config.system != "captioner":
        raise UserError(f"{run}: is a run of the system {config.system}; only the captioner has these settings")
    data = config.data
    if not split and not (data.holdout or data.annotations.get(HOLDOUT)):
        raise UserError(f"{run}: holds no videos out (data.holdout); name a split with --split that neither trained "
                        f"the run ({data.train}) nor is reported ({data.report})")
    split = split or HOLDOUT
    if split == data.train:
        raise UserError(f"--split {split}: the run was trained on these videos; choose one that it has not seen")
    if split == data.report and not on_report:
        raise UserError(f"--split {split}: is the split that the run reports, and settings chosen on it make its "
                        "scores too good; choose another one, or say --on-report")
    for share in dropped:
        if not 0 < share < 1:
            raise UserError(f"--drop: expected shares between 0 and 1, found {share:g}")
    plan = Plan(run, split, TRIED if tried is None else tried, tuple(dict.fromkeys(dropped)), confidence,
                tuple(overrides))
    for name in UNSURE:
        if name in plan.tried:
            raise UserError(f"--try {name}: what is unsure is left out with --drop and --confidence; leave it out of "
                            "--try")
    for name, values in plan.tried.items():
        for value in values:
            prediction_config(run, [*overrides, override(name, value)])
    return plan


def override(name: str, value: str | float) -> str:
    """How a setting of decoding is given to --set.

    >>> override("event_bias", 0.5)
    'captioner.decode.event_bias=0.5'
    """
    return f"captioner.decode.{name}={value}"
