"""The table of a calibration, and what follows from it."""

from collections.abc import Sequence
from pathlib import Path

from hicm.files import write_text
from hicm.recipes.calibration.plan import CHOSEN_BY, UNSURE, Plan
from hicm.recipes.calibration.run import Calibration, Trial, named


def write_table(found: Calibration, plan: Plan, out: Path) -> Path:
    """Write ``table.md`` to ``out``: the table and the choice."""
    return write_text(out / "table.md", f"{table(found, plan.metrics)}\n\n{choice(found, plan)}\n")


def table(found: Calibration, metrics: dict[str, str]) -> str:
    """Markdown: scores x 100, a row per trial; the best one is bold.

    Of the thresholds that were tried beside the same settings only the best one is shown.
    """
    heads = ["captioner.decode", *metrics.values(), "events a video", "words a sentence"]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1),
             "| annotated |" + " |" * len(metrics) + f" {found.events:.2f} | {found.words:.2f} |"]
    for trial in shown(found.trials):
        cells = [named(trial.settings), *(f"{100 * trial.scores[name]:.2f}" for name in metrics),
                 f"{trial.events:.2f}", f"{trial.words:.2f}"]
        if trial.settings == found.best.settings:
            cells = [f"**{cell}**" for cell in cells]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shown(trials: Sequence[Trial]) -> list[Trial]:
    """The trials without thresholds, and of those with some the best one of each settings."""
    best: dict[str, Trial] = {}
    for trial in trials:
        beside = named({name: value for name, value in trial.settings.items() if name != UNSURE[1]})
        if beside not in best or trial.scores[CHOSEN_BY] > best[beside].scores[CHOSEN_BY]:
            best[beside] = trial
    return list(best.values())


def choice(found: Calibration, plan: Plan) -> str:
    """The best settings, how they differ from the run's own, and how to use them."""
    where = f"Run `{plan.label}`, {found.videos} videos of split `{plan.split}`, `{found.signature}`; " \
            "scores x 100."
    if not found.best.settings:
        return f"{where} Nothing that was tried has a higher {plan.metrics[CHOSEN_BY]} than the run's own settings."
    lines = []
    for name, row in found.versus.items():
        interval = "" if row.interval is None else f" ({100 * row.interval.low:+.2f} to {100 * row.interval.high:+.2f})"
        lines.append(f"{plan.metrics[name]} {100 * row.difference:+.2f}{interval}")
    unseen = ", ".join(f"{plan.metrics[name]} {100 * value:+.2f}" for name, value in found.unseen.items())
    return (f"{where} Best by {plan.metrics[CHOSEN_BY]} of {len(found.trials)} trials, against the run's own settings, "
            f"with 95 % intervals over videos: {', '.join(lines)}. The best of many trials looks better on the videos "
            "that chose it than it is. The choice among these trials, made on four fifths of the videos and measured "
            f"on the rest (which trials there are depended on all videos): {unseen or 'too few videos'}.\n\n"
            "    hicm predict RUN " + " ".join(f"--set {one}" for one in [*plan.overrides, *found.overrides]))
