"""`evaluate` turns predictions and annotations into a `Result`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, overload

import numpy as np

from hicm.errors import UserError
from hicm.evaluation.intervals import check_draws
from hicm.evaluation.signatures import is_signature, unlike
from hicm.moments.read import read_annotations, read_submission
from hicm.moments.records import Annotations, Submission
from hicm.moments_eval.inputs.case import build_case, check_coverage, clip_warnings, coverage
from hicm.moments_eval.inputs.checks import input_warnings
from hicm.moments_eval.inputs.protocols import USUAL, Protocol, change_rules, find_protocol, select_metrics
from hicm.moments_eval.metrics.assemble import make_measures
from hicm.moments_eval.results.score import Result, Unit
from hicm.moments_eval.results.signature import annotations_digest, read_signature, signature

Name = str | Protocol


def available_metrics(protocol: Name = "hicm") -> tuple[str, ...]:
    """Names of a protocol's scores, in its order; UserError for an unknown protocol."""
    return find_protocol(protocol).metrics


@overload
def evaluate(predictions: Any, annotations: Any, protocol: Name | None = ..., *, metrics: Iterable[str] | None = ...,
             rules: Mapping[str, Any] | None = ..., bootstrap: int = ..., seed: int = ..., unit: Unit = ...,
             run: str | None = ..., format: str = ..., reference_format: str = ...) -> Result: ...
@overload
def evaluate(predictions: Any, annotations: Any, protocol: Sequence[Name], *, metrics: Iterable[str] | None = ...,
             rules: Mapping[str, Any] | None = ..., bootstrap: int = ..., seed: int = ..., unit: Unit = ...,
             run: str | None = ..., format: str = ..., reference_format: str = ...) -> tuple[Result, ...]: ...


def evaluate(predictions: Any, annotations: Any, protocol: Name | Sequence[Name] | None = None, *,
             metrics: Iterable[str] | None = None, rules: Mapping[str, Any] | None = None, bootstrap: int = 0,
             seed: int = 0, unit: Unit = "videos", run: str | None = None, format: str = "",
             reference_format: str = "") -> Result | tuple[Result, ...]:
    """Score predicted moments, and highlights where both sides have them, by a named protocol or by several.

    ``predictions``: a path or its content, in a format of `hicm.moments.formats`, or a `Submission`.  ``annotations``:
    the same, or `Annotations`; Charades-STA is a list of two files, the second the table of durations.  ``format`` and
    ``reference_format`` name a format where the content does not tell.
    ``protocol``: a name, a signature, whose rules and metrics are used, or a list of these; None: the usual one of the
    annotations' format.  ``metrics``: names from `available_metrics` (None: all).  ``rules``: changes to the protocol's
    rules, e.g. ``{"missing": "zero"}``.  ``bootstrap``: samples for intervals (0: none), drawn with ``seed`` over
    videos or, by ``unit``, over queries.  ``run``: the id stored with the result (None: that in the predictions).

    Returns a `Result`, or a tuple of them for a list of protocols.  Metrics that these files do not allow are left out
    with the reason (`Result.left_out`).  Raises UserError on unusable input: one line naming file and query.
    """
    if not isinstance(bootstrap, Integral) or bootstrap < 0:
        raise UserError(f"bootstrap is {bootstrap!r}, expected a number of samples, or 0 for none")
    if unit not in ("videos", "queries"):
        raise UserError(f"unit is {unit!r}, expected videos or queries")
    if bootstrap:
        check_draws(bootstrap, seed)
    several = protocol is not None and not isinstance(protocol, str | Protocol)
    names: list[Name | None] = list(protocol) if several else [protocol]  # type: ignore[arg-type,list-item]
    if not names:
        raise UserError("protocol is empty: name at least one")
    if None not in names:
        find_wanted(names, metrics, rules)  # type: ignore[arg-type]
    warnings: list[str] = []
    submission = read_submission(predictions, warnings, format)
    annotated = read_annotations(annotations, warnings, reference_format)
    warnings += input_warnings(annotated, submission)
    digest = annotations_digest(annotated.queries)
    known = [usual_protocol(annotated) if name is None else name for name in names]
    results = []
    for name, (one, wanted) in zip(known, find_wanted(known, metrics, rules), strict=True):
        result = _score(annotated, submission, one, wanted, warnings, digest, run or submission.run)
        if is_signature(name):
            differences = tuple(f"signature: {line}" for line in unlike(name, result.signature))
            result = replace(result, warnings=(*result.warnings, *differences))
        results.append(result.with_intervals(bootstrap, seed, unit) if bootstrap else result)
    return tuple(results) if several else results[0]


def usual_protocol(annotations: Annotations) -> str:
    """The name of the protocol that these annotations are usually scored by."""
    return USUAL.get(annotations.format, "hicm")


def find_wanted(names: Sequence[Name], metrics: Iterable[str] | None = None, rules: Mapping[str, Any] | None = None,
                ) -> list[tuple[Protocol, tuple[str, ...]]]:
    """The rules and metrics of each protocol or signature, as changed by ``metrics`` and ``rules``.

    Raises UserError for names and values that are unknown.
    """
    if metrics is not None and not isinstance(metrics, Iterable):
        raise UserError(f"metrics is {metrics!r}, expected names of scores, or None for all")
    if rules is not None and not isinstance(rules, Mapping):
        raise UserError(f"rules is {rules!r}, expected a mapping from rule to value")
    asked = metrics if metrics is None or isinstance(metrics, str) else tuple(metrics)
    found = []
    for name in names:
        protocol, own = read_signature(name) if is_signature(name) else (find_protocol(name), None)
        changed = change_rules(protocol, rules or {})
        found.append((changed, select_metrics(changed, own if asked is None else asked)))
    return found


def _score(annotations: Annotations, submission: Submission, rules: Protocol, metrics: Sequence[str],
           warnings: Sequence[str], digest: str, run: str | None) -> Result:
    covered = coverage(annotations, submission)
    own_warnings = check_coverage(covered, rules)
    case = build_case(annotations, submission, rules)
    if rules.highlights:
        own_warnings += clip_warnings(case, rules)
    made = make_measures(case, rules, metrics)
    queries = annotations.queries
    return Result(
        protocol=rules.name, queries=tuple(query.id for query in queries),
        videos=tuple(query.video for query in queries),
        measures={name: made.measures[name] for name in metrics if name in made.measures}, rules=rules,
        counts=np.stack([case.listed, case.true.counts], axis=1), ranges=made.ranges, coverage=covered,
        left_out={name: made.left_out[name] for name in metrics if name in made.left_out},
        warnings=(*warnings, *own_warnings), run=run,
        signature=signature(rules, metrics, digest, covered["scored"], covered["queries"]))
