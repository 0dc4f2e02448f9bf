"""A case scored under one or several protocols, part by part, in one process or several."""

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from hicm.dvc_eval.inputs.arrays import block_ends
from hicm.dvc_eval.inputs.case import Case
from hicm.dvc_eval.inputs.protocols import KINDS, Protocol, canonical
from hicm.dvc_eval.metrics.captions import EventCaptions
from hicm.dvc_eval.metrics.clips import ClipCaptions, raw
from hicm.dvc_eval.metrics.localisation import precision_recall
from hicm.dvc_eval.metrics.overlaps import Overlaps, find_overlaps
from hicm.dvc_eval.metrics.paragraphs import ParagraphScores
from hicm.dvc_eval.metrics.part import Part, Scorer, join_parts
from hicm.dvc_eval.metrics.soda_scores import SodaScores
from hicm.dvc_eval.words.java import Unavailable
from hicm.dvc_eval.words.meteor import Meteor
from hicm.dvc_eval.words.meteor15.native import NativeMeteor, TooAlike
from hicm.dvc_eval.words.texts import Oddities, Texts, intern_captions
from hicm.dvc_eval.words.tokenise import Tokeniser, clean
from hicm.errors import UserError

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
        raw_text = self.rules.pairing == "order" and self.rules.clip_text == "raw"
        tokenised = () if raw_text else self.rules.captions
        return [name for name in self.metrics if name in tokenised or (name.startswith("soda_") and name[5] != "d")]


@dataclass
class Scored:
    """What comes of a case: a `Part` and warnings a protocol, and the captions that were not read as written."""

    parts: list[Part]
    warnings: list[list[str]]
    oddities: Oddities = field(default_factory=Oddities)
    no_meteor: str = ""  # why METEOR could not work
    no_tokens: str = ""  # why the tokeniser could not


def score_case(case: Case, wanted: Sequence[Wanted], tokeniser: Tokeniser, meteor: Meteor | None, jobs: int,
               progress: bool) -> Scored:
    """Score all protocols.

    ``meteor``: None for the native one; ``jobs``: how many processes at most, started only where they pay;
    ``progress``: a bar on standard error for what takes long.
    """
    whole = any(one.rules.pairing == "order" for one in wanted)
    ends = [len(case.videos)] if whole else part_ends(case)
    cases = [case.part(first, end) for first, end in zip([0, *ends], ends, strict=False)]
    pays = sum(len(events.video) for events in (case.predicted, *case.annotators)) >= PAYS
    if pays and min(jobs, len(cases)) > 1 and meteor is None and may_fork():
        parts = _score_in_processes(cases, wanted, tokeniser, min(jobs, len(cases)))
    else:
        lazy = LazyMeteor(meteor)
        parts = (_score_part(part, wanted, tokeniser, lazy) for part in cases)
    found = list(_shown(parts, cases)) if progress and len(cases) > 1 else list(parts)
    sizes = [len(part.videos) for part in cases]
    places = range(len(wanted))
    result = Scored([join_parts([one.parts[at] for one in found], sizes) for at in places],
                    [[warning for one in found for warning in one.warnings[at]] for at in places])
    for one in found:
        result.oddities.include(one.oddities)
        result.no_meteor, result.no_tokens = result.no_meteor or one.no_meteor, result.no_tokens or one.no_tokens
    return result


def _shown(parts: Iterable[Scored], cases: Sequence[Case]) -> Iterator[Scored]:
    """The same, with a bar that counts videos."""
    from tqdm import tqdm

    with tqdm(total=sum(len(case.videos) for case in cases), desc="scoring", unit="video", delay=1) as bar:
        for scored, case in zip(parts, cases, strict=True):
            yield scored
            bar.update(len(case.videos))


def part_ends(case: Case) -> list[int]:
    """Where parts of about EVENTS events end, by index of the video; at least one video each."""
    return block_ends(case.predicted.counts + sum(events.counts for events in case.annotators), EVENTS)


def may_fork() -> bool:
    """Whether a copy of this process is safe: on Linux, without other threads and without torch and its GPU."""
    import multiprocessing

    # tqdm leaves a thread behind that watches bars and holds nothing.
    threads = [thread for thread in threading.enumerate() if type(thread).__name__ != "TMonitor"]
    return (sys.platform == "linux" and "torch" not in sys.modules and len(threads) == 1
            and not multiprocessing.current_process().daemon)


def _score_in_processes(cases: Sequence[Case], wanted: Sequence[Wanted], tokeniser: Tokeniser,
                        workers: int) -> Iterator[Scored]:
    """Parts side by side, in copies of this process that each make their own METEOR."""
    import multiprocessing

    global _shared
    _shared = cases, wanted, tokeniser, LazyMeteor(None)
    try:
        with multiprocessing.get_context("fork").Pool(workers) as pool:
            yield from pool.imap(_score_shared, range(len(cases)))
    finally:
        _shared = None


_shared: tuple | None = None  # what the copies inherit


def _score_shared(at: int) -> Scored:
    cases, *rest = _shared
    return _score_part(cases[at], *rest)


class LazyMeteor:
    """The given METEOR, or the native one made at the first call: it takes long to load."""

    def __init__(self, meteor: Meteor | None) -> None:
        self._meteor = meteor

    def __call__(self) -> Meteor:
        if self._meteor is None:
            self._meteor = NativeMeteor()
        return self._meteor


def _score_part(case: Case, wanted: Sequence[Wanted], tokeniser: Tokeniser, meteor: LazyMeteor) -> Scored:
    scored = Scored([Part() for _ in wanted], [[] for _ in wanted])
    overlaps = [find_overlaps(case, events) for events in case.annotators] if any(one.meets for one in wanted) else []
    texts = None
    try:
        if any(one.of_tokens and one.rules.pairing == "overlap" for one in wanted):
            texts = intern_captions(case, tokeniser, scored.oddities)
    except Unavailable as error:
        scored.no_tokens = str(error)
    work = [(scored.parts[at], scorer) for at, one in enumerate(wanted)
            for scorer in _scorers(case, one, overlaps, texts, tokeniser, scored, scored.warnings[at])]
    for one, part in zip(wanted, scored.parts, strict=True):
        if one.localisation:
            rules = one.rules
            found = precision_recall(case, overlaps, rules.tious, rules.distances, rules.max_proposals)
            part.columns |= {name: (values, np.ones(values.shape)) for name, values in
                             zip(("Precision", "Recall"), found, strict=True)}
    for part, scorer in work:
        scorer.fill(part)
    if any(one.of_meteor for one in wanted):
        try:
            answers = _ask(meteor(), [scorer.asks() for _, scorer in work])
        except Unavailable as error:
            scored.no_meteor = str(error)
            return scored
        except TooAlike as error:
            raise UserError(f"predictions: {_who_says(error.pair, case, texts)}{error}") from error
        for (part, scorer), statistics in zip(work, answers, strict=True):
            scorer.fill_meteor(part, statistics, meteor())
    return scored


def _who_says(pair: tuple[str, str], case: Case, texts: Texts | None) -> str:
    """The first predicted event that says one of two texts, for the head of an error; empty where none does."""
    known = [at for at, text in enumerate(texts.tokens) if text in pair] if texts is not None else []
    for at, text in enumerate(texts.predicted.tolist() if known else ()):
        if text in known:
            return f"video {case.videos[case.predicted.video[at]]}, event {case.predicted.place[at]}: "
    return ""


def _scorers(case: Case, one: Wanted, overlaps: Sequence[Overlaps], texts: Texts | None, tokeniser: Tokeniser,
             scored: Scored, warnings: list[str]) -> list[Scorer]:
    """The families of metrics that a protocol asks for, but for localisation."""
    rules = one.rules
    scorers: list[Scorer] = []
    if rules.pairing == "order" and one.captions:
        def read(captions: Sequence[str]) -> list[str]:
            if rules.clip_text == "raw":
                return [raw(caption) for caption in captions]
            return tokeniser.tokenise(clean(captions, ascii_only=False))

        try:
            scorers.append(ClipCaptions(case, rules, set(one.captions), read, warnings))
        except Unavailable as error:
            scored.no_tokens = str(error)
    elif one.captions and texts is not None:
        scorers.append(EventCaptions(case, overlaps, texts, rules, one.captions))
    if one.soda:
        scorers.append(SodaScores(case, overlaps, texts, rules, one.soda))
    if one.paragraph:
        scorers.append(ParagraphScores(case, one.paragraph))
    return scorers


def _ask(meteor: Meteor, asked: Sequence[list[tuple[str, str]]]) -> list[np.ndarray]:
    """Statistics (Q, 23) for each list of pairs; METEOR is asked once for each distinct pair."""
    index = {pair: at for at, pair in enumerate(dict.fromkeys(chain.from_iterable(asked)))}
    statistics = meteor.statistics(list(index))
    return [statistics[[index[pair] for pair in pairs]] if pairs else statistics[:0] for pairs in asked]
