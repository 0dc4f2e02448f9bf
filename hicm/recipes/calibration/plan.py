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
from hicm.evaluation.intervals import check_draws
from hicm.files import plain
from hicm.stages.origins import path_digest
from hicm.stages.predict import prediction_config
from hicm.stages.run_folder import model_folder, run_label

TRIED = {"event_bias": ("-0.5", "0.5"), "word_bias": ("-1", "1")}  # few: of many, one wins by chance
DROPPED = (0.1, 0.2, 0.3, 0.4)  # shares of events
UNSURE = ("confidence", "min_confidence")  # settings of leaving out what is unsure
CHOSEN_BY = "soda_c"
USUAL = "vidchapters"  # a protocol that has all scores of the table


@dataclass(frozen=True)
class Plan:
    """A run, a split, and what is tried: values of settings of ``captioner.decode``, one setting after the other.

    ``dropped``: shares of the events of the least ``confidence`` that are left out, each time, for ``min_confidence``;
    ``protocol``: that of the scores; ``samples``: of the bootstrap over videos; ``overrides``: further settings of
    prediction.
    """

    run: Path
    split: str
    tried: Mapping[str, Sequence[str]]
    dropped: tuple[float, ...]
    confidence: str
    protocol: str
    samples: int = 1000
    overrides: tuple[str, ...] = ()

    @cached_property
    def config(self) -> Config:
        """The settings of prediction before anything is tried."""
        return prediction_config(self.run, self.overrides)

    @property
    def metrics(self) -> dict[str, str]:
        """The scores of the table, and what they are called there."""
        return table_metrics(self.protocol)

    @property
    def label(self) -> str:
        """What the run is called."""
        return run_label(self.run)

    def about(self) -> dict[str, Any]:
        """What decides the trials and what is made of them."""
        found: dict[str, Any] = plain({
            "run": self.label, "split": self.split, "protocol": self.protocol,
            "model": path_digest(model_folder(self.run), "checkpoint"),
            "settings": prediction_settings(self.config), "tried": self.tried, "dropped": self.dropped,
            "confidence": self.confidence, "samples": self.samples})
        return found


def make_plan(run: Path, split: str = "", tried: Mapping[str, Sequence[str]] | None = None,
              dropped: Sequence[float] = DROPPED, confidence: str = "both", overrides: Sequence[str] = (),
              on_report: bool = False, protocol: str = "", samples: int = 1000) -> Plan:
    """A plan; ``split`` defaults to the held-out part of the training videos, ``tried`` to `TRIED`, ``protocol`` to
    that of the run.

    Raises UserError for another system's run, for settings and values that do not exist, for a protocol without the
    scores, for ``samples`` below 1, for a run that leaves out unsure events already where some are to be dropped, and
    for the reported split (unless ``on_report``) and the one that trained the run: on either the chosen settings would
    look better than they are.
    """
    check_draws(samples, 0)
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
    if dropped and config.room.decode.min_confidence:
        raise UserError(f"{run}: leaves out unsure events already (captioner.decode.min_confidence="
                        f"{config.room.decode.min_confidence:g}), so --drop would be of the rest; start from all "
                        "events with --set captioner.decode.min_confidence=0, or give --drop without shares")
    protocol = protocol or config.evaluate.protocol
    known = available_metrics(protocol)
    if lacking := [title for name, title in table_metrics(protocol).items() if name not in known]:
        raise UserError(f"protocol {protocol} has no {', '.join(lacking)}; choose another one with --protocol, such as "
                        f"{USUAL}")
    plan = Plan(run, split, TRIED if tried is None else tried, tuple(dict.fromkeys(dropped)), confidence, protocol,
                samples, tuple(overrides))
    for name in UNSURE:
        if name in plan.tried:
            raise UserError(f"--try {name}: what is unsure is left out with --drop and --confidence; leave it out of "
                            "--try")
    for name, values in plan.tried.items():
        for value in values:
            prediction_config(run, [*overrides, override(name, value)])
    return plan


def table_metrics(protocol: str) -> dict[str, str]:
    """The scores of the table and their titles; a protocol need not have them.

    >>> table_metrics("activitynet-2018")
    {'F1_of_means': 'F1', 'soda_c': 'SODA_c', 'CIDEr': 'CIDEr'}
    """
    known = available_metrics(protocol)
    f1 = next((name for name in F1_NAMES.values() if name in known), "F1")
    return {f1: "F1", CHOSEN_BY: "SODA_c", "CIDEr": "CIDEr"}


def override(name: str, value: str | float) -> str:
    """How a setting of decoding is given to --set.

    >>> override("event_bias", 0.5)
    'captioner.decode.event_bias=0.5'
    """
    return f"captioner.decode.{name}={value}"
