"""From what the network says of all queries to the events of each video."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hicm.systems.parallel.batch import Batch
from hicm.systems.parallel.model import Output, Parallel
from hicm.systems.parallel.settings import DecodeSettings
from hicm.systems.parallel.vocabulary import Vocabulary
from hicm.types import Event, Span


@dataclass(frozen=True)
class Candidate:
    """What one query says."""

    query: int
    span: Span  # seconds
    event: float  # probability of being an event
    ids: list[int]  # word ids, zeros at the end
    words: float  # sum of the words' log-probabilities, without that of the end

    def joint(self, settings: DecodeSettings) -> float:
        """The score that events are chosen by: that of being one, and that of its words, longer sentences preferred."""
        count = sum(number != 0 for number in self.ids)
        return self.event + settings.caption_weight * self.words / (count ** settings.length_power + 1e-5)


@torch.no_grad()
def candidates(model: Parallel, batch: Batch, output: Output, longest: int) -> list[list[Candidate]]:
    """What every query says of every video: B lists, likeliest events first.

    Segments are cut to the video; those that lie before it are left out.
    """
    last = output.layers[-1]
    count, queries = last.events.shape
    video = torch.arange(count, device=last.events.device).repeat_interleave(queries)
    scene = model.scene(output, last, video, torch.arange(queries, device=video.device).repeat(count))
    ids, logs = model.captions.greedy(scene, longest)
    sums, spans = logs.sum(1).view(count, queries).tolist(), _seconds(last.boxes, batch.durations).tolist()
    said, scores = ids.view(count, queries, -1).tolist(), last.events.float().sigmoid()
    order = scores.argsort(dim=1, descending=True, stable=True).tolist()
    return [[Candidate(query, Span(*spans[row][query]), score[query], said[row][query], sums[row][query])
             for query in order[row] if any(spans[row][query])]
            for row, score in enumerate(scores.tolist())]


def _seconds(boxes: Tensor, durations: Tensor) -> Tensor:
    """Centres and lengths [B, Q, 2] as starts and ends in seconds, cut to the video."""
    centre, length = boxes.float().unbind(-1)
    return torch.stack([centre - length / 2, centre + length / 2], -1).clamp(0, 1) * durations[:, None, None]


def choose(found: Sequence[Candidate], number: int, settings: DecodeSettings) -> list[Candidate]:
    """The ``number`` best candidates, at least one where there are any, in order of time."""
    kept = [one for one in found if settings.empty == "keep" or one.ids[0]]
    kept.sort(key=lambda one: -one.joint(settings))
    return sorted(kept[:max(1, number)], key=lambda one: (one.span.start, one.span.end))


@torch.no_grad()
def describe(model: Parallel, batch: Batch, vocabulary: Vocabulary, settings: DecodeSettings) -> list[list[Event]]:
    """The events of B videos in order of time, as many of each as the counter says; scores are those of being one."""
    output = model(batch)
    numbers = output.layers[-1].counts.argmax(1).tolist()
    return [[Event(one.span, vocabulary.decode(one.ids), one.event) for one in choose(found, number, settings)]
            for found, number in zip(candidates(model, batch, output, settings.max_words), numbers, strict=True)]
