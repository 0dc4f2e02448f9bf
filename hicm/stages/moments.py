"""Scores of predicted moments: files in, scores and tables out, with the digests of what was scored."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hicm.errors import UserError
from hicm.files import require
from hicm.pipes import name_of
from hicm.stages.score_files import Asked, Scored, plan_files

if TYPE_CHECKING:
    from hicm.evaluation.output import Scores, Style
    from hicm.evaluation.significance import Comparison
    from hicm.moments.records import Annotations
    from hicm.moments_eval.results.score import Unit


@dataclass(frozen=True)
class Request:
    """How moments are scored: what `hicm moments evaluate` and `compare` are asked for."""

    protocols: Sequence[str] = ()  # none: the usual one of the annotations
    metrics: Sequence[str] = ()
    rules: Mapping[str, str] = field(default_factory=dict)
    samples: int = 0
    seed: int = 0
    unit: "Unit" = "videos"
    format: str = ""
    reference_format: str = ""


def score_moments(scored: Scored, request: Request, style: "Style" = "text", out: str = "", per_query: str = "",
                  overwrite: bool = False, query: str = "", option: str = "--per-query") -> "Scores":
    """Score a file; write ``out`` and the table ``per_query``, where given, and explain a ``query``.

    The scores of a run folder go into it, and its settings say how it is scored where ``request`` does not.
    ``option``: what errors call the one that names the table.  Raises UserError, before anything is scored where it
    can.
    """
    from hicm.evaluation import output
    from hicm.evaluation.result import not_scored
    from hicm.moments.read import read_submission
    from hicm.moments_eval import evaluate
    from hicm.moments_eval.evaluate import find_wanted, usual_protocol
    from hicm.moments_eval.results.explain import explain

    if not scored.references:
        raise UserError(f"{scored.path}: name the annotation file after the predictions")
    path = require(scored.path, "predictions", "give a file of predicted moments")
    request = _completed(request, scored)
    metrics = list(request.metrics) or None
    find_wanted(request.protocols, metrics, request.rules)
    warnings: list[str] = []
    submission = read_submission(path, warnings, request.format)
    annotated = _annotations(scored.references, warnings, request.reference_format)
    names = list(request.protocols) or [usual_protocol(annotated)]
    wanted = find_wanted(names, metrics, request.rules)
    ids = [one.id for one in annotated.queries]
    if query and query not in ids:
        raise not_scored("query", query, ids)
    asked = Asked(names, request.metrics, request.rules, request.samples, request.seed, request.unit)
    plan = plan_files(scored, asked, [one.name for one, _ in wanted], out, per_query, overwrite, option)
    with _naming(scored):
        found = evaluate(submission, annotated, names, metrics=metrics, rules=request.rules, bootstrap=request.samples,
                         seed=request.seed, unit=request.unit)
    results = [replace(result, warnings=(*warnings, *result.warnings)) for result in found]
    explained = [explain(result, annotated, submission, query) for result in results] if query else []
    scores = output.Scores(tuple(results), style, "\n\n".join(explained), tuple(request.metrics))
    try:
        plan.write(results)
    except UserError:
        print(scores)  # what was computed is not lost
        raise
    if style in ("markdown", "latex"):
        print(output.caveats(results), file=sys.stderr)
    return scores


@contextlib.contextmanager
def _naming(scored: Scored) -> Iterator[None]:
    """Errors that the evaluator has with one of the sides name its file."""
    try:
        yield
    except UserError as error:
        side, _, what = str(error).partition(": ")
        file = {"predictions": scored.path, "annotations": scored.references[0]}.get(side)
        if not isinstance(file, str | Path):  # a held-out part has no file
            raise
        raise UserError(f"{name_of(file)}: {what}") from error


def _completed(request: Request, scored: Scored) -> Request:
    """The request with protocol and metrics of the run's settings, where it names none."""
    if scored.settings is None:
        return request
    own = scored.settings.evaluate
    metrics = request.metrics or ([] if request.protocols else own.metrics)  # a signature names its metrics itself
    return replace(request, protocols=request.protocols or [own.protocol], metrics=metrics)


def _annotations(references: Sequence[Any], warnings: list[str], format: str) -> "Annotations":
    """The queries of annotation files, or of the videos of a split."""
    from hicm.moments.dense import to_annotations
    from hicm.moments.read import read_annotations

    if isinstance(references[0], Mapping):
        return to_annotations(references[0].values())
    return read_annotations(list(references), warnings, format)


def compare_moments(files: Sequence[str], request: Request, given: Mapping[str, str]) -> "Comparison":
    """Compare predictions files or run folders, the baseline first, then the annotation files (default: the run's).

    ``given``: what messages call the files.
    """
    from hicm.evaluation.output import split_files, system_warnings
    from hicm.evaluation.significance import compare
    from hicm.moments.read import file_sides
    from hicm.moments_eval import evaluate
    from hicm.moments_eval.evaluate import usual_protocol
    from hicm.moments_eval.results.signature import annotations_digest
    from hicm.stages.evaluate import find_scored

    names, annotations = split_files(files, file_sides)
    found = {name: find_scored(name, annotations) for name in names}
    for name, scored in found.items():
        if task_of(scored.path, ()) != "moments":
            raise UserError(f"{given.get(name, name)}: holds no predictions of moments, unlike the other files")
    warnings: list[str] = []
    annotated = _annotations(found[names[0]].references, warnings, request.reference_format)
    for name in names[1:] if not annotations else ():
        other = _annotations(found[name].references, [], request.reference_format)
        if annotations_digest(other.queries) != annotations_digest(annotated.queries):
            raise UserError(f"{given.get(name, name)}: has other annotations than {given.get(names[0], names[0])}; "
                            "name the annotation file that both are scored by after them")
    own = found[names[0]].settings
    usual = usual_protocol(annotated) if own is None else own.evaluate.protocol
    protocol = request.protocols[0] if request.protocols else usual
    results: dict[str, Any] = {}
    for name in names:
        label = given.get(name, name)
        label = label if label not in results else f"{label} ({len(results) + 1})"
        with _naming(found[name]):
            results[label] = evaluate(found[name].path, annotated, protocol, metrics=list(request.metrics) or None,
                                      rules=request.rules, format=request.format)
        for metric in request.metrics:
            if metric in results[label].left_out:
                raise UserError(f"{metric} cannot be computed for {label}: {results[label].left_out[metric]}")
    drawn = {label: result.drawn(request.unit) for label, result in results.items()}
    return compare(drawn, list(request.metrics) or None, samples=request.samples, seed=request.seed,
                   warnings=[*warnings, *system_warnings(results)], unit=request.unit)


def task_of(path: Path, references: Sequence[Any]) -> str:
    """The task that a predictions file is for: what 'hicm predict' noted in it, else what its content looks like.

    Where the predictions do not tell, the annotations do; where neither does, it is "dvc", whose reader says what is
    wrong with the file.  Raises UserError where both tasks would read the predictions.
    """
    from hicm.claims import claims_of, own_formats
    from hicm.dvc_eval.inputs.detect import PARTS as CAPTIONS
    from hicm.moments.read import PARTS as MOMENTS
    from hicm.source import Source, open_source

    def sides(source: Source) -> dict[str, set[str]]:
        moments = {part.SIDE for part in own_formats(MOMENTS[0]).values() if part.matches(source)}
        return {"moments": {"references" if side != "predictions" else side for side in moments},
                "dvc": {getattr(part, "SIDE", "") for part in claims_of(source, *CAPTIONS).values()}}

    try:
        source = open_source(path, "predictions", [])
    except UserError:  # the evaluator says what is wrong with the file
        return "dvc"
    content = source.data
    if isinstance(content, Mapping) and "decided_by" in content and "task" in content:
        return str(content["task"])
    found = [task for task, own in sides(source).items() if own & {"", "predictions"}]
    if len(found) > 1:
        raise UserError(f"{path}: may hold moments or dense captions; score it with moment-eval or dvc-eval")
    for one in references if not found else ():
        with contextlib.suppress(UserError):
            own = sides(open_source(one, "references", []))
            found = [task for task in own if own[task] & {"", "references"}]
        if len(found) == 1:
            break
    return found[0] if len(found) == 1 else "dvc"
