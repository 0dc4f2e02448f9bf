"""Captions beside references, of videos and events chosen by rule."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hicm.files import read_json
from hicm.recipes.memory_reads.conditions import OWN
from hicm.recipes.memory_reads.others import by_hash
from hicm.recipes.memory_reads.table import Measurements, markdown
from hicm.types import Event, Span, Video

VIDEOS, EVENTS = 10, 3
SHOWN = 120  # characters of a caption
Told = Mapping[str, Sequence[Mapping[str, Any]]]  # the results of a predictions file


def examples(references: Mapping[str, Video], found: Measurements, cells: Sequence[str], out: Path) -> str:
    """A table of the first `EVENTS` events of the first `VIDEOS` videos, in the order of a hash of their ids.

    Beside each stands, of the first seed of each cell, the predicted caption that overlaps most.
    """
    told: dict[str, Told] = {}
    for name in cells:
        first = min(found.entries[name, OWN].items())[1]
        told[name] = read_json(out / first.predictions, "predictions")["results"]
    rows = []
    for video in (references[name] for name in by_hash(list(references))[:VIDEOS]):
        for event in sorted(video.events, key=lambda one: (one.span.start, one.span.end))[:EVENTS]:
            rows.append([video.id, f"{event.span.start:.0f}-{event.span.end:.0f}", event.text,
                         *(nearest_caption(told[name].get(video.id, ()), event) for name in cells)])
    head = ["video", "seconds", "reference", *cells]
    return markdown(head, rows, len(head))


def nearest_caption(predicted: Sequence[Mapping[str, Any]], event: Event) -> str:
    """The predicted caption with the largest IoU with an event, and its times; a dash where none overlaps."""
    best = max(predicted, key=lambda one: iou(event.span, Span(*one["timestamp"])), default=None)
    if best is None or not iou(event.span, Span(*best["timestamp"])):
        return "–"
    sentence = best["sentence"] if len(best["sentence"]) <= SHOWN else best["sentence"][:SHOWN] + " ..."
    return "{:.0f}-{:.0f} {}".format(*best["timestamp"], sentence)


def iou(one: Span, other: Span) -> float:
    """Intersection over union of two spans."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    union = max(one.end, other.end) - min(one.start, other.start)
    return max(0.0, shared) / union if union > 0 else 0.0
