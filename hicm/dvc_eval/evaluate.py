"""`evaluate` turns predictions and references into a `Result`."""

import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, overload

import numpy as np

from hicm.cores import usable_cores
from hicm.dvc_eval.inputs.amounts import Amount, amounts
from hicm.dvc_eval.inputs.case import Case, build_case, coverage, input_warnings, rule_warnings
from hicm.dvc_eval.inputs.protocols import Protocol, change_rules, find_protocol, select_metrics
from hicm.dvc_eval.inputs.read import read_inputs
from hicm.dvc_eval.metrics.assemble import choose_videos, count_corpora, make_measures, missing_as_zero
from hicm.dvc_eval.metrics.notes import cider_notes
from hicm.dvc_eval.metrics.part import Part
from hicm.dvc_eval.metrics.scoring import Scored, Wanted, score_case
from hicm.dvc_eval.results.score import Result
from hicm.dvc_eval.results.signature import read_signature, references_digest, signature
from hicm.dvc_eval.words.meteor import Meteor
from hicm.dvc_eval.words.meteor15 import NativeMeteor
from hicm.dvc_eval.words.texts import Oddities
from hicm.dvc_eval.words.tokenise import PtbTokeniser, Tokeniser, tokeniser_of
from hicm.errors import UserError
from hicm.evaluation.intervals import check_draws
from hicm.evaluation.signatures import is_signature, unlike


def available_metrics(protocol: str | Protocol = "vidchapters") -> tuple[str, ...]:
    """Names of a protocol's scores, in its order; UserError for an unknown protocol."""
    return find_protocol(protocol).metrics


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without searches for reference cycles: there are hundreds of thousands of lists and texts, none in a cycle."""
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if active:
            gc.enable()


@overload
def evaluate(predictions: Any, references: Any, protocol: str | Protocol = ..., *,
             metrics: Iterable[str] | None = ..., rules: Mapping[str, Any] | None = ..., bootstrap: int = ...,
             seed: int = ..., strict: bool = ..., run: str | None = ..., jobs: int = ..., progress: bool = ...,
             tokeniser: Tokeniser | None = ..., meteor: Meteor | None = ..., format: str = ...,
             reference_format: str = ...) -> Result: ...
@overload
def evaluate(predictions: Any, references: Any, protocol: Sequence[str | Protocol], *,
             metrics: Iterable[str] | None = ..., rules: Mapping[str, Any] | None = ..., bootstrap: int = ...,
             seed: int = ..., strict: bool = ..., run: str | None = ..., jobs: int = ..., progress: bool = ...,
             tokeniser: Tokeniser | None = ..., meteor: Meteor | None = ..., format: str = ...,
             reference_format: str = ...) -> tuple[Result, ...]: ...


@_uncollected()
def evaluate(predictions: Any, references: Any, protocol: str | Protocol | Sequence[str | Protocol] = "vidchapters", *,
             metrics: Iterable[str] | None = None, rules: Mapping[str, Any] | None = None, bootstrap: int = 0,
             seed: int = 0, strict: bool = False, run: str | None = None, jobs: int = 0, progress: bool = False,
             tokeniser: Tokeniser | None = None, meteor: Meteor | None = None, format: str = "",
             reference_format: str = "") -> Result | tuple[Result, ...]:
    """Score dense video captions by a named protocol (see `hicm.dvc_eval.inputs.protocols`), or by several in one pass.

    A signature may be given instead of a name: its rules and metrics are used, and a warning says what differs.

    ``predictions``: a path or its content, ``{"results": {id: [{"sentence", "timestamp": [start, end]}, ..]}}`` or the
    inner mapping; seconds.  ``references``: ``{id: {"duration", "timestamps", "sentences"}}`` as path or content, a
    mapping from id to `hicm.types.Video`, or a list of these, one per annotator.  Both may be in another format of
    `hicm.dvc_eval.inputs.formats`; ``format`` and ``reference_format`` name it where the content does not tell.
    ``metrics``: names from `available_metrics` (None: all); nothing else is computed, and METEOR is loaded only if
    needed.
    ``rules``: changes to the protocol's rules, e.g. ``{"missing": "zero"}``.  ``bootstrap``: samples for intervals
    (0: none), drawn with ``seed``.  ``strict``: missing videos, and missing keys that the toolkits require, are errors.
    ``run``: the id stored with the result (None: that in the predictions file).  ``jobs``: largest number of processes
    (0: one per core); they are started only for large data sets.  ``progress``: show bars on standard error for slow
    steps.  ``tokeniser``, ``meteor``: other implementations.

    Returns a `Result`, or a tuple of them for a sequence of protocols.  Metrics that cannot be computed here (numba or
    pycocoevalcap missing) are left out with the reason (`Result.left_out`).  Raises UserError on unusable input: one
    line naming file, video and event.
    """
    if isinstance(protocol, bytes) or not isinstance(protocol, str | Protocol | Sequence):
        raise UserError(f"protocol is {protocol!r}, expected a name, e.g. 'vidchapters', or a list of names")
    several = not isinstance(protocol, str | Protocol)
    names = [protocol] if isinstance(protocol, str | Protocol) else list(protocol)
    if not names:
        raise UserError("protocol is empty: name at least one")
    for option, value, unit in (("jobs", jobs, "processes, or 0 for one per core"),
                                ("bootstrap", bootstrap, "samples, or 0 for none")):
        if not isinstance(value, Integral) or value < 0:
            raise UserError(f"{option} is {value!r}, expected a number of {unit}")
    if bootstrap:
        check_draws(bootstrap, seed)
    wanted = find_wanted(names, metrics, rules)
    tokeniser = tokeniser or PtbTokeniser()
    warnings: list[str] = []
    inputs = read_inputs(predictions, references, warnings, format, reference_format)
    predicted, annotators = inputs.predicted, inputs.annotators
    case = build_case(predicted, annotators)
    amount = amounts(case)
    if strict:
        _check_complete(case, inputs.keys, [one.rules for one in wanted])
    warnings += input_warnings(case, annotators)
    if inputs.given:
        warnings.append(f"predictions: the events were given ({inputs.given}), and only captions are the system's own; "
                        "compare with other captions of the same events")
    scored = score_case(case, wanted, tokeniser, meteor, jobs or usable_cores(), progress)
    digest = references_digest(annotators)
    meteor_name = getattr(meteor, "name", f"{NativeMeteor.name}@{NativeMeteor.data}")
    results = []
    for name, one, part, own_warnings in zip(names, wanted, scored.parts, scored.warnings, strict=True):
        covered = coverage(predicted, annotators, one.rules)
        names_of = tokeniser_of(one.rules.tok, tokeniser).name, meteor_name
        result = _result(case, one, part, scored, covered, [*warnings, *_caption_warnings(one, scored), *own_warnings],
                         digest, names_of, run or inputs.run, amount)
        if is_signature(name):
            differences = unlike(name, result.signature)
            result = replace(result, warnings=(*result.warnings, *(f"signature: {one}" for one in differences)))
        results.append(result.with_intervals(bootstrap, seed) if bootstrap else result)
    return tuple(results) if several else results[0]


def find_wanted(names: Sequence[str | Protocol], metrics: Iterable[str] | None = None,
                rules: Mapping[str, Any] | None = None) -> list[Wanted]:
    """The rules and metrics of each protocol or signature, as changed by ``metrics`` and ``rules``.

    Raises UserError for names and values that are unknown.
    """
    if metrics is not None and not isinstance(metrics, Iterable):
        raise UserError(f"metrics is {metrics!r}, expected names of scores, or None for all")
    if rules is not None and not isinstance(rules, Mapping):
        raise UserError(f"rules is {rules!r}, expected a mapping from rule to value")
    metrics = metrics if metrics is None or isinstance(metrics, str) else tuple(metrics)
    read = [read_signature(name) if is_signature(name) else (find_protocol(name), None) for name in names]
    protocols = [change_rules(protocol, rules or {}) for protocol, _ in read]
    return [Wanted(protocol, select_metrics(protocol, own if metrics is None else metrics, protocols))
            for protocol, (_, own) in zip(protocols, read, strict=True)]


def _check_complete(case: Case, keys: Sequence[str], rules: Sequence[Protocol]) -> None:
    """Raises UserError for missing videos, and for missing keys that the toolkits require."""
    missing = [video for video, present in zip(case.videos, case.predicted.present, strict=True) if not present]
    if missing:
        raise UserError(f"predictions: {len(missing)} of {len(case.videos)} reference videos are not predicted (first: "
                        f"{missing[0]}); predict them, or score without strict")
    for key in ("results", "version", "external_data"):
        if key not in keys and any(one.name.startswith("activitynet") for one in rules):
            raise UserError(f"predictions: no key {key!r}, which the toolkits of activitynet-* require; add it, or "
                            "score without strict")


def _caption_warnings(one: Wanted, scored: Scored) -> list[str]:
    """How captions were not read as written.  Clips have rules of their own for reading them, and warn themselves."""
    found = scored.oddities[one.rules.tok] if one.interned else Oddities()
    if not one.paragraph or one.rules.tok != "ptb":
        return found.warnings()
    letters = scored.oddities["letters"].counts
    # Captions that are empty for the tokeniser are reported once.
    new = {key: number for key, number in letters.items() if number != found.counts.get((key[0], "wordless"))}
    return Oddities(found.counts | new).warnings()


def _result(case: Case, one: Wanted, part: Part, scored: Scored, covered: dict[str, Any], warnings: list[str],
            digest: str, names: tuple[str, str], run: str | None, amount: dict[str, Amount]) -> Result:
    rules, missing = one.rules, ~case.predicted.present
    notes = cider_notes(case, part, rules, one.metrics)
    count_corpora(part, rules, len(case.videos))
    counted = ~missing if rules.missing == "skip" else np.ones(len(missing), dtype=bool)
    chosen = choose_videos(part, counted)
    if chosen.pairs is not None:
        chosen.pairs = chosen.pairs.renumber(np.cumsum(counted) - 1)
    measures = make_measures(chosen, rules, one.metrics)
    left_out = {name: scored.no_tokens for name in one.of_tokens if scored.no_tokens}
    left_out = {name: scored.no_meteor for name in one.of_meteor if scored.no_meteor} | left_out
    with_missing = {}
    if missing.any() and rules.missing == "skip" and rules.pairing == "overlap":
        annotated = np.stack([events.present for events in case.annotators], axis=1)
        with_missing = make_measures(missing_as_zero(part, missing, annotated), rules, one.metrics)
    videos = tuple(video for video, kept in zip(case.videos, counted.tolist(), strict=True) if kept)
    return Result(
        protocol=rules.name, videos=videos, measures=measures, columns=_ordered(chosen, rules), pairs=chosen.pairs,
        rules=rules, coverage=covered, counts=np.stack([events.counts for events in
                                                        (case.predicted, *case.annotators)], axis=1)[counted],
        warnings=(*warnings, *rule_warnings(case, covered, rules)), run=run, amounts=amount, notes=tuple(notes),
        left_out={name: left_out[name] for name in one.metrics if name in left_out}, with_missing=with_missing,
        signature=signature(rules, list(measures), len(case.annotators), digest, *names, len(videos),
                            covered["videos"]))


def _ordered(part: Part, rules: Protocol) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {name: part.columns[name] for name in (*rules.captions, "Recall", "Precision") if name in part.columns}
