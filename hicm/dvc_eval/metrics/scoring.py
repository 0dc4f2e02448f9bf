"""Scores a case under one or several protocols, task by task, in one process or several."""

import contextlib
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from hicm.dvc_eval.inputs.arrays import block_ends
from hicm.dvc_eval.inputs.case import Case
from hicm.dvc_eval.inputs.protocols import KINDS, Protocol, canonical
from hicm.dvc_eval.metrics.captions import EventCaptions
from hicm.dvc_eval.metrics.clips import ClipCaptions, raw
from hicm.dvc_eval.metrics.localisation import precision_recall
from hicm.dvc_eval.metrics.overlaps import Overlaps, find_overlaps
from hicm.dvc_eval.metrics.paragraphs import ParagraphScores, count_letterless
from hicm.dvc_eval.metrics.part import Part, Scorer, compare, join_parts
from hicm.dvc_eval.metrics.soda_scores import SodaScores
from hicm.dvc_eval.words.java import Unavailable
from hicm.dvc_eval.words.meteor import Meteor
from hicm.dvc_eval.words.meteor15.native import NativeMeteor, TooAlike
from hicm.dvc_eval.words.texts import Oddities, Texts, intern_captions
from hicm.dvc_eval.words.tokenise import Tokeniser, clean, tokeniser_of
from hicm.errors import UserError
from hicm.interrupts import blocked

EVENTS = 10_000  # per part, both sides together, approximately: bounds the memory, and is one task for a process
MANY = 500_000  # pairs of captions in one part: these take METEOR several seconds
PAYS = 4 * EVENTS  # with fewer events, starting processes takes longer than they save


@dataclass(frozen=True)
class Wanted:
    """A protocol and the metrics requested under it, and what METEOR and the tokeniser are needed for."""

    rules: Protocol
    metrics: tuple[str, ...]

    @property
    def captions(self) -> dict[str, str]:
        """Caption metrics: {our name: the protocol's}."""
        return {canonical(name): name for name in self.metrics if name in self.rules.captions}

    @property
    def soda(self) -> str:
        """Types of SODA, as letters."""
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
    def needs_overlaps(self) -> bool:
        """Whether it matters which predictions and events overlap."""
        return self.localisation or bool(self.soda) or (bool(self.captions) and self.rules.pairing == "overlap")

    @property
    def of_meteor(self) -> list[str]:
        """Metrics that need METEOR."""
        return [name for name in self.metrics if name in ("METEOR", "para_METEOR")
                or (name.startswith("soda_") and name[5] != "d")]

    @property
    def of_tokens(self) -> list[str]:
        """Metrics that need a tokeniser."""
        tokenised = () if self.rules.reading == "raw" else self.rules.captions
        paragraphs = self.rules.tok == "unicode"  # otherwise they have a reading of their own
        return [name for name in self.metrics if name in tokenised or (name.startswith("soda_") and name[5] != "d")
                or (paragraphs and name.startswith("para_"))]

    @property
    def interned(self) -> bool:
        """Whether all captions are tokenised, each once; clips have their own way."""
        return bool(self.of_tokens) and self.rules.pairing == "overlap"


class Task(NamedTuple):
    """Videos, and what is wanted of them; ``paragraphs``: only metrics of these, otherwise none of them."""

    case: Case
    wanted: Sequence[Wanted]
    paragraphs: bool = False


@dataclass
class Scored:
    """A scored case: a `Part` and warnings for each protocol.

    ``oddities``: the captions that were not read as written, by reading: a tokeniser's name in the rules, or "letters".
    """

    parts: list[Part]
    warnings: list[list[str]]
    oddities: dict[str, Oddities] = field(default_factory=lambda: defaultdict(Oddities))
    no_meteor: str = ""  # why METEOR is not available
    no_tokens: str = ""  # why the tokeniser is not available


def score_case(case: Case, wanted: Sequence[Wanted], tokeniser: Tokeniser, meteor: Meteor | None, jobs: int,
               progress: bool) -> Scored:
    """Score all protocols.

    ``meteor``: None for the native one; ``jobs``: the largest number of processes, started only if that is faster;
    ``progress``: show a bar on standard error if it takes long.
    """
    tasks = make_tasks(case, wanted)
    pays = sum(len(events.video) for events in (case.predicted, *case.annotators)) >= PAYS
    if pays and min(jobs, len(tasks)) > 1 and meteor is None and may_fork():
        parts = _score_in_processes(tasks, tokeniser, min(jobs, len(tasks)))
    else:
        lazy = LazyMeteor(meteor)
        parts = (_score_task(task, tokeniser, lazy, progress) for task in tasks)
    found = list(_shown(parts, tasks)) if progress and len(tasks) > 1 else list(parts)
    return join_tasks(found, tasks)


def make_tasks(case: Case, wanted: Sequence[Wanted]) -> list[Task]:
    """What is scored at a time: first the paragraphs of all videos, which take longest, then everything else by part.

    The n-grams of all paragraphs are weighed together.
    """
    whole = any(one.rules.pairing == "order" for one in wanted)
    ends = [len(case.videos)] if whole else part_ends(case)
    paragraphs, others = ([replace(one, metrics=tuple(name for name in one.metrics if name.startswith("para_") == own))
                           for one in wanted] for own in (True, False))
    parts = [Task(case.part(first, end), others) for first, end in zip([0, *ends], ends, strict=False)]
    return [Task(case, paragraphs, True), *parts] if any(one.metrics for one in paragraphs) else parts


def join_tasks(found: Sequence[Scored], tasks: Sequence[Task]) -> Scored:
    """The whole case, from what each task gave."""
    parts = [one for one, task in zip(found, tasks, strict=True) if not task.paragraphs]
    sizes = [len(task.case.videos) for task in tasks if not task.paragraphs]
    places = range(len(tasks[0].wanted))
    result = Scored([join_parts([one.parts[at] for one in parts], sizes) for at in places],
                    [[warning for one in found for warning in one.warnings[at]] for at in places])
    counted = set().union(*(one.oddities for one in parts))  # paragraphs may read the same captions again
    for one, task in zip(found, tasks, strict=True):
        for reading, oddities in one.oddities.items():
            if not task.paragraphs or reading not in counted:
                result.oddities[reading].include(oddities)
        result.no_meteor, result.no_tokens = result.no_meteor or one.no_meteor, result.no_tokens or one.no_tokens
        if task.paragraphs:
            for whole, own in zip(result.parts, one.parts, strict=True):
                whole.rows |= own.rows
                whole.corpora += own.corpora
    return result


def _shown(scored: Iterable[Scored], tasks: Sequence[Task]) -> Iterator[Scored]:
    """The same, with a bar that counts the videos of all tasks."""
    from tqdm import tqdm

    with tqdm(total=sum(len(task.case.videos) for task in tasks), desc="scoring", unit="video", delay=1,
              disable=None) as bar:  # None: unless standard error is a terminal
        for one, task in zip(scored, tasks, strict=True):
            yield one
            bar.update(len(task.case.videos))


@contextlib.contextmanager
def pair_bar(pairs: int, progress: bool) -> Iterator[Any]:
    """A bar that counts the pairs of captions in one part, where they take long."""
    from tqdm import tqdm

    hidden = None if progress and pairs >= MANY else True
    with tqdm(total=pairs, desc="comparing captions", unit="pair", unit_scale=True, leave=False, delay=1,
              disable=hidden) as bar:
        yield bar


def part_ends(case: Case) -> list[int]:
    """Ends of parts of about EVENTS events, as indices of videos; at least one video per part."""
    return block_ends(case.predicted.counts + sum(events.counts for events in case.annotators), EVENTS)


def may_fork() -> bool:
    """Whether this process may be forked: on Linux, without other threads, and without torch and its GPU."""
    import multiprocessing

    # tqdm leaves a thread that watches bars, which is harmless.
    threads = [thread for thread in threading.enumerate() if type(thread).__name__ != "TMonitor"]
    return (sys.platform == "linux" and "torch" not in sys.modules and len(threads) == 1
            and not multiprocessing.current_process().daemon)


def _score_in_processes(tasks: Sequence[Task], tokeniser: Tokeniser, workers: int) -> Iterator[Scored]:
    """Tasks in parallel, in copies of this process, which loads METEOR for all of them."""
    import multiprocessing

    global _shared
    meteor = LazyMeteor(None)
    if any(one.of_meteor for task in tasks for one in task.wanted):
        with contextlib.suppress(Unavailable):  # each task says so
            meteor()
    _shared = _Shared(tasks, tokeniser, meteor)
    try:
        with contextlib.ExitStack() as stack:
            with blocked():
                pool = stack.enter_context(multiprocessing.get_context("fork").Pool(workers))
            yield from pool.imap(_score_shared, range(len(tasks)))
    finally:
        _shared = None


def _score_shared(at: int) -> Scored:
    assert _shared is not None, "set before the processes are forked"
    return _score_task(_shared.tasks[at], _shared.tokeniser, _shared.meteor)


class LazyMeteor:
    """The given METEOR, or the native one, which is slow to load and made at the first call."""

    def __init__(self, meteor: Meteor | None) -> None:
        self._meteor = meteor

    def __call__(self) -> Meteor:
        if self._meteor is None:
            self._meteor = NativeMeteor()
        return self._meteor


class _Shared(NamedTuple):
    tasks: Sequence[Task]
    tokeniser: Tokeniser
    meteor: LazyMeteor


_shared: _Shared | None = None  # what the copies of this process inherit


def _score_task(task: Task, tokeniser: Tokeniser, meteor: LazyMeteor, progress: bool = False) -> Scored:
    case, wanted, _ = task
    scored = Scored([Part() for _ in wanted], [[] for _ in wanted])
    needed = any(one.needs_overlaps for one in wanted)
    overlaps = [find_overlaps(case, events) for events in case.annotators] if needed else []
    texts: dict[str, Texts] = {}
    try:
        for tok in dict.fromkeys(one.rules.tok for one in wanted if one.interned):
            texts[tok] = intern_captions(case, tokeniser_of(tok, tokeniser), scored.oddities[tok], tok == "ptb")
    except Unavailable as error:
        scored.no_tokens = str(error)
    if any(one.paragraph and one.rules.tok == "ptb" for one in wanted):
        count_letterless(case, scored.oddities["letters"])
    work = [(scored.parts[at], scorer) for at, one in enumerate(wanted)
            for scorer in _scorers(case, one, overlaps, texts.get(one.rules.tok), tokeniser, scored,
                                   scored.warnings[at])]
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
            loaded = meteor()
            with pair_bar(sum(scorer.meteor_size() for _, scorer in work), progress) as bar:
                compare([scorer for _, scorer in work], loaded, bar.update)
        except Unavailable as error:
            scored.no_meteor = str(error)
            return scored
        except TooAlike as error:
            raise UserError(f"predictions: {_where(error.pair, case, texts.values())}{error}") from error
        for part, scorer in work:
            scorer.fill_meteor(part, loaded)
    return scored


def _where(pair: tuple[str, str], case: Case, texts: Iterable[Texts]) -> str:
    """The first predicted event with one of two texts, to begin an error message with; empty if there is none."""
    for one in texts:
        for at, text in enumerate(one.predicted.tolist()):
            if one.tokens[text] in pair:
                return f"video {case.videos[case.predicted.video[at]]}, event {case.predicted.place[at]}: "
    return ""


def _scorers(case: Case, one: Wanted, overlaps: Sequence[Overlaps], texts: Texts | None, tokeniser: Tokeniser,
             scored: Scored, warnings: list[str]) -> list[Scorer]:
    """The scorers that a protocol needs; localisation has none."""
    rules = one.rules
    scorers: list[Scorer] = []
    if rules.pairing == "order" and one.captions:
        def read(captions: Sequence[str]) -> list[str]:
            if rules.reading == "raw":
                return [raw(caption) for caption in captions]
            return tokeniser_of(rules.tok, tokeniser).tokenise(clean(captions, ascii_only=False))

        try:
            scorers.append(ClipCaptions(case, rules, set(one.captions), read, warnings))
        except Unavailable as error:
            scored.no_tokens = str(error)
    elif one.captions and texts is not None:
        scorers.append(EventCaptions(case, overlaps, texts, rules, one.captions))
    if one.soda:
        scorers.append(SodaScores(case, overlaps, texts, rules, one.soda))
    if one.paragraph:
        words = texts if rules.tok == "unicode" else None
        scorers.append(ParagraphScores(case, rules, one.paragraph, words))
    return scorers
