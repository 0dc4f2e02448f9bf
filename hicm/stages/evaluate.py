"""The evaluation stage: a predictions file and its references in, scores out, with the digests of both."""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hicm.errors import UserError
from hicm.files import read_json, require, write_json

if TYPE_CHECKING:
    from hicm.config import Config
    from hicm.dvc_eval.results.output import Scores

STDIN = "-"  # stands for standard input, where a file is expected


@dataclass(frozen=True)
class Scored:
    """What is scored: a predictions file, its references, and the run's settings where it lies in a run folder."""

    path: Path
    references: list[Any]  # files, or parts of them
    settings: "Config | None" = None


def find_scored(name: str, references: Sequence[str]) -> Scored:
    """What ``name``, a predictions file or a run folder, stands for; its own references unless some are given.

    Raises UserError when there are no predictions, or no references.
    """
    remedy = "give a predictions file, or a folder that 'hicm train' wrote"
    path, settings = Path(name) if name == STDIN else require(name, "predictions", remedy), None
    found: list[Any] = list(references)
    if path.is_dir():
        from hicm.config import load_config
        from hicm.data.annotations import split_references

        settings = load_config(require(path / "config.yaml", "run", "give a folder that 'hicm train' wrote"))
        path = require(path / f"predictions_{settings.data.report}.json", "predictions",
                       f"make them with 'hicm predict {name}'")
        found = found or list(split_references(settings.data, settings.data.report))
    if not found:
        raise UserError(f"{path}: name the reference annotation files after the predictions")
    return Scored(path, found, settings)


def evaluate_run(run: str | Path, bootstrap: int = 0, seed: int = 0) -> "Scores":
    """Score the reported split of a run under the protocol of its settings, and write the scores."""
    from hicm.dvc_eval import evaluate
    from hicm.dvc_eval.results.output import Scores

    scored = find_scored(str(run), ())
    rules = scored.settings.evaluate if scored.settings is not None else None
    protocol, metrics = (rules.protocol, list(rules.metrics)) if rules is not None else ("vidchapters", [])
    results = evaluate(scored.path, scored.references, [protocol], metrics=metrics or None, bootstrap=bootstrap,
                       seed=seed, progress=True)
    write_scores(scored, results)
    return Scores(tuple(results))


def write_scores(scored: Scored, results: Sequence[Any], out: Path | None = None) -> Path | None:
    """Write the scores beside the predictions, or to ``out``, with the digests of predictions and references.

    Of several protocols, those after the first stand beside it under their names.  Scores of other predictions are
    replaced, with a line on standard error.  Returns the first path; None when the predictions' name does not lead to
    one.
    """
    from hicm.dvc_eval.results.output import paths

    target = out or scored.path.with_name(scored.path.name.replace("predictions_", "metrics_", 1))
    if target == scored.path:
        return None
    about: dict[str, Any] = {"predictions": {"file": scored.path.name, "sha256": _digest(scored.path),
                             "identity": _identity(scored.path)},
             "references": {Path(one).name: _digest(one) for one in scored.references if isinstance(one, str | Path)}}
    for result, path in zip(results, paths(results, target), strict=True):
        if path.exists() and _predictions_of(path) not in (None, about["predictions"]["sha256"]):
            print(f"{path}: the scores of other predictions are replaced", file=sys.stderr)
        write_json(path, result.to_json() | about)
    return target


def _digest(path: str | Path) -> str:
    from hicm.dvc_eval.inputs.source import read_bytes

    return hashlib.sha256(read_bytes(path)).hexdigest()


def _identity(path: Path) -> Any:
    """What 'hicm predict' says about how it made a file; None for files of other programs, in whatever format."""
    try:
        content = read_json(path, "predictions")
    except UserError:
        return None
    return content.get("identity") if isinstance(content, dict) else None


def _predictions_of(path: Path) -> str | None:
    """Digest of the predictions whose scores a file holds; None when it does not say, '' for a file of other kind."""
    try:
        content = read_json(path, "metrics")
    except UserError:
        return ""
    known = content.get("predictions") if isinstance(content, dict) else None
    return known.get("sha256") if isinstance(known, dict) else None
