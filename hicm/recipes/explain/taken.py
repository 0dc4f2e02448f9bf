"""What the captioner takes of what is recalled: where its attention goes, and how much and from where it copies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hicm.evaluation.intervals import LEVEL, percentile_interval
from hicm.evaluation.significance import FEWEST
from hicm.recipes.memory_reads.examples import iou
from hicm.retrieval.scoring import unit_rows
from hicm.types import Event, Span

RANKS = 5  # of recalled sentences that are told apart; the last stands for all from there on
CHANCES = tuple(np.linspace(0, 1, 11).tolist())  # edges of the histogram of probabilities
EXAMPLES = 8
MOST = 0.5
SAMPLES = 1000  # of the bootstrap
FITS = 0.5  # intersection over union from which a caption is compared with that of an annotated event


@dataclass(frozen=True)
class Attention:
    """Shares of cross-attention, means over heads, tokens and videos.

    ``position``: what is being written, words or times.  ``layer`` counts from 1; 0: if all states got the same.
    """

    layer: int
    position: str
    shares: dict[str, float]  # by group of states, those that occur


@dataclass(frozen=True)
class Located:
    """Of the attention to what was recalled for some time, at the words of an event: the share on that in the event."""

    layer: int  # 0: if all states got the same
    inside: float


@dataclass(frozen=True)
class Example:
    """A caption, the share of its word pieces that were copied, and the recalled sentence that gave most of them."""

    video: str
    start: float
    end: float
    caption: str
    copied: float
    sentence: str
    rank: int


@dataclass(frozen=True)
class Copying:
    """How words were chosen, over the word pieces of all captions; probabilities are means.

    ``gate``: that a piece is copied, before it is known which; ``copied``: given that; ``most``: the share of pieces
    that were copied with more than 0.5, given what they are.  ``histogram``: shares by CHANCES.
    ``ranks``: of the pieces copied from recalled sentences, the share of each place by cosine among the sentences in
    the event; ``even``: if the sentences in each event gave the same.  ``other``: of all that was copied, the share
    from elsewhere: speech, or a recalled sentence that lies in no event.  ``one``: the share of the sentence that gave
    most in what a caption copied from sentences, mean over captions weighted by what they copied.
    """

    captions: int
    pieces: int
    gate: float
    copied: float
    most: float
    histogram: tuple[float, ...]
    sentences: float  # in an event, mean over captions
    ranks: tuple[float, ...]
    even: tuple[float, ...]
    other: float
    one: float


@dataclass(frozen=True)
class Choice:
    """Does it copy from the right sentence?  Mean cosines with the annotated caption, over captions that fit an event.

    copied: the sentence that gave most of the copied words; first: that with the highest cosine to the query; even: all
    that lie in the event; nearest: the one among them that is nearest to the annotated caption.  ``interval``: of
    copied - first, 95 % of a bootstrap over videos; None with too few of them.
    """

    captions: int
    copied: float
    first: float
    even: float
    nearest: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Taken:
    """What was found for some videos.

    ``copying`` is None for a model that copies no words, or wrote none in an event; ``choice`` where no caption has
    recalled sentences and fits an annotated event.
    """

    videos: int
    tokens: dict[str, int]  # written, by position
    attention: tuple[Attention, ...]
    located: tuple[Located, ...]  # empty where nothing recalled has a time
    copies: bool  # whether the model copies words
    copying: Copying | None
    choice: Choice | None
    examples: tuple[Example, ...]


def taken(readings: Sequence[Any], groups: Sequence[str], positions: Sequence[str],
          annotated: Mapping[str, Sequence[Event]], embed: Callable[[str], np.ndarray]) -> Taken:
    """The readings of all videos (``readings`` of a room's ``reading.py``) in numbers.

    ``annotated``: the events of each video; ``embed``: the embedding [D] of an annotated caption or a recalled text.
    """
    tokens = sum(one.tokens for one in readings)
    wordings = [(one.video, wording) for one in readings for wording in one.wordings or ()]
    copies = any(one.wordings is not None for one in readings)
    return Taken(len(readings), dict(zip(positions, tokens.tolist(), strict=True)),
                 tuple(_attention(readings, tokens, groups, positions)), tuple(_located(readings)),
                 copies, _copying([wording for _, wording in wordings]) if wordings else None,
                 _choice(wordings, annotated, embed), tuple(_examples(wordings)))


def _attention(readings: Sequence[Any], tokens: np.ndarray, groups: Sequence[str],
               positions: Sequence[str]) -> list[Attention]:
    total = sum(one.attention for one in readings) / np.maximum(tokens, 1)[None, :, None]
    even = sum(one.states / one.states.sum() * one.tokens[:, None] for one in readings) / np.maximum(tokens, 1)[:, None]
    there = sum(one.states for one in readings) > 0
    found = []
    for layer, shares in enumerate([even, *total]):
        for position, own in zip(positions, shares.tolist(), strict=True):
            found.append(Attention(layer, position, {group: share for group, share, real in zip(
                groups, own, there.tolist(), strict=True) if real}))
    return found


def _located(readings: Sequence[Any]) -> list[Located]:
    layers = sum(one.located for one in readings)
    both = [sum(one.located_states for one in readings), *layers]
    if not both[0][0]:
        return []
    return [Located(layer, float(inside / everywhere)) for layer, (everywhere, inside) in enumerate(both)]


def _copying(wordings: Sequence[Any]) -> Copying:
    gate = np.asarray([chance for one in wordings for chance in one.gate])
    copied = np.minimum(np.asarray([chance for one in wordings for chance in one.copied]), 1)
    ranks, even, largest = np.zeros(RANKS), np.zeros(RANKS), 0.0
    for one in wordings:
        given = [source.copied for source in one.sources]
        largest += max(given, default=0.0)
        for source in one.sources:
            place = min(source.rank, RANKS) - 1
            ranks[place] += source.copied
            even[place] += sum(given) / len(given)
    total = ranks.sum()
    shares = [tuple((part / max(total, 1e-12)).tolist()) for part in (ranks, even)]
    return Copying(
        captions=len(wordings), pieces=len(gate), gate=float(gate.mean()), copied=float(copied.mean()),
        most=float((copied > MOST).mean()), histogram=tuple((np.histogram(copied, CHANCES)[0] / len(copied)).tolist()),
        sentences=float(np.mean([len(one.sources) for one in wordings])), ranks=shares[0], even=shares[1],
        other=float(max(0.0, 1 - total / max(copied.sum(), 1e-12))), one=float(largest / max(total, 1e-12)))


def _choice(wordings: Sequence[tuple[str, Any]], annotated: Mapping[str, Sequence[Event]],
            embed: Callable[[str], np.ndarray]) -> Choice | None:
    found: dict[str, list[np.ndarray]] = {}
    for video, one in wordings:
        span = Span(one.start, one.end)
        best = max(annotated[video], key=lambda event: iou(event.span, span), default=None)
        if best is None or iou(best.span, span) < FITS or not sum(source.copied for source in one.sources):
            continue
        units = unit_rows(np.stack([embed(source.text) for source in one.sources]))
        cosines = units @ unit_rows(embed(best.text)[None])[0]
        most = int(np.argmax([source.copied for source in one.sources]))
        found.setdefault(video, []).append(
            np.asarray([cosines[most], cosines[0], cosines.mean(), cosines.max()], np.float64))
    if not found:
        return None
    rows = [row for own in found.values() for row in own]
    copied, first, even, nearest = np.mean(rows, axis=0).tolist()
    return Choice(len(rows), copied, first, even, nearest,
                  _interval([[row[0] - row[1] for row in own] for own in found.values()]))


def _interval(videos: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """The 95 % interval of the mean of all numbers, when videos are drawn with replacement."""
    if len(videos) < FEWEST:
        return None
    sums, counts = np.asarray([sum(own) for own in videos]), np.asarray([len(own) for own in videos])
    drawn = np.random.default_rng(0).integers(0, len(videos), (SAMPLES, len(videos)))
    found = percentile_interval(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), LEVEL)
    return found.low, found.high


def _examples(wordings: Sequence[tuple[str, Any]]) -> list[Example]:
    """The first caption of each of the first videos that has recalled sentences."""
    found: dict[str, Example] = {}
    for video, one in wordings:
        if video not in found and one.sources and len(found) < EXAMPLES:
            best = max(one.sources, key=lambda source: source.copied)
            found[video] = Example(video, one.start, one.end, one.text, float(np.mean(one.copied)), best.text,
                                   best.rank)
    return list(found.values())
