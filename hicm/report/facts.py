"""The facts at the top of the page: which runs are shown, how their checkpoints were chosen, how they differ."""

import datetime
from collections.abc import Sequence
from typing import Any

from hicm.config import dump_config
from hicm.data.holdout import describe_split
from hicm.dvc_eval.results.tables import amount_lines
from hicm.report.runs import Run, is_number
from hicm.report.score_tables import metric_label

Fact = tuple[str, list[str]]  # name, one value per run


def what(runs: Sequence[Run]) -> str:
    """What the runs predict, for the head of the page."""
    return "Moments" if any(run.metrics.get("task") == "moments" for run in runs) else "Dense video captions"


def run_facts(runs: Sequence[Run]) -> list[Fact]:
    """Rows of the table of runs, then one row per setting in which they differ."""
    facts = [("Run", [run.id for run in runs]),
             ("Started", [_date(run.manifest.get("started")) for run in runs]),
             ("Trained", [_trained(run) for run in runs]),
             ("Checkpoint", [_checkpoint(run) for run in runs]),
             ("Code", [_revision(run.manifest) for run in runs]),
             ("Scored", [_scored(run.metrics) for run in runs])]
    return [fact for fact in facts if any(fact[1])] + differences(runs)


def differences(runs: Sequence[Run]) -> list[Fact]:
    """Settings whose values differ between the runs, by dotted name; of different systems, the shared ones."""
    flat = [_flatten(dump_config(run.config)) for run in runs]
    systems = {run.config.system for run in runs}
    own = () if len(systems) == 1 else tuple(f"{system}." for system in systems)
    names = dict.fromkeys(name for settings in flat for name in settings if not (own and name.startswith(own)))
    rows = [(name, [settings.get(name) for settings in flat]) for name in names]
    return [(name, [str(value) if value not in ("", None) else "–" for value in values]) for name, values in rows
            if any(value != values[0] for value in values)]


def selection(runs: Sequence[Run], split: str) -> tuple[str, bool]:
    """How the first run used its splits, and whether the shown split also selected the checkpoint of any run."""
    data, by = runs[0].config.data, metric_label(runs[0].config.train.select_on)
    chosen = [run for run in runs if _is_chosen(run)]
    train, select = (describe_split(data, name) if data.holdout else f"“{name}”" for name in (data.train, data.select))
    how = f"checkpoint chosen by {by} on {select}" if chosen else "last checkpoint"
    return (f"Trained on {train}; {how}; shown here: “{split}”.",
            any(_selected_on(run) == split for run in chosen))


def coverage_lines(runs: Sequence[Run]) -> list[str]:
    """Videos that the scores do not cover, events, warnings and notes of the evaluation; equal lines are merged."""
    lines: dict[str, list[str]] = {}
    for run in runs:
        covered = run.metrics.get("coverage") or {}
        counts = [f"{len(covered[kind])} {kind}" for kind in ("missing", "empty", "unknown")
                  if isinstance(covered.get(kind), list) and covered[kind]]
        if counts:
            lines.setdefault(f"predictions: {', '.join(counts)}", []).append(run.label)
        for line in [*_amounts(run), *(run.metrics.get("warnings") or []), *(run.metrics.get("notes") or [])]:
            lines.setdefault(str(line), []).append(run.label)
    return [f"{', '.join(labels)}: {line}" for line, labels in lines.items()]


def _amounts(run: Run) -> list[str]:
    """How many events were predicted, and how many captions repeat; nothing for scores that do not say."""
    try:
        return amount_lines(run.metrics.get("events") or {})
    except (AttributeError, KeyError, TypeError, ValueError):  # not as `hicm evaluate` writes it
        return []


def _flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _date(text: Any) -> str:
    try:
        return f"{datetime.datetime.fromisoformat(text):%Y-%m-%d %H:%M}"
    except (TypeError, ValueError):
        return ""


def _trained(run: Run) -> str:
    steps = [line for line in run.stats if is_number(line.get("loss"))]
    if not steps:
        return ""
    last = steps[-1]
    epochs = f", {last['epoch']:g} epochs" if is_number(last.get("epoch")) else ""
    return f"{last['step']:,} steps{epochs}"


def _checkpoint(run: Run) -> str:
    """The checkpoint that made the predictions, and the score that selected it."""
    selected = run.manifest.get("selected")
    parts = [str(run.checkpoint["name"])] if "name" in run.checkpoint else []
    if "step" in run.checkpoint:
        parts.append(f"step {run.checkpoint['step']}")
    if _is_chosen(run) and isinstance(selected, dict) and is_number(selected.get("value")):
        parts.append(f"{metric_label(str(selected.get('metric')))} {100 * selected['value']:.2f} on "
                     f"{_selected_on(run)}")
    if selected is None and run.stats:
        parts.append("training not finished")
    return ", ".join(parts)


def _is_chosen(run: Run) -> bool:
    """Whether a score selected the checkpoint, as the predictions state; assumed where they state nothing."""
    return run.checkpoint.get("name", "best") == "best" and not isinstance(run.manifest.get("selected"), str)


def _selected_on(run: Run) -> str:
    """The split whose scores chose the checkpoint, or the settings of a system without checkpoints."""
    selected = run.manifest.get("selected")
    on = selected.get("on") if isinstance(selected, dict) else None
    return str(on or run.config.data.select)


def _revision(manifest: dict[str, Any]) -> str:
    revision = manifest.get("revision") or {}
    commit = str(revision.get("commit") or "")[:10]
    version = (manifest.get("versions") or {}).get("hicm")
    return " ".join(filter(None, [f"hicm {version}" if version else "", commit,
                                  "with local changes" if revision.get("dirty") else ""]))


def _scored(metrics: dict[str, Any]) -> str:
    covered = metrics.get("coverage") or {}
    if not is_number(covered.get("scored")) or not is_number(covered.get("videos")):
        return ""
    return f"{covered['scored']} of {covered['videos']} videos"
