"""Captions for given events, by the queries that find events near them.

PDVC captions given events by queries that are made from their times, which only a model trained for that can do.  Here
the model is one that predicts events: each given event is captioned with the features of the query whose segment
overlaps it most, and the captioner samples around the given segment instead of the query's own.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from hicm.nn.segments import logit, pairwise_giou
from hicm.systems.parallel.batch import Batch
from hicm.systems.parallel.model import Layer, Parallel
from hicm.systems.parallel.settings import DecodeSettings
from hicm.systems.parallel.vocabulary import Vocabulary
from hicm.types import Event, Span


@torch.no_grad()
def caption_spans(model: Parallel, batch: Batch, given: Sequence[Sequence[Span]], vocabulary: Vocabulary,
                  settings: DecodeSettings) -> list[list[Event]]:
    """A caption for every given span of B videos, in their order; scores are the queries' of finding an event.

    A caption depends neither on the other events nor on the other videos, and has at least one word.
    """
    output = model(batch)
    last = output.layers[-1]
    counts = torch.tensor([len(spans) for spans in given], device=last.boxes.device)
    if not counts.sum():
        return [[] for _ in given]
    video = torch.arange(len(given), device=counts.device).repeat_interleave(counts)
    targets = torch.cat([boxes_of_spans(spans, duration) for spans, duration in
                         zip(given, batch.durations, strict=True)]).to(counts.device)
    query = torch.cat([pairwise_giou(own, wanted).argmax(0) for own, wanted in
                       zip(last.boxes.float(), targets.split(counts.tolist()), strict=True) if len(wanted)])
    inputs = model.captions.prepare(output.video, output.levels, video, last.hidden[video, query],
                                    reference(last, video, query, targets))
    ids, _ = model.captions.greedy(inputs, settings.max_words, allow_empty=False)
    scores = last.events[video, query].float().sigmoid().tolist()
    captions = iter(zip(ids.tolist(), scores, strict=True))
    return [[Event(span, vocabulary.decode(words), score) for span, (words, score) in zip(spans, captions)]  # noqa: B905
            for spans in given]


def reference(layer: Layer, video: Tensor, query: Tensor, targets: Tensor) -> Tensor:
    """The captioner's reference [N, 1 or 2]: the one that the query's offset would move to ``targets`` [N, 2].

    In training, the captioner samples around the reference that enters the layer; the layer then moves it, by an offset
    of its logits, to the predicted segment.  With that segment as the target, the result is the layer's own reference.
    """
    own = layer.reference[video, query]
    width = own.shape[1]
    offset = logit(layer.boxes[video, query][:, :width]) - logit(own)
    return (logit(targets[:, :width]) - offset).sigmoid().to(own.dtype)


def boxes_of_spans(spans: Sequence[Span], duration: float) -> Tensor:
    """Centre and length of spans, cut to a video of ``duration`` seconds, as shares of it: float32 [E, 2]."""
    ends = torch.tensor([sorted((span.start, span.end)) for span in spans], dtype=torch.float64).view(-1, 2)
    start, end = (ends / duration).clamp(0, 1).unbind(1)
    return torch.stack([(start + end) / 2, end - start], 1).float()
