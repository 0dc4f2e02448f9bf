"""Scores: evaluate predictions, compare systems, report on runs."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from hicm.errors import UserError
from hicm.verbs.common import Json, Latex, Markdown, model_path, rules_of

if TYPE_CHECKING:
    from hicm.dvc_eval.results.score import Result
    from hicm.evaluation.output import Scores
    from hicm.evaluation.selftest import SelfTest
    from hicm.stages.score_files import Scored

Format = Annotated[str, "format of the predictions, e.g. timechat; default: detected (docs/evaluation.md)"]
ReferenceFormat = Annotated[str, "format of the annotations, e.g. youcook2:validation; default: detected"]
Rules = Annotated[Sequence[str], "rules to change, as name=value; 'hicm protocols' lists them"]


def evaluate(predictions: Annotated[str, "predictions file in any known format (-: standard input), run folder, or "
                                         "hub:owner/name"],
             references: Annotated[Sequence[str], "annotation files, one per annotator; default: the run's"] = (),
             *, split: Annotated[str, "split of a run folder to score, captioned by 'hicm predict --split'; default: "
                                      "data.report of the run"] = "",
             events: Annotated[str, "of a run folder: score what 'hicm predict --events' made of this file"] = "",
             protocol: Annotated[Sequence[str], "protocols (see 'hicm protocols') or signatures; default: that of "
                                                   "the run, else vidchapters"] = (),
             metrics: Annotated[Sequence[str], "metrics to compute; default: those of the run's settings, else all of "
                                               "the protocol"] = (),
             rule: Rules = (),
             bootstrap: Annotated[int, "bootstrap samples for confidence intervals over videos; 0: no intervals"] = 0,
             seed: Annotated[int, "seed of the intervals"] = 0,
             strict: Annotated[bool, "missing videos, and missing keys that toolkits require, are errors"] = False,
             out: Annotated[str, "json file for the scores; default: those of a run folder are written into it, "
                                 "others only printed"] = "",
             per_video: Annotated[str, "also write a table per video to this file (.csv or .json)"] = "",
             overwrite: Annotated[bool, "replace scores made from other inputs or settings"] = False,
             explain: Annotated[str, "also print how the scores of this video come about, pair by pair"] = "",
             json: Json = False, markdown: Markdown = False, latex: Latex = False,
             format: Format = "", reference_format: ReferenceFormat = "",
             jobs: Annotated[int, "largest number of processes, used for large files; 0: one per core"] = 0,
             check_with_java: Annotated[bool, "score again with the Java tools; print the largest difference"] = False,
             ) -> "Scores":
    """Score predictions.

    METEOR, CIDEr, ROUGE-L, BLEU, localisation and SODA, under one or several protocols, with coverage and a signature.
    Files of moments are scored as 'hicm moments evaluate' does.
    """
    from hicm.evaluation import output as reporting
    from hicm.pipes import read_once
    from hicm.stages.evaluate import find_scored
    from hicm.stages.moments import Request, score_moments, task_of
    from hicm.stages.score_files import Asked, plan_files
    from hicm.tasks import find_task

    style = reporting.choose_style(json, markdown, latex)
    if explain and style != "text":
        raise UserError(f"--explain and --{style} are both given; an explanation is text")
    reporting.check_ending(per_video)
    rules = rules_of(rule)
    with read_once([model_path(predictions), *references]) as (source, *annotations):
        scored = find_scored(source, annotations, split, events)
        task_name = task_of(scored.path, scored.references)
        if task_name == "moments":
            _refuse_of_captions(strict=strict, jobs=jobs, check_with_java=check_with_java)
            request = Request(protocol, metrics, rules, bootstrap, seed, "videos", format, reference_format)
            return score_moments(scored, request, style, out, per_video, overwrite, explain, "--per-video")
        names, chosen = list(protocol), list(metrics)
        if scored.settings is not None:
            # A signature names its metrics itself.
            chosen = chosen or ([] if names else list(scored.settings.evaluate.metrics))
            names = names or [scored.settings.evaluate.protocol]
        names = names or ["vidchapters"]
        task = find_task(task_name)
        options = {"metrics": chosen or None, "rules": rules}
        formats = {"format": format, "reference_format": reference_format}
        asked = Asked(names, chosen, rules, bootstrap, seed)
        plan = plan_files(scored, asked, task.protocols(names, **options), out, per_video, overwrite)
        _check_requests(scored, names, options, formats, explain, check_with_java)
        results = task.evaluate(scored.path, scored.references, names, bootstrap=bootstrap, seed=seed, strict=strict,
                                jobs=jobs, progress=True, **options, **formats)
        scores = reporting.Scores(results, style, asked=tuple(chosen))
        try:
            plan.write(results)
            if check_with_java:
                from hicm.dvc_eval.crosscheck import print_differences

                print_differences(results, scored.path, scored.references, names, **options, **formats)
            if explain:
                from hicm.dvc_eval.results.explain import explain as explain_video

                scores = replace(scores, explanation="\n\n".join(
                    explain_video(result, scored.path, scored.references, explain, **formats) for result in results))
        except UserError:
            print(scores)  # what was computed is not lost
            raise
    if style in ("markdown", "latex"):
        print(reporting.caveats(results), file=sys.stderr)
    if notes := reporting.notes(results):
        print(notes, file=sys.stderr)
    return scores


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
    from hicm.dvc_eval.inputs.detect import sides_of
    from hicm.evaluation import output as reporting
    from hicm.evaluation.intervals import check_draws
    from hicm.evaluation.significance import compare
    from hicm.pipes import read_once
    from hicm.stages.evaluate import find_predictions, find_scored
    from hicm.stages.moments import Request, compare_moments, task_of

    style = reporting.choose_style(json, markdown, latex)
    check_draws(samples, seed)
    rules = rules_of(rule)
    systems: dict[str, Result] = {}
    with read_once([model_path(name) for name in files]) as paths:
        given = dict(zip(paths, files, strict=True))
        if task_of(find_predictions(paths[0]), paths[-1:]) == "moments":
            request = Request([protocol] if protocol else [], metrics, rules, samples, seed, "videos", format,
                              reference_format)
            return reporting.styled(compare_moments(paths, request, given), style)
        names, references = reporting.split_files(paths, sides_of)
        found_of = {name: find_scored(name, references) for name in names}
        for name, scored in found_of.items():
            task = task_of(scored.path, ())
            if task != "dvc":
                raise UserError(f"{given[name]}: predictions of the task {task}; 'compare' knows dvc only")
        for name in names:
            scored = found_of[name]
            own = protocol or (scored.settings.evaluate.protocol if scored.settings is not None else "vidchapters")
            label = given[name] if given[name] not in systems else f"{given[name]} ({len(systems) + 1})"
            systems[label] = evaluate(scored.path, scored.references, own, metrics=list(metrics) or None, rules=rules,
                                      progress=True, format=format, reference_format=reference_format)
            for metric in set(metrics) & set(systems[label].left_out):
                raise UserError(f"{metric} cannot be computed here: {systems[label].left_out[metric]}")
    found = compare(systems, list(metrics) or None, samples=samples, seed=seed,
                    warnings=reporting.system_warnings(systems))
    return reporting.styled(found, style)


def protocols() -> str:
    """Print the evaluation protocols and their rules.

    A Markdown table, one row per rule.
    """
    from hicm.dvc_eval import PROTOCOLS
    from hicm.evaluation.output import protocol_table

    return protocol_table(list(PROTOCOLS.values()))


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


def _check_requests(scored: "Scored", protocols: Sequence[str], options: dict[str, Any], formats: dict[str, str],
                    explain: str, java: bool) -> None:
    """Refuse what would fail after scoring: a video to explain that is not scored, Java that is not there."""
    from hicm.dvc_eval.evaluate import find_wanted

    if explain:
        from hicm.dvc_eval.results.explain import check_video

        rules = [one.rules for one in find_wanted(protocols, **options)]
        check_video(scored.path, scored.references, rules, explain, **formats)
    if java:
        from hicm.dvc_eval.crosscheck import check_java

        check_java()
        rules = [one.rules for one in find_wanted(protocols, **options)]
        if any(one.tok == "unicode" for one in rules):
            raise UserError("--check-with-java: the Java tools cannot read words by tok=unicode; leave one of them out")


def _refuse_of_captions(**options: Any) -> None:
    """UserError for an option that only dense captions have."""
    for name, value in options.items():
        if value:
            raise UserError(f"--{name.replace('_', '-')} is for dense captions, but these are moments; leave it out")
