"""A case scored under one or several protocols, part by part, in one process or several."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from tqdm import tqdm

from hicm.dvc_eval.captions import EventCaptions
from hicm.dvc_eval.case import Case
from hicm.dvc_eval.clips import ClipCaptions, raw
from hicm.dvc_eval.java import Unavailable
from hicm.dvc_eval.localisation import precision_recall
from hicm.dvc_eval.meteor import Meteor
from hicm.dvc_eval.meteor15.native import NativeMeteor
from hicm.dvc_eval.meteor15.process import MeteorProcess, may_fork, meteor_alone
from hicm.dvc_eval.overlaps import Overlaps, find_overlaps
from hicm.dvc_eval.paragraphs import ParagraphScores
from hicm.dvc_eval.part import Part, Scorer, join_parts
from hicm.dvc_eval.protocols import KINDS, Protocol, canonical
from hicm.dvc_eval.stories import SodaScores
from hicm.dvc_eval.texts import Oddities, Texts, intern_captions
from hicm.dvc_eval.tokenise import Tokeniser, clean

EVENTS = 10_000  # of both sides in a part, about: what bounds memory, and what a process is handed
PAYS = 4 * EVENTS  # below it, starting processes costs more than they save


@dataclass(frozen=True)
class Wanted:
    """A protocol and the metrics asked of it, with what METEOR and the tokeniser are needed for."""

    rules: Protocol
    metrics: tuple[str, ...]

    @property
    def captions(self) -> dict[str, str]:
        """Caption metrics: our name -> the protocol's."""
        return {canonical(name): name for name in self.metrics if name in self.rules.captions}

    @property
    def soda(self) -> str:
        """Types of SODA, letters."""
        return "".join(sorted({name[5] for name in self.metrics if name.startswith("soda_")}))

    @property
    def paragraph(self) -> set[str]:
        """Metrics of paragraphs."""
        return {name.removeprefix("para_") for name in self.metrics if name.startswith("para_")}

    @property
    def localisation(self) -> bool:
        """Whether precision and recall are needed."""
        return any(name.startswith(KINDS) for name in self.metrics)

    @property
    def meets(self) -> bool:
        """Whether it matters which predictions and events overlap."""
        return self.localisation or bool(self.soda) or (bool(self.captions) and self.rules.pairing == "overlap")

    @property
    def of_meteor(self) -> list[str]:
        """Metrics that need METEOR."""
        return [name for name in self.metrics if name in ("METEOR", "para_METEOR")
                or (name.startswith("soda_") and name[5] != "d")]

    @property
    def of_tokens(self) -> list[str]:
        """Metrics that need PTB tokens."""
        tokenised = self.rules.captions if self.rules.clip_text == "ptb" else ()
        return [name for name in self.metrics if name in tokenised or (name.startswith("soda_") and name[5] != "d")]


@dataclass
class Scored:
    """What comes of a case: a `Part` a protocol, and the captions that were not read as written."""

    parts: list[Part]
    oddities: Oddities = field(default_factory=Oddities)
    warnings: list[str] = field(default_factory=list)
    no_meteor: str = ""  # why METEOR could not work
    no_tokens: str = ""  # why the tokeniser could not


def score_case(case: Case, wanted: Sequence[Wanted], tokeniser: Tokeniser, meteor: Meteor | None, jobs: int,
               progress: bool) -> Scored:
    """Score all protocols.

    ``meteor``: None for the native one, which then is made ready while the rest is scored; ``jobs``: how many
    processes at most, started only where they pay; ``progress``: a bar on standard error for what takes long.
    """
    whole = any(one.rules.pairing == "order" for one in wanted)
    ends = [len(case.videos)] if whole else part_ends(case)
    cases = [case.part(first, end) for first, end in zip([0, *ends], ends, strict=False)]
    pays = sum(len(events.video) for events in (case.predicted, *case.annotators)) >= PAYS
    if pays and min(jobs, len(cases)) > 1 and meteor is None and may_fork():
        parts = _score_in_processes(cases, wanted, tokeniser, min(jobs, len(cases)))
    else:
        parts = _score_here(cases, wanted, tokeniser, meteor)
    found = []
    with tqdm(total=len(case.videos), desc="scoring", unit="video", delay=1, disable=not progress) as bar:
        for part, scored in zip(cases, parts, strict=True):
            found.append(scored)
            bar.update(len(part.videos))
    sizes = [len(part.videos) for part in cases]
    result = Scored([join_parts([one.parts[at] for one in found], sizes) for at in range(len(wanted))])
    for one in found:
        result.oddities.include(one.oddities)
        result.warnings += one.warnings
        result.no_meteor, result.no_tokens = result.no_meteor or one.no_meteor, result.no_tokens or one.no_tokens
    return result


def part_ends(case: Case) -> list[int]:
    """Where parts of about EVENTS events end, by index of the video; at least one video each."""
    events = case.predicted.counts + sum(events.counts for events in case.annotators)
    ends = np.flatnonzero(np.diff(np.cumsum(events) // EVENTS)) + 1
    return [*ends.tolist(), len(events)]


def _score_here(cases: Sequence[Case], wanted: Sequence[Wanted], tokeniser: Tokeniser,
                meteor: Meteor | None) -> Iterator[Scored]:
    """One part after the other; only METEOR may have a process of its own, or else a thread."""
    needed = any(one.of_meteor for one in wanted)
    own = MeteorProcess() if needed and meteor is None and may_fork() else None
    with ThreadPoolExecutor(1) as thread:
        ready = thread.submit(lambda: meteor or own or NativeMeteor()) if needed else None
        try:
            for case in cases:
                yield _score_part(case, wanted, tokeniser, ready, thread)
        finally:
            if own is not None:
                own.close()


def _score_in_processes(cases: Sequence[Case], wanted: Sequence[Wanted], tokeniser: Tokeniser,
                        workers: int) -> Iterator[Scored]:
    """Parts side by side, in copies of this process that make their own METEOR."""
    global _shared
    _shared = _Shared(cases, wanted, tokeniser)
    try:
        with multiprocessing.get_context("fork").Pool(workers) as pool:
            yield from pool.imap(_score_shared, range(len(cases)))
    finally:
        _shared = None


@dataclass
class _Shared:
    """What the copies inherit, and the METEOR that each of them makes."""

    cases: Sequence[Case]
    wanted: Sequence[Wanted]
    tokeniser: Tokeniser
    meteor: "Future[Meteor] | None" = None


_shared: _Shared | None = None


def _score_shared(at: int) -> Scored:
    with ThreadPoolExecutor(1) as thread:
        if _shared.meteor is None and any(one.of_meteor for one in _shared.wanted):
            _shared.meteor = thread.submit(meteor_alone)
        return _score_part(_shared.cases[at], _shared.wanted, _shared.tokeniser, _shared.meteor, thread)


def _score_part(case: Case, wanted: Sequence[Wanted], tokeniser: Tokeniser, meteor: "Future[Meteor] | None",
                thread: ThreadPoolExecutor) -> Scored:
    scored = Scored([Part() for _ in wanted])
    overlaps = [find_overlaps(case, events) for events in case.annotators] if any(one.meets for one in wanted) else []
    texts = None
    try:
        if any(one.of_tokens and one.rules.pairing == "overlap" for one in wanted):
            texts = intern_captions(case, tokeniser, scored.oddities)
    except Unavailable as error:
        scored.no_tokens = str(error)
    work = [(part, scorer) for one, part in zip(wanted, scored.parts, strict=True)
            for scorer in _scorers(case, one, overlaps, texts, tokeniser, scored)]
    asked = [scorer.asks() for _, scorer in work]
    # METEOR's compiled loops leave Python free, so they run beside the rest.
    answer = thread.submit(_ask, meteor, asked) if meteor is not None else None
    for one, part in zip(wanted, scored.parts, strict=True):
        if one.localisation:
            rules = one.rules
            found = precision_recall(case, overlaps, rules.tious, rules.distances, rules.max_proposals)
            part.columns |= {name: (values, np.ones(values.shape)) for name, values in
                             zip(("Precision", "Recall"), found, strict=True)}
    for part, scorer in work:
        scorer.fill(part)
    if answer is not None:
        try:
            answers = answer.result()
        except Unavailable as error:
            scored.no_meteor = str(error)
            return scored
        for (part, scorer), statistics in zip(work, answers, strict=True):
            scorer.fill_meteor(part, statistics, meteor.result())
    return scored


def _scorers(case: Case, one: Wanted, overlaps: Sequence[Overlaps], texts: Texts | None, tokeniser: Tokeniser,
             scored: Scored) -> list[Scorer]:
    """The families of metrics that a protocol asks for, but for localisation."""
    rules = one.rules
    scorers: list[Scorer] = []
    if rules.pairing == "order" and one.captions:
        def read(captions: Sequence[str]) -> list[str]:
            if rules.clip_text == "raw":
                return [raw(caption) for caption in captions]
            return tokeniser.tokenise(clean(captions, ascii_only=False))

        try:
            scorers.append(ClipCaptions(case, rules, set(one.captions), read, scored.warnings))
        except Unavailable as error:
            scored.no_tokens = str(error)
    elif one.captions and texts is not None:
        scorers.append(EventCaptions(case, overlaps, texts, rules, one.captions))
    if one.soda:
        scorers.append(SodaScores(case, overlaps, texts, rules, one.soda))
    if one.paragraph:
        scorers.append(ParagraphScores(case, one.paragraph))
    return scorers


def _ask(meteor: "Future[Meteor]", asked: Sequence[list[tuple[str, str]]]) -> list[np.ndarray]:
    """Statistics (Q, 23) for each list of pairs; METEOR is asked once for each distinct pair."""
    index = {pair: at for at, pair in enumerate(dict.fromkeys(chain.from_iterable(asked)))}
    statistics = meteor.result().statistics(list(index))
    return [statistics[[index[pair] for pair in pairs]] if pairs else statistics[:0] for pairs in asked]
