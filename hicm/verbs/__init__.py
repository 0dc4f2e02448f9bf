"""The stages as functions: what ``hicm VERB`` does, with the same arguments.

>>> from hicm import verbs
>>> verbs.train("configs/yc2.yaml", set_=["train.lr=1e-4"])  # doctest: +SKIP

Each function reads files, writes files and returns what it wrote or found; running it again continues or skips.
Heavy packages are imported when a stage runs, so ``--help`` is quick.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hicm.errors import UserError
from hicm.verbs.common import ConfigFile, DryRun, Overrides, load_settings, model_path, print_dry
from hicm.verbs.data import data_chapters as data_chapters
from hicm.verbs.data import download as download
from hicm.verbs.data import pull as pull
from hicm.verbs.data import push as push
from hicm.verbs.memory import memory_ablate as memory_ablate
from hicm.verbs.memory import memory_build as memory_build
from hicm.verbs.memory import memory_diff as memory_diff
from hicm.verbs.memory import memory_export as memory_export
from hicm.verbs.memory import memory_import as memory_import
from hicm.verbs.memory import memory_map as memory_map
from hicm.verbs.memory import memory_merge as memory_merge
from hicm.verbs.memory import memory_search as memory_search
from hicm.verbs.memory import memory_show as memory_show
from hicm.verbs.memory import memory_stats as memory_stats
from hicm.verbs.models import convert as convert
from hicm.verbs.published import reproduce as reproduce
from hicm.verbs.published import results as results

if TYPE_CHECKING:
    from hicm.dvc_eval.results.output import Scores
    from hicm.dvc_eval.selftest import SelfTest
    from hicm.stages.check import Report


def data_check(config: ConfigFile, *, set_: Overrides = (),
               shallow: Annotated[bool, "look only whether features are there, do not read them"] = False) -> "Report":
    """Count videos, events, captions and speech; list everything that training or evaluation would trip over."""
    from hicm.stages.check import check_data

    return check_data(load_settings(config, set_), deep=not shallow)


def retrieve(config: ConfigFile, *, split: Annotated[str, "split of videos; empty: data.report"] = "",
             out: Annotated[str, "file written; empty: presave/<name>/retrieved_<split>.h5"] = "",
             training: Annotated[bool, "leave each video's own captions out, as in training"] = False,
             set_: Overrides = (),
             overwrite: Annotated[bool, "replace a file made with other settings"] = False) -> Path:
    """Recall memory for every window of every video of a split."""
    from hicm.stages.retrieve import retrieve

    settings = load_settings(config, set_)
    split = split or settings.data.report
    path = Path(out or f"presave/{settings.data.name}/retrieved_{split}.h5")
    return retrieve(settings, split, path, training, overwrite)


def train(config: ConfigFile, *, out: Annotated[str, "run folder; empty: presave/runs/<settings file>-<hash>"] = "",
          set_: Overrides = (), dry_run: DryRun = False) -> Path | None:
    """Train a system; the same command continues an interrupted run.  Several GPUs: accelerate launch -m hicm."""
    settings, stem = load_settings(config, set_), Path(config).stem
    if dry_run:
        return print_dry(settings, f"train {settings.system} -> {out or f'presave/runs/{stem}-<hash>'}")
    from hicm.stages.train import train

    return train(settings, stem, Path(out) if out else None)


def predict(run: Annotated[str, "run folder, hub:owner/name, or a released .pth, which needs --config and is converted "
                                "first"], *,
            config: Annotated[str, "settings file of a released .pth"] = "",
            split: Annotated[str, "split of videos; empty: data.report of the run"] = "",
            checkpoint: Annotated[str, "best or last; empty: best, or last where there is no best"] = "",
            out: Annotated[str, "file written; empty: <run>/predictions_<split>.json"] = "",
            set_: Overrides = (),
            overwrite: Annotated[bool, "replace predictions made with other settings or inputs"] = False,
            dry_run: DryRun = False) -> Path | None:
    """Caption every video of a split with a trained system; continues an interrupted prediction."""
    run = model_path(run)
    if Path(run).is_file() or (config and not Path(run).is_dir()):
        from hicm.verbs.models import convert_once

        if dry_run and config:
            return print_dry(load_settings(config, set_), f"convert {run}, then caption with it")
        run = str(convert_once(run, config, set_))
    elif config:
        raise UserError(f"{run}: --config is for a released .pth; a run folder has its own settings (change them by "
                        "--set)")
    from hicm.stages.predict import predict, prediction_config
    from hicm.stages.run_folder import model_folder

    if dry_run:
        settings = prediction_config(Path(run), set_)
        split = split or settings.data.report
        return print_dry(settings, f"{model_folder(Path(run), checkpoint)} on split {split} -> "
                                   f"{out or Path(run) / f'predictions_{split}.json'}")
    return predict(Path(run), split, checkpoint, Path(out) if out else None, set_, overwrite)


def evaluate(predictions: Annotated[str, "predictions json, or a run folder"],
             references: Annotated[Sequence[str], "annotation files, one per annotator; none: those of the run"] = (),
             *, protocol: Annotated[Sequence[str], "sets of rules, or signatures; none: vidchapters or the run's"] = (),
             metrics: Annotated[Sequence[str], "metrics computed; none: all of the protocol"] = (),
             rule: Annotated[Sequence[str], "rules changed, as name=value: see 'hicm protocols'"] = (),
             bootstrap: Annotated[int, "samples for confidence intervals over videos; 0: no intervals"] = 0,
             seed: Annotated[int, "of the intervals"] = 0,
             strict: Annotated[bool, "missing videos, and keys that toolkits ask for, are errors"] = False,
             out: Annotated[str, "scores as json; empty: metrics_* beside a predictions_* file"] = "",
             per_video: Annotated[str, "also write the table per video there (.csv or .json)"] = "",
             explain: Annotated[str, "also print what this video's scores are made of, pair by pair"] = "",
             json: Annotated[bool, "print json instead of a table"] = False,
             markdown: Annotated[bool, "print a Markdown table"] = False,
             latex: Annotated[bool, "print a LaTeX table (booktabs)"] = False,
             jobs: Annotated[int, "processes at most, for large files; 0: one a core"] = 0,
             check_with_java: Annotated[bool, "score again with the Java tools; print the largest difference"] = False,
             ) -> "Scores":
    """Score predictions: METEOR, CIDEr, ROUGE-L, BLEU, localisation and SODA, with coverage and signature."""
    from hicm.dvc_eval import evaluate
    from hicm.dvc_eval.results import output as reporting
    from hicm.stages.evaluate import find_scored, write_scores

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
    options = {"metrics": metrics or None, "rules": _rules(rule)}
    results = evaluate(path, references, protocol, **options, bootstrap=bootstrap, seed=seed, strict=strict, jobs=jobs,
                       progress=True)
    write_scores(scored, results, Path(out) if out else None)
    if per_video:
        reporting.write_videos(results, Path(per_video))
    if check_with_java:
        from hicm.dvc_eval.crosscheck import print_differences

        print_differences(results, path, references, protocol, **options)
    told = ""
    if explain:
        from hicm.dvc_eval.results.explain import explain as explain_video

        told = "\n\n".join(explain_video(result, path, references, explain) for result in results)
    if style in ("markdown", "latex"):
        print(reporting.caveats(results), file=sys.stderr)
    return reporting.Scores(results, style, told, tuple(metrics))


def compare(files: Annotated[Sequence[str], "predictions files or run folders, the one compared against first; then "
                                            "the annotation files, one per annotator (none: those of the run)"], *,
            protocol: Annotated[str, "named set of rules; empty: vidchapters, or the run's"] = "",
            metrics: Annotated[Sequence[str], "metrics compared; none: all of the protocol"] = (),
            rule: Annotated[Sequence[str], "rules changed, as name=value: see 'hicm protocols'"] = (),
            samples: Annotated[int, "draws of each test"] = 1000,
            seed: Annotated[int, "of the draws"] = 0,
            json: Annotated[bool, "print json instead of a table"] = False,
            markdown: Annotated[bool, "print a Markdown table"] = False,
            latex: Annotated[bool, "print a LaTeX table (booktabs)"] = False) -> str:
    """Compare systems on the same videos: differences, intervals, paired bootstrap and randomisation tests."""
    from hicm.dvc_eval import evaluate
    from hicm.dvc_eval.results import output as reporting
    from hicm.dvc_eval.results.significance import compare
    from hicm.stages.evaluate import find_scored

    style = reporting.choose_style(json, markdown, latex)
    names, references = reporting.split_files(files)
    systems = {}
    for name in names:
        scored = find_scored(name, references)
        rules = protocol or (scored.settings.evaluate.protocol if scored.settings is not None else "vidchapters")
        label = name if name not in systems else f"{name} ({len(systems) + 1})"
        systems[label] = evaluate(scored.path, scored.references, rules, metrics=list(metrics) or None,
                                  rules=_rules(rule), progress=True)
        for metric in set(metrics) & set(systems[label].left_out):
            raise UserError(f"{metric} cannot be computed here: {systems[label].left_out[metric]}")
    found = compare(systems, list(metrics) or None, samples=samples, seed=seed,
                    warnings=reporting.system_warnings(systems))
    return {"text": lambda: str(found), "json": lambda: reporting.to_text(found.to_json()),
            "markdown": found.to_markdown, "latex": found.to_latex}[style]()


def protocols() -> str:
    """Print the evaluation protocols and their rules, as a Markdown table."""
    from hicm.dvc_eval.results.output import protocol_table

    return protocol_table()


def selftest() -> "SelfTest":
    """Check that the evaluator of this installation gives the reference scorers' numbers, on made-up videos."""
    from hicm.dvc_eval.selftest import selftest

    return selftest()


def report(runs: Annotated[Sequence[str], "run folders, the one compared against first"], *,
           out: Annotated[str, "folder of the page and pictures"] = "presave/report",
           videos: Annotated[int, "videos shown with timeline and recalled memory"] = 10,
           split: Annotated[str, "split shown; empty: data.report of the runs"] = "") -> Path:
    """Write a self-contained page: curves, metrics, timelines, and what was recalled for every window."""
    from hicm.report import report

    return report([Path(run) for run in runs], Path(out), videos, split)


def demo(*, out: Annotated[str, "folder for data, memory, runs and report"] = "presave/demo",
         seed: Annotated[int, "of the made-up data and of training"] = 0) -> Path:
    """Make a small data set, train with and without memory, score both, write the report: minutes on a CPU."""
    from hicm.recipes.demo.run import run_demo

    return run_demo(Path(out), seed)


def _rules(pairs: Sequence[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise UserError(f"rule {pair!r}: expected name=value, e.g. missing=zero")
    return dict(pair.split("=", 1) for pair in pairs)
