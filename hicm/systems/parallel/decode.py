"""From the predictions for all queries to the events of each video."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hicm.systems.parallel.batch import Batch
from hicm.systems.parallel.model import Output, Parallel
from hicm.systems.parallel.overlap import suppress_overlaps
from hicm.systems.parallel.settings import DecodeSettings
from hicm.systems.parallel.vocabulary import Vocabulary
from hicm.types import Event, Span

CAPTIONED_AT_ONCE = 12  # queries of a video that are captioned at once


@dataclass(frozen=True)
class Candidate:
    """The prediction for one query."""

    query: int
    span: Span  # seconds
    event: float  # probability of being an event
    ids: list[int]  # word ids, zeros at the end
    words: float  # sum of the words' log-probabilities, without that of the end

    def joint(self, settings: DecodeSettings) -> float:
        """The score that events are chosen by: that of being an event, and that of the sentence, longer ones preferred.

        It is never above ``event``.
        """
        count = sum(number != 0 for number in self.ids)
        return self.event + settings.caption_weight * self.words / (count ** settings.length_power + 1e-5)


@torch.no_grad()
def candidates(model: Parallel, batch: Batch, output: Output, numbers: Sequence[int],
               settings: DecodeSettings) -> list[list[Candidate]]:
    """The candidates of every video: B lists, likeliest events first.

    Only queries that can be among the best ``numbers`` of their videos are captioned.  Segments are cut to the video;
    those that lie before it are left out.
    """
    last = output.layers[-1]
    scores = last.events.float().sigmoid()
    spans = _seconds(last.boxes, batch.durations)
    waiting = [[query for query in row if any(spans[video][query])] for video, row in
               enumerate(scores.argsort(dim=1, descending=True, stable=True).tolist())]
    found: list[list[Candidate]] = [[] for _ in waiting]
    likely = scores.tolist()
    inputs = model.caption_inputs(output, last, *_grid(scores))
    while True:
        pairs = []
        for video, queries in enumerate(waiting):
            if queries and not _is_final(found[video], numbers[video], likely[video][queries[0]], settings):
                pairs += [(video, query) for query in queries[:CAPTIONED_AT_ONCE]]
                del queries[:CAPTIONED_AT_ONCE]
        if not pairs:
            return found
        rows, columns = torch.tensor(pairs, device=scores.device).unbind(1)
        ids, logs = model.captions.greedy(inputs.take(rows * scores.shape[1] + columns), settings.max_words)
        for (row, column), sentence, words in zip(pairs, ids.tolist(), logs.sum(1).tolist(), strict=True):
            found[row].append(Candidate(column, Span(*spans[row][column]), likely[row][column], sentence, words))


def _grid(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Video and query of each of the scores [B, Q]: int64 [B * Q] each."""
    places = torch.arange(scores.numel(), device=scores.device)
    return torch.div(places, scores.shape[1], rounding_mode="floor"), places % scores.shape[1]


def _seconds(boxes: Tensor, durations: Sequence[float]) -> list[list[list[float]]]:
    """Centres and lengths [B, Q, 2] as starts and ends in seconds, cut to the video."""
    centre, length = boxes.cpu().double().unbind(-1)  # not every GPU has float64
    ends = torch.stack([centre - length / 2, centre + length / 2], -1).clamp(0, 1)
    return (ends * torch.tensor(durations, dtype=torch.float64)[:, None, None]).tolist()


def _is_final(found: Sequence[Candidate], number: int, next_event: float, settings: DecodeSettings) -> bool:
    """Whether no candidate to come, of which the likeliest is an event with ``next_event``, can be chosen."""
    kept = _best(found, number, settings)
    return len(kept) == max(1, number) and kept[-1].joint(settings) >= next_event


def _best(found: Sequence[Candidate], number: int, settings: DecodeSettings) -> list[Candidate]:
    """The ``number`` best candidates that ``overlap`` allows, at least one where there are any, the best first."""
    kept = [one for one in found if settings.empty == "keep" or one.ids[0]]
    ranked = sorted(kept, key=lambda one: -one.joint(settings))
    chosen = suppress_overlaps([one.span for one in ranked], settings.overlap, max(1, number))
    return [ranked[place] for place in chosen]


def choose(found: Sequence[Candidate], number: int, settings: DecodeSettings) -> list[Candidate]:
    """The ``number`` best candidates, at least one where there are any, in order of time."""
    return sorted(_best(found, number, settings), key=lambda one: (one.span.start, one.span.end))


@torch.no_grad()
def describe(model: Parallel, batch: Batch, vocabulary: Vocabulary, settings: DecodeSettings) -> list[list[Event]]:
    """The events of B videos in order of time, as many as the counter predicts; ``score``: the probability."""
    output = model(batch)
    numbers = output.layers[-1].counts.argmax(1).tolist()
    return [[Event(one.span, vocabulary.decode(one.ids), one.event) for one in choose(found, number, settings)]
            for found, number in zip(candidates(model, batch, output, numbers, settings), numbers, strict=True)]
