"""The network: finds the windows of a video that a sentence describes.

MESM, Liu et al., AAAI 2024, arXiv 2312.12155; without its two additions it is QD-DETR, Moon et al., CVPR 2023.

Shapes: B queries about V videos, T frames of width D, L words of width E, Q windows, C classes of words, d width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hicm.nn.bfloat16 import in_float32
from hicm.nn.feed_forward import Perceptron
from hicm.nn.segments import logit
from hicm.nn.sinusoid import sinusoid
from hicm.systems.moments.batch import Batch, Draws
from hicm.systems.moments.cross import CrossStack
from hicm.systems.moments.decoder import NEAR, Decoder
from hicm.systems.moments.encoder import GlobalEncoder
from hicm.systems.moments.masked_words import WordHead, pack
from hicm.systems.moments.projection import make_projection
from hicm.systems.moments.sentence import SentenceToken
from hicm.systems.moments.settings import Settings, reads_token, recalls


@dataclass(frozen=True)
class Layer:
    """The predictions of one decoder layer."""

    labels: Tensor  # [B, Q, 2] logits: found, background
    boxes: Tensor  # [B, Q, 2]: centre and length as shares of the video
    hidden: Tensor  # [B, Q, d]
    reference: Tensor  # [B, Q, 2]: which ``boxes`` refine


@dataclass(frozen=True)
class Encoded:
    """Videos as their queries see them.  Padding holds anything."""

    aware: Tensor  # [B, T, d]: frames that attended to words
    aligned: Tensor  # [B, T, d]: and again, to what stands beside them as well
    memory: Tensor  # [B, T, d]
    pooled: Tensor  # [B, d]
    saliency: Tensor  # [B, T]: how well each frame fits the query


@dataclass(frozen=True)
class Output:
    """What the network computes; ``negative`` and ``word_logits`` in training only, where their losses have a weight.
    """

    frames: Tensor  # [V, T, d], projected
    words: Tensor  # [B, L, d], projected
    sentence: Tensor | None  # [B, d], the segment-sentence token; None: there is none
    encoded: Encoded
    layers: list[Layer]
    negative: Encoded | None = None  # under the words of queries about other videos
    word_logits: Tensor | None = None  # [B, L, C] of the words that were masked, and the others


class Moments(nn.Module):
    """Finds windows for sentences."""

    def __init__(self, settings: Settings, feature_width: int, word_width: int, classes: int) -> None:
        """``feature_width``: D; ``word_width``: E; ``classes``: C."""
        super().__init__()
        self.settings, self.feature_width, self.word_width, self.classes = settings, feature_width, word_width, classes
        d, shape = settings.width, (settings.width, settings.hidden, settings.heads, settings.dropout)
        self.video = make_projection(feature_width, d, settings.input_dropout)
        self.text = make_projection(word_width, d, settings.input_dropout)
        self.frame_word = CrossStack(settings.word_layers, *shape, directions=1 if settings.shared_feed else 2,
                                     mixed=settings.mixed_padding)
        self.masked, self.unknown = nn.Parameter(torch.zeros(word_width)), nn.Parameter(torch.zeros(word_width))
        self.word_head = WordHead(d, classes)
        self.sentence = SentenceToken(settings.sentence_layers, *shape, settings.mixed_padding, settings.grouping
                                      == "youtube") if reads_token(settings) else None
        self.recalled = nn.Parameter(torch.zeros(d)) if recalls(settings) else None  # marks texts, which words are not
        self.aligner = CrossStack(settings.aligner_layers, *shape, mixed=settings.mixed_padding)
        self.encoder = GlobalEncoder(settings.encoder_layers, *shape)
        self.decoder = Decoder(settings.decoder_layers, settings.queries, *shape)
        self.salient, self.salient_pooled = nn.Linear(d, d), nn.Linear(d, d)
        self.label, self.box = nn.Linear(d, 2), Perceptron(d, d, d, 2)
        self._initialise()
        self._freeze_idle()

    def _initialise(self) -> None:
        """As in the published code."""
        for part in (self.frame_word, self.aligner, self.encoder.layers, self.decoder):
            for weight in part.parameters():
                if weight.dim() > 1 and weight is not self.decoder.anchors:
                    nn.init.xavier_uniform_(weight)
        nn.init.zeros_(self.decoder.boxes.layers[-1].bias)  # type: ignore[arg-type]

    def _freeze_idle(self) -> None:
        """Weights that nothing trains need no gradient: several processes wait for that of every weight that does."""
        wanted, encoder, decoder = self.settings.objective, self.encoder, self.decoder
        idle: list[nn.Parameter] = []
        if not wanted.words:
            idle += [self.masked, self.unknown, *self.word_head.parameters()]
        if not wanted.saliency:
            idle += [encoder.token, encoder.position, *self.salient.parameters(), *self.salient_pooled.parameters()]
        if len(decoder.layers) == 1:
            idle += [*decoder.scale.parameters(), *decoder.boxes.parameters()]
        for weight in idle:
            weight.requires_grad_(False)

    def forward(self, batch: Batch, draws: Draws | None = None) -> Output:
        """``draws``: what training needs beside; None: prediction."""
        frames, words = self.video(batch.rows), self.text(batch.words)
        sentence = None
        if self.sentence is not None:
            again = self.video(batch.rows) if self.training else frames  # with dropout of its own
            sentence = self.sentence(again, batch)
        position = self.positions(batch)
        seen, mask, word_mask = frames[batch.video], batch.row_mask, batch.word_mask
        texts, text_mask = self.texts(words, sentence, batch)
        encoded = self.encode(seen, position, mask, words, word_mask, texts, text_mask)
        decoded = self.decoder(encoded.memory, position, mask)
        layers = [Layer(self.label(one.hidden), (in_float32(self.box, one.hidden)
                                                 + logit(one.reference, NEAR)).sigmoid(), one.hidden, one.reference)
                  for one in decoded]
        if draws is None:
            return Output(frames, words, sentence, encoded, layers)
        other, wanted = draws.negative, self.settings.objective
        negative = (self.encode(seen, position, mask, words[other], word_mask[other], texts[other], text_mask[other])
                    if wanted.saliency else None)
        logits = self.predict_words(batch, draws.masked, words, seen, position) if wanted.words else None
        return Output(frames, words, sentence, encoded, layers, negative, logits)

    def positions(self, batch: Batch) -> Tensor:
        """Position codes of the frames, float32 [B, T, d]."""
        steps = torch.arange(1, batch.rows.shape[1] + 1, device=batch.rows.device)
        return sinusoid(steps / (batch.lengths[:, None] + 1e-6), self.settings.width)[batch.video]

    def texts(self, words: Tensor, sentence: Tensor | None, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the aligner reads, [B, S, d], and its mask [B, S]: token, recalled texts, words [B, L, d]."""
        parts, masks = [words], [batch.word_mask]
        if self.recalled is not None:
            parts.insert(0, self.text(batch.recalled) + self.recalled)
            masks.insert(0, batch.recalled_mask)
        if sentence is not None:
            parts.insert(0, sentence[:, None])
            masks.insert(0, torch.ones_like(masks[0][:, :1]))
        return torch.cat(parts, 1), torch.cat(masks, 1)

    def encode(self, frames: Tensor, position: Tensor, mask: Tensor, words: Tensor, word_mask: Tensor,
               texts: Tensor, text_mask: Tensor) -> Encoded:
        """Frames and position [B, T, d] and mask [B, T] under words [B, L, d], word_mask [B, L], and what the aligner
        reads: texts [B, S, d], text_mask [B, S].
        """
        aware = self.frame_word(frames, words, mask, word_mask, position)
        aligned = self.aligner(aware, texts, mask, text_mask, position)
        memory, pooled = self.encoder(aligned, position, mask)
        content, whole = self.salient(memory).float(), self.salient_pooled(pooled).float()
        saliency = (content * whole[:, None]).sum(2) / self.settings.width ** 0.5
        return Encoded(aware, aligned, memory, pooled, saliency)

    def predict_words(self, batch: Batch, masked: Tensor, words: Tensor, frames: Tensor, position: Tensor) -> Tensor:
        """Logits [B, L, C] of all words, some of them ``masked`` bool [B, L], from the frames that are relevant."""
        words = torch.where(batch.unknown[..., None], self.text(self.unknown), words)
        words = torch.where(masked[..., None], self.text(self.masked), words)
        keys, places, key_mask = pack(frames, position, batch.relevant)
        return self.word_head(self.frame_word(words, keys, batch.word_mask, key_mask, key_position=places,
                                              direction=1))
