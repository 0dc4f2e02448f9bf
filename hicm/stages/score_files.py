"""The files that scores are written to: planned and checked before scoring, written after it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hicm.errors import UserError
from hicm.files import read_json, sha256, write_json
from hicm.outputs import unwritable

if TYPE_CHECKING:
    from hicm.config import Config


@dataclass(frozen=True)
class Scored:
    """What is scored: a predictions file, its references, and the run's settings where it lies in a run folder."""

    path: Path
    references: list[Any]  # files, or parts of them
    settings: "Config | None" = None


@dataclass(frozen=True)
class Asked:
    """How it is scored: names or signatures of protocols, metrics (none: all), changed rules, intervals."""

    protocols: Sequence[str]
    metrics: Sequence[str]
    rules: Mapping[str, str]
    bootstrap: int = 0
    seed: int = 0
    over: str = ""  # what intervals draw, where there is a choice

    def to_json(self, at: int) -> dict[str, Any]:
        """The settings of the protocol at a place, as they stand in its file."""
        over = {"over": self.over} if self.over else {}
        intervals = {"bootstrap": self.bootstrap, "seed": self.seed, **over} if self.bootstrap else {}
        return {"protocol": self.protocols[at], "metrics": sorted(self.metrics), "rules": dict(self.rules), **intervals}


@dataclass(frozen=True)
class Plan:
    """Files for the scores and for the tables per video, one for each protocol, and what they say of their making."""

    scores: list[Path]
    tables: list[Path]
    about: list[dict[str, Any]]

    def write(self, results: Sequence[Any]) -> None:
        """Write what is planned.  Raises UserError when it cannot be written."""
        from hicm.evaluation.output import write_table

        for path, result, about in zip(self.scores, results, self.about, strict=False):
            write_json(path, result.to_json() | about)
        for path, result, about in zip(self.tables, results, self.about, strict=False):
            write_table(result, path, about)


def plan_files(scored: Scored, asked: Asked, names: Sequence[str], out: str = "", per_video: str = "",
               overwrite: bool = False, table_option: str = "--per-video") -> Plan:
    """Where the scores go: to ``out`` and ``per_video``, where given; without ``out`` those of a run into the run.

    A run's own file is replaced, with a line on standard error if it held other scores; a run folder that cannot be
    written keeps none, with a line as well.  Of several protocols, those after the first are written beside it under
    their ``names``.  Raises UserError for a file that cannot be written, is an input, is meant for both, or holds
    anything but scores made from the same inputs and settings (``overwrite`` replaces other scores).  ``table_option``:
    what errors call the option of the table.
    """
    from hicm.evaluation.output import paths
    from hicm.evaluation.targets import check_replaced, check_targets

    given = {option: Path(path) for option, path in (("--out", out), (table_option, per_video)) if path}
    targets = {option: paths(names, path) for option, path in given.items()}
    own = scored.path.with_name(scored.path.name.replace("predictions_", "metrics_", 1))
    keep = paths(names, own) if scored.settings is not None and not out and own != scored.path else []
    inputs = [scored.path, *(one for one in scored.references if isinstance(one, str | Path))]
    check_targets(targets, [*(("the input", path) for path in inputs), *(("the run's own", path) for path in keep)])
    if not targets and not keep:
        return Plan([], [], [])
    about = _about(scored, asked)
    for option, chosen in targets.items():
        for path, made in zip(chosen, about, strict=True):
            check_replaced(option, path, made, overwrite)
    if keep and not _may_keep(keep, about):
        keep = []
    return Plan(targets.get("--out", keep), targets.get(table_option, []), about)


def _about(scored: Scored, asked: Asked) -> list[dict[str, Any]]:
    """For each protocol: the digests of predictions and references, and the settings."""
    from hicm.evaluation.output import numbered

    files = [one for one in scored.references if isinstance(one, str | Path)]
    inputs = {"predictions": {"file": scored.path.name, "sha256": _digest(scored.path),
                              "identity": _identity(scored.path)},
              "references": dict(zip(numbered([Path(one).name for one in files]), map(_digest, files), strict=True))}
    return [inputs | {"settings": asked.to_json(at)} for at in range(len(asked.protocols))]


def _digest(path: str | Path) -> str | None:
    try:
        return sha256(path)
    except UserError:  # the evaluator says what is wrong with it
        return None


def _identity(path: Path) -> Any:
    """What 'hicm predict' says about how it made a file; None for files of other programs."""
    try:
        content = read_json(path, "predictions")
    except UserError:  # the evaluator says what is wrong with it
        return None
    return content.get("identity") if isinstance(content, dict) else None


def _may_keep(paths: Sequence[Path], about: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a run's own files can be written; says so if not, and if they hold other scores now."""
    from hicm.evaluation.targets import held_scores, made_from

    for path, made in zip(paths, about, strict=True):
        problem = unwritable(path)
        if problem:
            print(f"{path}: cannot be written ({problem}); the scores are only printed", file=sys.stderr)
            return False
        if not path.exists():
            continue
        before, now = made_from(held_scores(path) or {}), made_from(made)
        if before["predictions"] not in (None, now["predictions"]):
            print(f"{path}: the scores of other predictions are replaced", file=sys.stderr)
        elif before["settings"] not in (None, now["settings"]):
            print(f"{path}: the scores under other settings are replaced", file=sys.stderr)
    return True
