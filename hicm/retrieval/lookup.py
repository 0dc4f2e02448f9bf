"""What the memory answers to a text, or recalls for a video, as readable lists.

The search is the one of ``retrieval``: a text is treated like a video of one frame and one window.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hicm.config import Config, RetrievalConfig
from hicm.data.annotations import read_annotations
from hicm.data.features import sample_or_all
from hicm.data.ids import youtube_id
from hicm.data.joined import open_all
from hicm.encoders import Encoder
from hicm.errors import UserError
from hicm.memory.bank import Bank, load_bank
from hicm.memory.show import origin_of
from hicm.retrieval.mean_frame import make_reader
from hicm.retrieval.reader import Reader, needs_bank
from hicm.retrieval.records import Recalled
from hicm.retrieval.scoring import unit_rows
from hicm.retrieval.sentences import for_texts, refuse_other_encoder, text_reader
from hicm.retrieval.windows import window_seconds


@dataclass(frozen=True)
class Hit:
    """A node, or a caption (level 0), that was kept."""

    level: int
    node: int
    cosine: float | None  # None: the bank does not hold the caption's embedding
    text: str
    captions: int | None = None  # below the node; None: unknown, or a caption itself
    source: str = ""  # of a caption: its video and number
    replaced: str = ""  # the summary that was not read, because the video's own caption wrote it; ``text`` was instead


@dataclass(frozen=True)
class Hits:
    """The kept nodes of a level, best first; ``kept`` may be more than are listed."""

    level: int
    nodes: int
    kept: int
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class Window:
    """What one query recalled: levels coarse to fine.  ``start``, ``end`` in seconds; None for a text."""

    start: float | None
    end: float | None
    levels: tuple[Hits, ...]
    captions: tuple[Hit, ...] = ()  # below the finest kept nodes, nearest first


@dataclass(frozen=True)
class Found:
    """The answer to a query; ``str()`` gives a readable list, `to_json` plain data."""

    query: str  # the text, or the video's id
    bank: str
    search: str  # how it was searched
    windows: tuple[Window, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(line for part in (self._head(), *map(_lines, self.windows)) for line in part)

    def _head(self) -> Iterator[str]:
        yield f"{_on_one_line(self.query)}   in {self.bank}, {self.search}"


def search_text(bank_folder: str | Path, text: str, settings: RetrievalConfig, encoder: Encoder,
                nodes: int = 10) -> Found:
    """What the bank answers to ``text``: per level at most ``nodes`` of the kept nodes, and the nearest captions.

    Raises UserError when the text is blank, when ``encoder`` is not the bank's, or when the search keeps nothing or
    draws at random.
    """
    _refuse_blind(settings, settings.search == "random")
    if not text.strip():
        raise UserError("the text to search for is blank; write what a caption might say")
    bank = load_bank(bank_folder)
    refuse_other_encoder(bank, encoder, bank_folder)
    query, settings = np.asarray(encoder.encode([text]), np.float32), for_texts(settings)
    reader = text_reader(bank, settings)
    recalled = reader.read(query[None], np.ones((1, 1), bool))
    centre = reader.tables.centre
    captions = _captions(reader, recalled, query if centre is None else query - centre, nodes)
    window = replace(_window(bank, recalled, 0, (None, None), nodes), captions=captions)
    return Found(text, str(bank_folder), _how(settings), (window,))


def search_video(config: Config, video: str, nodes: int = 3, training: bool = False) -> Found:
    """What each window of ``video`` recalls: its seconds, and per level at most ``nodes`` of the kept nodes.

    ``video`` may be in any split or in none, as long as it has features; its last window ends where its annotation
    says, or without one, with its features.  ``training``: its own captions, or each window's best node, are left
    out, as ``retrieval.leave_own_out`` and ``leave_best_out`` ask.  Raises UserError when the video has no features or
    they do not fit the bank.
    """
    _refuse_blind(config.retrieval)
    rows = open_all(config.data).read(video)
    bank = load_bank(config.bank)
    frames, mask = sample_or_all(rows, config.data.frames, config.retrieval.windows, config.data.sampling)
    own = [video] if training and config.retrieval.leave_own_out else None
    best_out = training and config.retrieval.leave_best_out
    recalled = make_reader(bank, config).read(frames[None], mask[None], own, [video], best_out)
    spans = _seconds(config, len(rows), _duration(config, video), None if recalled.window_rows is None else
                     recalled.window_rows[0])
    windows = tuple(_window(bank, recalled, number, spans[number], nodes)
                    for number in np.flatnonzero(recalled.windows[0]).tolist())
    return Found(video, str(config.bank), _how(config.retrieval), windows)


def _refuse_blind(settings: RetrievalConfig, blind: bool = False) -> None:
    if blind or not needs_bank(settings):
        raise UserError(f"retrieval.search={settings.search} does not look into the memory; set "
                        "retrieval.search=descend (or top_only, flat)")


def _how(settings: RetrievalConfig) -> str:
    rule = {"top-k": f"best {settings.top_k} per level", "max": "the best per level",
            "similarity": f"cosine {settings.threshold:g} or more"}[settings.select]
    rule += "" if settings.centring == "none" else ", cosines centred"
    if settings.search == "descend" and settings.beam:
        return f"{settings.search}, a beam of {settings.beam} kept on the way, {rule} read"
    return f"{settings.search}, {rule}"


def _window(bank: Bank, recalled: Recalled, number: int, span: tuple[float | None, float | None],
            nodes: int) -> Window:
    levels = []
    for level, kept in recalled.nodes.items():
        listed = kept[0, number][kept[0, number] >= 0]
        hits = [_hit(bank, level, int(node), float(score), int(leaf)) for node, score, leaf in zip(
            listed[:nodes], recalled.scores[level][0, number], recalled.stand_in[level][0, number], strict=False)]
        levels.append(Hits(level, len(bank.texts(level)), len(listed), tuple(hits)))
    return Window(*span, tuple(levels))


def _hit(bank: Bank, level: int, node: int, score: float | None, stand_in: int = -1) -> Hit:
    leaves, text = bank.leaves, bank.texts(level)[node]
    if leaves is None:
        return Hit(level, node, score, text)
    if level == 0:
        return Hit(0, node, score, text, source=origin_of(leaves, node))
    captions = int((bank.ancestors(level) == node).sum())
    if stand_in < 0:
        return Hit(level, node, score, text, captions)
    return Hit(level, node, score, leaves.texts[stand_in], captions, origin_of(leaves, stand_in), text)


def _captions(reader: Reader, recalled: Recalled, query: np.ndarray, count: int) -> tuple[Hit, ...]:
    """Captions below the finest kept nodes, nearest to the query [1, D], which may be centred, first; without their
    embeddings, in the order of the nodes.
    """
    bank = reader.tables.bank
    level = min(recalled.nodes, default=0)
    if bank.leaves is None or level == 0:
        return ()
    kept = recalled.nodes[level][0, 0]
    ids = np.concatenate([bank.leaves_of(level, node) for node in kept[kept >= 0]] or [kept[:0]])
    if bank.leaves.embeddings is None:
        return tuple(_hit(bank, 0, int(leaf), None) for leaf in ids[:count])
    cosines = reader.tables.unit_captions(ids) @ unit_rows(query)[0]
    return tuple(_hit(bank, 0, int(ids[place]), float(cosines[place]))
                 for place in np.argsort(-cosines, kind="stable")[:count])


def _duration(config: Config, video: str) -> float | None:
    """Seconds, from the first split that has the video; None when none does."""
    for files in config.data.annotations.values():
        if files and Path(files[0]).exists():
            videos = read_annotations(files[0], captions=False)
            same = (other for name, other in videos.items() if youtube_id(name) == youtube_id(video))
            found = videos.get(video) or next(same, None)
            if found is not None:
                return found.duration
    return None


def _seconds(config: Config, rows: int, duration: float | None,
             windows: np.ndarray | None) -> list[tuple[float, float]]:
    """Start and end of each window of a video with ``rows`` rows of features; the end, twice, if it is all padding.

    ``windows`` int32 [W, 2]: rows of each.
    """
    rate = config.data.clock.rate
    covered = rows / rate
    last = covered if duration is None else min(covered, duration)
    return [(min(start, last), min(end, last))
            for start, end in (span or (last, last) for span in window_seconds(
                config.retrieval, covered, config.data.frames, rate, config.data.sampling, windows))]


def _lines(window: Window) -> Iterator[str]:
    yield ""
    if window.start is not None and window.end is not None:
        yield f"{_clock(window.start)} - {_clock(window.end)}"
    for level in window.levels:
        name = "captions" if level.level == 0 else f"level {level.level}"
        yield f"{name}: {level.kept} of {level.nodes:,} kept" + ("" if level.kept else " (nothing near enough)")
        yield from map(_line, level.hits)
    if window.captions:
        yield "captions below, nearest first" if window.captions[0].cosine is not None else "captions below"
        yield from map(_line, window.captions)


def _line(hit: Hit) -> str:
    cosine = "  -  " if hit.cosine is None else f"{hit.cosine:5.2f}"
    place = "" if hit.level == 0 else f"{hit.level}.{hit.node:<6}"
    below = "" if hit.captions is None else f"({hit.captions:,})  "
    source = f"  [{hit.source}]" if hit.source else ""
    replaced = f"  instead of: {_on_one_line(hit.replaced)}" if hit.replaced else ""
    return f"  {cosine}  {place}{below}{_on_one_line(hit.text)}{source}{replaced}"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _clock(seconds: float) -> str:
    """m:ss.s, as a player shows it."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}"
