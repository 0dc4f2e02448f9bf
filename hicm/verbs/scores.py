"""Scores: evaluate predictions, compare systems, report on runs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hicm.errors import UserError
from hicm.files import read_json
from hicm.verbs.common import model_path

if TYPE_CHECKING:
    from hicm.dvc_eval.results.output import Scores
    from hicm.dvc_eval.results.score import Result
    from hicm.dvc_eval.selftest import SelfTest

Format = Annotated[str, "format of the predictions, e.g. timechat; default: told by the content (docs/evaluation.md)"]
ReferenceFormat = Annotated[str, "format of the annotations, e.g. youcook2:validation; default: told by the content"]
Rules = Annotated[Sequence[str], "rules to change, as name=value; 'hicm protocols' lists them"]
Json = Annotated[bool, "print json instead of a table"]
Markdown = Annotated[bool, "print a Markdown table"]
Latex = Annotated[bool, "print a LaTeX table (booktabs)"]


def evaluate(predictions: Annotated[str, "predictions file in any known format (-: standard input), run folder, or "
                                         "hub:owner/name"],
             references: Annotated[Sequence[str], "annotation files, one per annotator; default: the run's"] = (),
             *, protocol: Annotated[Sequence[str], "protocols (see 'hicm protocols') or signatures; default: that of "
                                                   "the run, else vidchapters"] = (),
             metrics: Annotated[Sequence[str], "metrics to compute; default: those of the run's settings, else all of "
                                               "the protocol"] = (),
             rule: Rules = (),
             bootstrap: Annotated[int, "bootstrap samples for confidence intervals over videos; 0: no intervals"] = 0,
             seed: Annotated[int, "seed of the intervals"] = 0,
             strict: Annotated[bool, "missing videos, and missing keys that toolkits require, are errors"] = False,
             out: Annotated[str, "json file for the scores; default: metrics_* beside a predictions_* file"] = "",
             per_video: Annotated[str, "also write a table per video to this file (.csv or .json)"] = "",
             explain: Annotated[str, "also print how the scores of this video come about, pair by pair"] = "",
             json: Json = False, markdown: Markdown = False, latex: Latex = False,
             format: Format = "", reference_format: ReferenceFormat = "",
             jobs: Annotated[int, "largest number of processes, used for large files; 0: one per core"] = 0,
             check_with_java: Annotated[bool, "score again with the Java tools; print the largest difference"] = False,
             ) -> "Scores":
    """Score predictions.

    METEOR, CIDEr, ROUGE-L, BLEU, localisation and SODA, under one or several protocols, with coverage and a signature.
    """
    from hicm.dvc_eval.results import output as reporting
    from hicm.stages.evaluate import find_scored, write_scores
    from hicm.tasks import find_task

    style = reporting.choose_style(json, markdown, latex)
    if explain and style != "text":
        raise UserError(f"--explain and --{style} are both given; an explanation is text")
    reporting.check_ending(per_video)
    scored = find_scored(model_path(predictions), references)
    path, references, settings = scored.path, scored.references, scored.settings
    protocol, metrics = list(protocol), list(metrics)
    if settings is not None:
        # A signature names its metrics itself.
        metrics = metrics or ([] if protocol else list(settings.evaluate.metrics))
        protocol = protocol or [settings.evaluate.protocol]
    protocol = protocol or ["vidchapters"]
    rules, chosen = _rules(rule), metrics or None
    task = find_task(_task_of(path))
    results = task.evaluate(path, references, protocol, metrics=chosen, rules=rules, bootstrap=bootstrap, seed=seed,
                            strict=strict, jobs=jobs, progress=True, format=format, reference_format=reference_format)
    write_scores(scored, results, Path(out) if out else None)
    if per_video:
        reporting.write_videos(results, Path(per_video))
    if check_with_java:
        from hicm.dvc_eval.crosscheck import print_differences

        print_differences(results, path, references, protocol, metrics=chosen, rules=rules, format=format,
                          reference_format=reference_format)
    explanation = ""
    if explain:
        from hicm.dvc_eval.results.explain import explain as explain_video

        explanation = "\n\n".join(explain_video(result, path, references, explain, format, reference_format)
                                  for result in results)
    if style in ("markdown", "latex"):
        print(reporting.caveats(results), file=sys.stderr)
    if notes := reporting.notes(results):
        print(notes, file=sys.stderr)
    return reporting.Scores(results, style, explanation, tuple(metrics))


def compare(files: Annotated[Sequence[str], "predictions files, run folders or hub:owner/name, the baseline first; "
                                            "then annotation files, one per annotator (default: the run's)"], *,
            protocol: Annotated[str, "protocol; default: that of the run, else vidchapters"] = "",
            metrics: Annotated[Sequence[str], "metrics to compare; default: all of the protocol"] = (),
            rule: Rules = (),
            format: Format = "", reference_format: ReferenceFormat = "",
            samples: Annotated[int, "samples of each test"] = 1000,
            seed: Annotated[int, "seed of the samples"] = 0,
            json: Json = False, markdown: Markdown = False, latex: Latex = False) -> str:
    """Compare systems on the same videos.

    Differences to the first one, with intervals, paired bootstrap and randomisation tests.
    """
    from hicm.dvc_eval import evaluate
    from hicm.dvc_eval.results import output as reporting
    from hicm.dvc_eval.results.significance import compare
    from hicm.stages.evaluate import find_scored

    style = reporting.choose_style(json, markdown, latex)
    given = {model_path(name): name for name in files}
    names, references = reporting.split_files([model_path(name) for name in files])
    systems: dict[str, Result] = {}
    for name in names:
        scored = find_scored(name, references)
        rules = protocol or (scored.settings.evaluate.protocol if scored.settings is not None else "vidchapters")
        label = given[name] if given[name] not in systems else f"{given[name]} ({len(systems) + 1})"
        systems[label] = evaluate(scored.path, scored.references, rules, metrics=list(metrics) or None,
                                  rules=_rules(rule), progress=True, format=format,
                                  reference_format=reference_format)
        for metric in set(metrics) & set(systems[label].left_out):
            raise UserError(f"{metric} cannot be computed here: {systems[label].left_out[metric]}")
    found = compare(systems, list(metrics) or None, samples=samples, seed=seed,
                    warnings=reporting.system_warnings(systems))
    return {"text": lambda: str(found), "json": lambda: reporting.to_text(found.to_json()),
            "markdown": found.to_markdown, "latex": found.to_latex}[style]()


def protocols() -> str:
    """Print the evaluation protocols and their rules.

    A Markdown table, one row per rule.
    """
    from hicm.dvc_eval.results.output import protocol_table

    return protocol_table()


def selftest() -> "SelfTest":
    """Check the evaluator of this installation.

    On made-up videos it has to give the reference scorers' numbers.
    """
    from hicm.dvc_eval.selftest import selftest

    return selftest()


def report(runs: Annotated[Sequence[str], "run folders or hub:owner/name, the baseline first"], *,
           out: Annotated[str, "folder for the page and its pictures"] = "presave/report",
           videos: Annotated[int, "number of videos shown with timeline and recalled memory"] = 10,
           split: Annotated[str, "split to show; default: data.report of the runs"] = "") -> Path:
    """Write a page that compares runs.

    It is self-contained and shows curves, metrics, timelines, and what was recalled for every window.
    """
    from hicm.report import report

    return report([Path(model_path(run)) for run in runs], Path(out), videos, split)


def _task_of(path: Path) -> str:
    """The task that predictions were made for; "dvc" for files that 'hicm predict' did not write."""
    try:
        content = read_json(path, "predictions")
    except UserError:  # the evaluator says what is wrong with the file
        return "dvc"
    ours = isinstance(content, dict) and "decided_by" in content
    return str(content["task"]) if ours and "task" in content else "dvc"


def _rules(pairs: Sequence[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise UserError(f"rule {pair!r}: expected name=value, e.g. missing=zero")
    return dict(pair.split("=", 1) for pair in pairs)
