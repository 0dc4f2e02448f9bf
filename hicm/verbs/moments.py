"""Scores of moment retrieval and highlight detection."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from hicm.errors import UserError
from hicm.verbs.common import Json, Latex, Markdown, model_path, rules_of

if TYPE_CHECKING:
    from hicm.evaluation.output import Scores
    from hicm.evaluation.selftest import SelfTest
    from hicm.moments_eval.results.score import Unit

Format = Annotated[str, "format of the predictions, e.g. moment_detr; default: detected (docs/evaluation.md)"]
AnnotationFormat = Annotated[str, "format of the annotations, e.g. charades_cg; default: detected"]
Rules = Annotated[Sequence[str], "rules to change, as name=value; 'hicm moments protocols' lists them"]
Over = Annotated[str, "what is drawn: videos, with all their queries, or queries"]


def moments_evaluate(predictions: Annotated[str, "predicted moments in any known format (-: standard input), or run "
                                                "folder"],
                     annotations: Annotated[Sequence[str], "the annotation file; with Charades-STA also the csv table "
                                                           "of its videos' durations; default: those of the run"
                                            ] = (), *,
                     protocol: Annotated[Sequence[str], "protocols (see 'hicm moments protocols') or signatures; "
                                                        "default: the usual one of the annotations"] = (),
                     metrics: Annotated[Sequence[str], "metrics to compute; default: all of the protocol"] = (),
                     rule: Rules = (),
                     bootstrap: Annotated[int, "bootstrap samples for confidence intervals; 0: no intervals"] = 0,
                     seed: Annotated[int, "seed of the intervals"] = 0,
                     over: Over = "videos",
                     out: Annotated[str, "json file for the scores; default: only printed"] = "",
                     per_query: Annotated[str, "also write a table per query to this file (.csv or .json)"] = "",
                     overwrite: Annotated[bool, "replace scores made from other inputs or settings"] = False,
                     explain: Annotated[str, "also print how the scores of this query come about"] = "",
                     json: Json = False, markdown: Markdown = False, latex: Latex = False,
                     format: Format = "", reference_format: AnnotationFormat = "") -> "Scores":
    """Score predicted moments and highlights.

    R1, mIoU and mAP at several IoUs and by length of the moment, mAP and HIT@1 of highlights, under one or several
    protocols, with coverage and a signature.
    """
    from hicm.evaluation.output import check_ending, choose_style
    from hicm.pipes import read_once
    from hicm.stages.evaluate import find_scored
    from hicm.stages.moments import Request, score_moments
    from hicm.stages.score_files import Scored

    style = choose_style(json, markdown, latex)
    if explain and style != "text":
        raise UserError(f"--explain and --{style} are both given; an explanation is text")
    check_ending(per_query, "query")
    request = Request(protocol, metrics, rules_of(rule), bootstrap, seed, _unit(over), format, reference_format)
    with read_once([model_path(predictions), *annotations]) as (source, *others):
        scored = find_scored(source, others) if Path(source).is_dir() else Scored(Path(source), others)
        return score_moments(scored, request, style, out, per_query, overwrite, explain)


def moments_compare(files: Annotated[Sequence[str], "predictions files, the baseline first; then the annotation file"],
                    *,
                    protocol: Annotated[str, "protocol; default: the usual one of the annotations"] = "",
                    metrics: Annotated[Sequence[str], "metrics to compare; default: all of the protocol"] = (),
                    rule: Rules = (), format: Format = "", reference_format: AnnotationFormat = "",
                    samples: Annotated[int, "samples of each test"] = 1000,
                    seed: Annotated[int, "seed of the samples"] = 0,
                    over: Over = "videos",
                    json: Json = False, markdown: Markdown = False, latex: Latex = False) -> str:
    """Compare systems on the same queries.

    Differences to the first one, with intervals, paired bootstrap and randomisation tests.
    """
    from hicm.evaluation.intervals import check_draws
    from hicm.evaluation.output import choose_style, styled
    from hicm.pipes import read_once
    from hicm.stages.moments import Request, compare_moments

    style = choose_style(json, markdown, latex)
    check_draws(samples, seed)
    request = Request([protocol] if protocol else [], metrics, rules_of(rule), samples, seed, _unit(over), format,
                      reference_format)
    with read_once(files) as paths:
        found = compare_moments(paths, request, dict(zip(paths, files, strict=True)))
    return styled(found, style)


def moments_protocols() -> str:
    """Print the protocols of moments and their rules.

    A Markdown table, one row per rule.
    """
    from hicm.evaluation.output import protocol_table
    from hicm.moments_eval import PROTOCOLS

    return protocol_table(list(PROTOCOLS.values()))


def moments_selftest() -> "SelfTest":
    """Check the evaluator of moments.

    On made-up queries it has to give the numbers of MESM's and Moment-DETR's own evaluation.
    """
    from hicm.moments_eval.selftest import selftest

    return selftest()


def _unit(over: str) -> "Unit":
    if over not in ("videos", "queries"):
        raise UserError(f"--over {over}: expected videos or queries")
    return cast("Unit", over)
