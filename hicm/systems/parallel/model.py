"""The network: all events of a video at once, each with a segment and a sentence.

CM2, Kim et al., CVPR 2024; without a memory, PDVC, Wang et al., ICCV 2021.

Shapes: B videos, T rows of features of width D, W recalled vectors, Q queries, d width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hicm.nn.projection import ProjectionLayer
from hicm.systems.parallel.attention import DeformableAttention, Levels
from hicm.systems.parallel.batch import Batch
from hicm.systems.parallel.captioner import CaptionHead, Inputs
from hicm.systems.parallel.decoder import Decoder, LayerOutput
from hicm.systems.parallel.encoder import Encoder, Pyramid
from hicm.systems.parallel.heads import BoxHead, Heads
from hicm.systems.parallel.settings import Settings

LENGTH = -2.0  # logit of the length of the first layer's segments before training


@dataclass(frozen=True)
class Layer:
    """The predictions of one decoder layer for B videos."""

    hidden: Tensor  # [B, Q, d]
    reference: Tensor  # [B, Q, 1 or 2]: around which the layer sampled, and its captions do
    events: Tensor  # [B, Q] logits
    counts: Tensor  # [B, most + 1] logits
    boxes: Tensor  # [B, Q, 2] centre and length as shares of the video
    kept: Tensor | None = None  # bool [B, Q]: the queries that query dropout left; None: all


@dataclass(frozen=True)
class Output:
    """The encoded videos and recalled vectors, and the predictions of every decoder layer."""

    video: Tensor  # [B, S, d]
    levels: Levels
    recalled: Tensor | None  # [B, W, d]
    layers: list[Layer]


class Parallel(nn.Module):
    """Finds and describes the events of videos.  ``border``: see `DeformableAttention`."""

    def __init__(self, settings: Settings, feature_width: int, memory_width: int, words: int) -> None:
        """``memory_width``: of recalled vectors, 0 for no memory; ``words``: V, size of the vocabulary."""
        super().__init__()
        self.settings, self.feature_width, self.memory_width = settings, feature_width, memory_width
        self.border = False
        d, shape = settings.width, (settings.width, settings.hidden, settings.heads, settings.levels, settings.points,
                                    settings.dropout)
        self.pyramid = Pyramid(feature_width, d, settings.levels)
        self.encoder = Encoder(settings.encoder_layers, *shape)
        self.decoder = Decoder(settings.decoder_layers, settings.queries, *shape, memory=bool(memory_width),
                               self_attention=settings.self_attention)
        self.heads = nn.ModuleList(Heads(d, settings.max_events) for _ in range(settings.decoder_layers))
        self.captions = CaptionHead(d, settings.levels, settings.points, words, settings.word_dropout)
        self.projection: nn.Sequential | None = None
        if memory_width:
            self.projection = nn.Sequential(ProjectionLayer(memory_width, d, settings.memory_dropout), nn.ReLU(),
                                            ProjectionLayer(d, d, settings.memory_dropout))
        self._initialise()

    def _initialise(self) -> None:
        """As in the published code."""
        for part in (self.encoder, self.decoder):
            for name, weight in part.named_parameters():
                if weight.dim() > 1 and name not in ("levels", "embeddings.weight"):
                    nn.init.xavier_uniform_(weight)
        nn.init.zeros_(self.decoder.centre.bias)
        for module in self.modules():
            if isinstance(module, DeformableAttention | Pyramid | Heads | CaptionHead):
                module.initialise()
        for layer, head in enumerate(self.decoder.boxes):
            if isinstance(head, BoxHead):
                head.initialise(0.0 if layer else LENGTH)

    def forward(self, batch: Batch) -> Output:
        """Everything but the captions."""
        features, levels = self.pyramid(batch.rows, batch.lengths)
        seconds = torch.tensor(batch.durations, device=batch.rows.device)
        video = self.encoder(features, self.pyramid.positions(levels, seconds), levels, self.border)
        recalled = self.recall(batch)
        kept = self.draw_queries(batch.events)
        found = self.decoder(video, levels, recalled, self.border, kept)
        layers = [self._predict(one, head, kept) for one, head in zip(found, self.heads, strict=True)]
        return Output(video, levels, None if recalled is None else recalled[0], layers)

    def recall(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """The recalled vectors, encoded [B, W, d], and which of them are real, bool [B, W]; None without a memory."""
        if self.projection is None:
            return None
        mask = torch.arange(batch.memory.shape[1], device=batch.memory.device) < batch.memory_lengths[:, None]
        return self.encoder.recalled(self.projection(batch.memory), batch.memory_lengths, self.border), mask

    def draw_queries(self, events: Tensor) -> Tensor | None:
        """The queries that query dropout leaves for videos with ``events`` int64 [B]: bool [B, Q]; None: all.

        They are drawn anew for every video: all but the share ``query_dropout``, and at least one for each event.
        """
        queries, share = self.settings.queries, self.settings.query_dropout
        if not (self.training and share):
            return None
        count = events.clamp(max(1, round(queries * (1 - share))), queries)
        ranks = torch.rand(len(events), queries, device=events.device).argsort(1).argsort(1)
        return ranks < count[:, None]

    def _predict(self, found: LayerOutput, head: nn.Module, kept: Tensor | None) -> Layer:
        events, counts = head(found.hidden, kept)
        return Layer(found.hidden, found.reference, events, counts, found.boxes, kept)

    def caption_inputs(self, output: Output, layer: Layer, video: Tensor, query: Tensor) -> Inputs:
        """What the captioner needs for N events, int64 [N] each: video of the batch, and query of the layer."""
        return self.captions.prepare(output.video, output.levels, video, layer.hidden[video, query],
                                   layer.reference[video, query])
