"""`evaluate`: predictions and references in, a `Result` out."""

import contextlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from hicm.dvc_eval.captions import caption_pairs, meteor_scores, overlap_metrics
from hicm.dvc_eval.case import Case, Texts, build_case, case_warnings, coverage, intern_captions
from hicm.dvc_eval.java import Unavailable
from hicm.dvc_eval.localisation import precision_recall
from hicm.dvc_eval.meteor import Meteor
from hicm.dvc_eval.meteor15 import NativeMeteor
from hicm.dvc_eval.protocols import CAPTION_METRICS, Protocol, find_protocol, select_metrics
from hicm.dvc_eval.read import read_predictions, read_references
from hicm.dvc_eval.score import Result, summarise
from hicm.dvc_eval.signature import signature
from hicm.dvc_eval.stories import PairTable, mean_over_annotators, mean_over_files, soda_pairs, soda_scores
from hicm.dvc_eval.tokenise import PtbTokeniser, Tokeniser
from hicm.errors import UserError


def available_metrics(protocol: str = "vidchapters") -> tuple[str, ...]:
    """Names of a protocol's scores, in its order; UserError for an unknown protocol."""
    return find_protocol(protocol).metrics


def evaluate(predictions: Any, references: Any, protocol: str = "vidchapters", *,
             metrics: Iterable[str] | None = None, run: str | None = None, progress: bool = False,
             max_proposals: int | None = None, tokeniser: Tokeniser | None = None,
             meteor: Meteor | None = None) -> Result:
    """Score dense video captions by a named protocol (see `hicm.dvc_eval.protocols`).

    ``predictions``: a path or its content, ``{"results": {id: [{"sentence", "timestamp": [start, end]}, ..]}}`` or
    the inner mapping; seconds.  ``references``: ``{id: {"duration", "timestamps", "sentences"}}`` as path or content,
    a mapping from id to `hicm.types.Video`, or a list of these, one an annotator.  ``metrics``: the wanted names
    (`available_metrics`; None: all); what they do not need is not computed, and METEOR not loaded.
    ``run``: the id kept with the result (None: that of the predictions file).  ``progress``: METEOR's, to standard
    error.  ``max_proposals``: another cap than the protocol's.  ``tokeniser``, ``meteor``: other implementations.

    Metrics whose parts cannot work here (numba or pycocoevalcap missing) are left out with the reason
    (`Result.left_out`).  Raises UserError on
    unusable input: one line naming file, video and event.
    """
    rules = find_protocol(protocol)
    wanted = select_metrics(rules, metrics)
    cap = rules.max_proposals if max_proposals is None else max_proposals
    if cap < 1:
        raise UserError(f"max_proposals is {cap}, expected 1 or more")
    tokeniser = tokeniser or PtbTokeniser()
    warnings: list[str] = []
    predicted, named_run = read_predictions(predictions, warnings)
    annotators = read_references(references, warnings)
    case = build_case(predicted, annotators, rules)
    covered = coverage(predicted, annotators, case)
    with_soda = [name for name in wanted if name in rules.soda]
    warnings += case_warnings(case, covered, cap, bool(with_soda), rules.missing)

    columns: dict[str, np.ndarray] = {}
    soda: dict[str, tuple[float, dict[str, float]]] = {}
    left_out: dict[str, str] = {}
    if set(wanted) - set(rules.names) - set(rules.soda):
        columns |= _localisation(case, rules, cap)
    for name in with_soda:
        if name != "soda_c":
            soda[name] = _soda(case, name, soda_scores(case, "d"))
    captions = {short: name for short, name in zip(CAPTION_METRICS, rules.names, strict=True) if name in wanted}
    if captions or "soda_c" in wanted:
        made, told, left_out = _text_scores(case, rules, captions, "soda_c" in wanted, cap, tokeniser, meteor,
                                            _counter("METEOR") if progress else None, warnings)
        columns |= made
        soda |= told
    columns = {name: columns[name] for name in (*rules.names, "Recall", "Precision") if name in columns}
    return Result(
        protocol=rules.name, thresholds=rules.thresholds, coverage=covered, warnings=tuple(warnings),
        left_out={name: left_out[name] for name in wanted if name in left_out}, run=run or named_run,
        signature=signature(rules, tuple(name for name in wanted if name not in left_out), cap, len(annotators),
                            tokeniser.name, (meteor or NativeMeteor).name, len(case.videos), covered["videos"]),
        **summarise(rules, wanted, case.videos, columns, soda))


def _localisation(case: Case, rules: Protocol, cap: int) -> dict[str, np.ndarray]:
    both = np.array([precision_recall(track.spans[:cap], [reference.spans for reference in case.annotators(video)],
                                      rules.tious, rules.distances) for video, track in enumerate(case.predicted)])
    return {"Recall": both[:, 1], "Precision": both[:, 0]}


def _soda(case: Case, name: str, found: np.ndarray) -> tuple[float, dict[str, float]]:
    """Data set and per-video value; the released ``soda_d`` is the mean of precision, recall and F."""
    reported = (lambda triple: float(triple.mean())) if name == "soda_d" else (lambda triple: float(triple[2]))
    by_video = {case.videos[video]: reported(triple) for video, triple in mean_over_annotators(found).items()}
    return reported(mean_over_files(found)), by_video


def _text_scores(case: Case, rules: Protocol, captions: dict[str, str], with_soda: bool, cap: int,
                 tokeniser: Tokeniser, meteor: Meteor | None, progress: Callable[[int, int], None] | None,
                 warnings: list[str]) -> tuple[dict[str, np.ndarray], dict[str, tuple[float, dict[str, float]]],
                                               dict[str, str]]:
    """Caption metrics (``captions``: ours -> the protocol's name) and SODA c: columns, SODA, reasons."""
    needs_meteor = ([captions["METEOR"]] if "METEOR" in captions else []) + (["soda_c"] if with_soda else [])
    left_out: dict[str, str] = {}
    columns: dict[str, np.ndarray] = {}
    soda: dict[str, tuple[float, dict[str, float]]] = {}
    with contextlib.ExitStack() as stack:
        if needs_meteor and meteor is None:
            try:
                meteor = stack.enter_context(NativeMeteor(progress=progress))
            except Unavailable as error:
                left_out |= dict.fromkeys(needs_meteor, str(error))
        try:
            texts = intern_captions(case, tokeniser, rules.unmatched, warnings)
        except Unavailable as error:
            return {}, {}, dict.fromkeys([*captions.values(), *(["soda_c"] if with_soda else [])], str(error))
        paired = caption_pairs(case, texts, rules.tious, cap) if captions else None
        if set(captions) - {"METEOR"}:
            scores = overlap_metrics(paired, texts, len(case.videos), rules.tious, set(captions))
            columns |= {captions[short]: values for short, values in scores.items()}
        if needs_meteor and not left_out:
            try:
                made, soda = _meteor_scores(case, rules, texts, paired if "METEOR" in captions else None, with_soda,
                                            meteor)
                columns |= {captions["METEOR"]: made} if made is not None else {}
            except Unavailable as error:
                left_out |= dict.fromkeys(needs_meteor, str(error))
    return columns, soda, left_out


def _meteor_scores(case: Case, rules: Protocol, texts: Texts, paired: Any, with_soda: bool, meteor: Meteor,
                   ) -> tuple[np.ndarray | None, dict[str, tuple[float, dict[str, float]]]]:
    """METEOR (videos, thresholds) if ``paired`` is given, and SODA c: each distinct pair is asked for once."""
    size = len(texts.tokens)
    empty = np.zeros((0, 2), dtype=np.int64)
    for_captions = paired.distinct if paired is not None else empty
    for_soda = soda_pairs(case, texts) if with_soda else empty
    codes, place = np.unique(np.concatenate([for_captions, for_soda]) @ np.array([size, 1]), return_inverse=True)
    statistics = meteor.statistics([(texts.tokens[code // size], texts.tokens[code % size]) for code in
                                    codes.tolist()])
    scores = None
    if paired is not None:
        scores = meteor_scores(paired, statistics[place[:len(for_captions)]], len(case.videos), rules.tious, meteor)
    soda = {}
    if with_soda:
        own = place[len(for_captions):]
        table = PairTable(codes[own], meteor.score(statistics[own]), size)
        soda["soda_c"] = _soda(case, "soda_c", soda_scores(case, "c", texts, table))
    return scores, soda


def _counter(what: str) -> Callable[[int, int], None]:
    """A line on standard error that counts up."""
    def show(done: int, all_of_them: int) -> None:
        print(f"\r{what}: {done} of {all_of_them}", end="\n" if done == all_of_them else "", file=sys.stderr,
              flush=True)
    return show
