"""Search video files for the moments that a sentence describes: results, a table, and pages to look at them."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hicm.data.text import mend
from hicm.errors import UserError, printable
from hicm.executors import Work
from hicm.exports.clock import clock
from hicm.files import read_json, write_json, write_text
from hicm.progress import Progress, progress_line
from hicm.provenance import Origin
from hicm.stages.each_video import each_video
from hicm.stages.searchers import Answer, Searcher
from hicm.types import Event, Span
from hicm.video.facts import read_facts
from hicm.video.pictures import frame_at, small_jpeg
from hicm.viewer import found as found_page
from hicm.viewer.content import Lane, View, address
from hicm.viewer.page import render

DECIMALS = 4  # of seconds and scores
LONGEST_NAME = 100  # bytes of a file name that is made of a question

Describe = Callable[[Path, Sequence[Span], Progress], Sequence[str]]  # a video file's moments, each in words


@dataclass(frozen=True)
class Moment:
    """One moment that was found, ``start`` and ``end`` in seconds; ``caption``: what a captioner says of it.

    ``cosine``: how like the sentence its frames are; None where it was not computed beside the score.
    """

    video: str
    source: str
    start: float
    end: float
    score: float
    caption: str = ""
    cosine: float | None = None

    @property
    def times(self) -> str:
        """From when to when, hh:mm:ss."""
        start, end = (clock(round(second) * 1000).partition(".")[0] for second in (self.start, self.end))
        return f"{start}-{end}"


@dataclass(frozen=True)
class Search:
    """What was found: the best moments of all videos, and the files that hold them."""

    content: Mapping[str, Any]  # of the json file
    page: Path
    failed: tuple[str, ...]  # videos that could not be read
    as_json: bool = False

    @property
    def ok(self) -> bool:
        return not self.failed

    def __str__(self) -> str:
        if self.as_json:
            return json.dumps(self.content, indent=1, ensure_ascii=False)
        return "\n".join([*map(printable, self._head()), *_table(moments_of(self.content)), printable(str(self.page))])

    def _head(self) -> list[str]:
        count = len(self.content["videos"])
        head = [f"{self.content['question']!r} in {count} video{'s' * (count != 1)}, {self.content['how']}"]
        return head + ([f"not searched, as they cannot be read: {', '.join(self.failed)}"] if self.failed else [])


def search_files(videos: Sequence[Path], searcher: Searcher, question: str, top: int, out: Path,
                 describe: Describe | None = None, about: Mapping[str, Any] | None = None, overwrite: bool = False,
                 as_json: bool = False) -> Search:
    """Find the moments of all videos that ``question`` describes, rank them together, and write what is found.

    Writes ``out/<question>.json`` (``moments``: the ``top`` best of all videos; ``results``: those of each video, in
    the form of predictions of moments), ``.html`` with a picture of each of the best, and ``.view.html``, in which
    these can be watched.  ``describe`` captions moments; ``about``: what decides its captions.
    Files that were made in the same way before are left as they are.

    A video that cannot be read is recorded in ``out/failed.jsonl``, and the others are searched.  Raises UserError when
    ``question`` is blank, when the files were made in another way (unless ``overwrite``), or no video can be read.
    """
    question = sentence_of(question)
    origin = searcher.origin(question, videos)
    origin = replace(origin, settings=origin.settings | {"top": top} | dict(about or {}))
    files = _Files(out, question)
    there = files.made(origin, {video.stem: str(video) for video in videos}, overwrite)
    if there is not None:
        return Search(there, files.page, (), as_json)
    summary = each_video(videos, partial(_load, searcher, question), out, "searched")
    answers: list[Answer] = list(summary.results.values())
    if not answers:
        raise UserError(f"search: none of the videos can be read (see {summary.records}); nothing to search")
    moments = ranked(answers, top)
    if describe is not None:
        moments = _described(moments, describe)
    results = {answer.video.stem: [{"qid": str(number), "query": question,
                                    "windows": answer.windows.round(DECIMALS).tolist()}]
               for number, answer in enumerate(answers, start=1)}
    content = {"task": "moments", "question": question, "how": searcher.how, "identity": origin.identity,
               "decided_by": origin.to_json(), "failed": list(summary.failed),
               "videos": {one.video.stem: {"source": str(one.video), "duration": one.duration} for one in answers},
               "moments": [asdict(moment) for moment in moments], "results": results}
    files.write(content, moments, {one.video.stem: one.duration for one in answers})
    return Search(content, files.page, summary.failed, as_json)


def sentence_of(question: str) -> str:
    """The question with single blanks.  Raises UserError when nothing is asked."""
    sentence = " ".join(mend(question).split())
    if not sentence:
        raise UserError("search: the question is empty; describe what to find, e.g. \"a dog jumps into the water\"")
    return sentence


def ranked(answers: Sequence[Answer], top: int) -> list[Moment]:
    """The ``top`` moments of all videos, the best score first; of equal scores, in the order of the videos.

    Of several videos, the best product of score and cosine first, where there are cosines: a run learns from sentences
    that are true of their video, so its scores say where a moment is, and hardly in which video.
    """
    moments = [moment for answer in answers for moment in _moments_of(answer)]
    several = len(answers) > 1

    def value(moment: Moment) -> float:
        return moment.score * max(moment.cosine, 0.0) if several and moment.cosine is not None else moment.score

    return sorted(moments, key=lambda moment: -value(moment))[:top]


def _moments_of(answer: Answer) -> list[Moment]:
    cosines = [None] * len(answer.windows) if answer.cosines is None else answer.cosines.round(DECIMALS).tolist()
    windows = answer.windows.round(DECIMALS).tolist()
    return [Moment(answer.video.stem, str(answer.video), start, end, score, cosine=cosine)
            for (start, end, score), cosine in zip(windows, cosines, strict=True)]


def moments_of(content: Mapping[str, Any]) -> list[Moment]:
    """The best moments in the content of a json file that `search_files` wrote."""
    return [Moment(**one) for one in content["moments"]]


def _load(searcher: Searcher, question: str) -> Work:
    def work(video: Path) -> Answer:
        with progress_line(printable(video.name)) as progress:
            return searcher.find(video, question, progress)

    return work


def _described(moments: Sequence[Moment], describe: Describe) -> list[Moment]:
    """The moments with captions, which are made video by video."""
    captions: dict[Moment, str] = {}
    for source in dict.fromkeys(moment.source for moment in moments):
        own = [moment for moment in moments if moment.source == source]
        with progress_line(printable(Path(source).name)) as progress:
            texts = describe(Path(source), [Span(moment.start, moment.end) for moment in own], progress)
        captions |= dict(zip(own, texts, strict=True))
    return [replace(moment, caption=captions[moment]) for moment in moments]


def _table(moments: Sequence[Moment]) -> list[str]:
    width = max((len(printable(moment.video)) for moment in moments), default=5)
    cosine = any(one.cosine is not None for one in moments)
    lines = [f"{number:>3}  {printable(moment.video):<{width}}  {moment.times:<19}  {moment.score:6.3f}  "
             f"{f'{moment.cosine or 0:6.3f}  ' * cosine}{printable(moment.caption)}".rstrip()
             for number, moment in enumerate(moments, start=1)]
    return [f"     {'video':<{width}}  {'when':<19}   score{'  cosine' * cosine}"
            f"{'  caption' * any(one.caption for one in moments)}", *lines]


class _Files:
    """The files of one question in a folder."""

    def __init__(self, folder: Path, question: str) -> None:
        words = "-".join(re.findall(r"\w+", question.lower())).encode()[:LONGEST_NAME].decode(errors="ignore")
        name = words.strip("-") or "question"
        self.results, self.page, self.viewer = (folder / f"{name}{end}" for end in (".json", ".html", ".view.html"))

    def made(self, origin: Origin, sources: Mapping[str, str], overwrite: bool) -> dict[str, Any] | None:
        """What the json file holds, where it was made in this way, and of all videos where they lie now.

        Raises UserError for other files.
        """
        if not self.results.exists():
            for path in (self.page, self.viewer):
                if path.exists() and not overwrite:
                    raise UserError(f"{path}: exists without {self.results.name}, so hicm search did not write it; "
                                    "choose another --out, or replace it with --overwrite")
            return None
        content = read_json(self.results, "results of a search")
        if not isinstance(content, dict) or not {"question", "moments", "results"} <= set(content):
            raise UserError(f"{self.results}: exists and holds no results of a search; choose another --out, or remove "
                            "it")
        other = origin.differences(content.get("decided_by"))
        if other and not overwrite:
            raise UserError(f"{self.results}: holds the results of another search ({'; '.join(other)}); choose another "
                            "--out, or replace them with --overwrite")
        complete = (not other and self.page.exists() and self.viewer.exists()
                    and {video: one["source"] for video, one in content["videos"].items()} == sources)
        return content if complete and not overwrite else None

    def write(self, content: Mapping[str, Any], moments: Sequence[Moment], durations: Mapping[str, float]) -> None:
        """The results and both pages, the results last: without them the others are not looked at."""
        shown = list(dict.fromkeys(moment.video for moment in moments))
        views = [_view(video, [one for one in moments if one.video == video], durations[video], content, self.viewer)
                 for video in shown]
        write_text(self.viewer, render([view.to_json() for view in views], str(content["question"]),
                                       ("All moments", address(self.page, self.page.parent))))
        cards = [self._card(moment, shown.index(moment.video) + 1, len(shown)) for moment in moments]
        count = len(durations)
        about = f"The best moments of {count} video{'s' * (count != 1)}, found {content['how']}."
        write_text(self.page, found_page.render(str(content["question"]), about, cards))
        write_json(self.results, content)

    def _card(self, moment: Moment, view: int, views: int) -> found_page.Card:
        """A moment on the page; its link opens the viewer, at its start (``parts/link.js`` reads the fragment)."""
        link = f"{address(self.viewer, self.page.parent)}#{f'view={view}&' if views > 1 else ''}t={moment.start:g}"
        picture = small_jpeg(frame_at(moment.source, (moment.start + moment.end) / 2))
        score = f"score {moment.score:.3f}" + ("" if moment.cosine is None else f", cosine {moment.cosine:.3f}")
        return found_page.Card(moment.video, moment.times, score, link, picture, moment.caption)


def _view(video: str, moments: Sequence[Moment], duration: float, content: Mapping[str, Any], page: Path) -> View:
    """A video in the viewer, its moments in order of time."""
    events = sorted((Event(Span(one.start, one.end), one.caption or str(content["question"]), one.score)
                     for one in moments), key=lambda event: event.span.start)
    source = moments[0].source
    facts = read_facts(source)
    return View(video, duration, (Lane("found", "prediction", tuple(events)),), "", source,
                address(source, page.parent), facts.frame_rate, facts.size, facts.sound,
                {"how": content["how"], "decided_by": content["decided_by"]})
