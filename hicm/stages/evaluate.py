"""The evaluation stage: a predictions file and its references in, scores out, with the digests of both."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hicm.errors import UserError
from hicm.files import require
from hicm.stages.score_files import Asked, Scored, plan_files

if TYPE_CHECKING:
    from hicm.evaluation.output import Scores


def find_predictions(name: str) -> Path:
    """The predictions that a file or run folder stands for, whether they are there or not."""
    path = Path(name)
    if not (path / "config.yaml").is_file():
        return path
    from hicm.config import load_config
    from hicm.stages.given import predictions_file

    return predictions_file(path, load_config(path / "config.yaml").data.report)


def find_scored(name: str, references: Sequence[str], split: str = "", events: str = "") -> Scored:
    """What ``name``, a predictions file or a run folder, stands for; its own references unless some are given.

    Of a run folder, ``split`` stands instead of data.report, and with ``events`` the captions of these events are
    scored (`hicm predict --events`).  Raises UserError when there are no predictions, or no references.
    """
    path, settings = require(name, "predictions", "give a predictions file, or a folder that 'hicm train' wrote"), None
    found: list[Any] = list(references)
    if path.is_dir():
        from hicm.config import load_config
        from hicm.data.annotations import split_references
        from hicm.stages.given import predictions_file

        settings = load_config(require(path / "config.yaml", "run", "give a folder that 'hicm train' wrote"))
        own = split or settings.data.report
        found = found or list(split_references(settings.data, own))
        options = "".join(f" --{option} {value}" for option, value in (("split", split), ("events", events)) if value)
        path = require(predictions_file(path, own, events), "predictions",
                       f"make them with 'hicm predict {name}{options}'")
    elif split or events:
        option = f"--split {split}" if split else f"--events {events}"
        raise UserError(f"{path}: {option} is for a run folder, whose settings know the split; name the annotation "
                        "files instead")
    if not found:
        raise UserError(f"{path}: name the reference annotation files after the predictions")
    return Scored(path, found, settings)


def evaluate_run(run: str | Path, bootstrap: int = 0, seed: int = 0, events: str = "") -> "Scores":
    """Score the reported split of a run under the protocol of its settings, and write the scores.

    ``events``: those of `hicm predict --events`, whose captions are scored.
    """
    from hicm.dvc_eval import evaluate
    from hicm.evaluation.output import Scores

    scored = find_scored(str(run), (), events=events)
    rules = scored.settings.evaluate if scored.settings is not None else None
    protocol, metrics = (rules.protocol, list(rules.metrics)) if rules is not None else ("vidchapters", [])
    plan = plan_files(scored, Asked([protocol], metrics, {}, bootstrap, seed), [protocol])
    results = evaluate(scored.path, scored.references, [protocol], metrics=metrics or None, bootstrap=bootstrap,
                       seed=seed, progress=True)
    plan.write(results)
    return Scores(tuple(results))
