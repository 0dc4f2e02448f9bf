"""The captioner: visual encoder, memory projection, speech encoder, T5 decoder.

HiCM2, Kim et al., AAAI 2025; without the memory, Vid2Seq, Yang et al., CVPR 2023.

Shape legend: B videos, T frames, D feature width, W windows, L tokens, S = T + W + L encoder states, d T5 width,
C = V + B classes.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from transformers import T5Config, T5ForConditionalGeneration

from hicm.errors import UserError
from hicm.nn.dropout import replace_dropout
from hicm.nn.projection import ProjectionLayer
from hicm.nn.standardise import Standardise
from hicm.nn.temporal_encoder import TemporalEncoder
from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.context import Context, novelty
from hicm.systems.captioner.event_spans import open_spans, overlaps
from hicm.systems.captioner.memory_positions import MemoryPositions
from hicm.systems.captioner.pointing import Pointing, last_two
from hicm.systems.captioner.saliency import Saliency
from hicm.systems.captioner.settings import Settings, require_input
from hicm.systems.captioner.t5 import is_untied, load_t5, match_norms, new_t5, read_config, resize, t5_config
from hicm.systems.captioner.t5_parts import use_fast_parts
from hicm.systems.captioner.t5_settings import t5_values
from hicm.systems.captioner.vocabulary import PAD


class MemoryProjection(nn.Module):
    """Recalled vectors [B, W, D] -> tokens [B, W, d]: two layers with a ReLU in between, or one ("simple")."""

    def __init__(self, width: int, out: int, dropout: float, kind: str) -> None:
        super().__init__()
        self.width = width
        widths = [width, width, out] if kind == "deep" else [width, out]
        self.layers = nn.ModuleList(ProjectionLayer(i, o, dropout) for i, o in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)


class Captioner(nn.Module):
    """Generates the captions and times of events from frames, recalled vectors and speech."""

    def __init__(self, config: Settings, t5: T5ForConditionalGeneration, feature_width: int, frames: int,
                 memory_width: int) -> None:
        """``feature_width`` is the D of frames, ``memory_width`` that of recalled vectors; 0: no memory."""
        super().__init__()
        require_input(config)
        if config.event_heads > t5.config.num_heads:
            raise UserError(f"captioner.event_heads: {config.event_heads} of the T5's {t5.config.num_heads} heads; "
                            "give that number or a smaller one")
        self.config = config
        self.t5 = t5
        use_fast_parts(t5)
        d = t5.config.d_model
        self.visual_encoder: TemporalEncoder | None = None
        self.visual_projection: nn.Linear | None = None
        self.memory_projection: MemoryProjection | None = None
        if config.use_video:
            self.visual_encoder = TemporalEncoder(feature_width, frames, config.visual_depth, config.visual_heads,
                                                  config.visual_mlp, config.visual_dropout)
            if feature_width != d:
                self.visual_projection = nn.Linear(feature_width, d)
            if memory_width and config.memory_as == "vectors":
                self.memory_projection = MemoryProjection(memory_width, d, config.memory_dropout,
                                                          config.memory_projection)
        self.saliency = Saliency(feature_width, d) if config.scores_frames else None
        self.standardise = Standardise(feature_width) if config.standardise and config.use_video else None
        self.pointing = Pointing(d, self.text_size, config.time_bins, config.point_times and config.use_video,
                                 config.copy_words and config.reads_text) if config.points else None
        vectors = self.memory_projection is not None
        self.memory_positions = MemoryPositions(d) if vectors and config.memory_positions else None
        self.memory_gate = nn.Parameter(torch.zeros(1)) if vectors and config.memory_gate else None
        if not config.reads_text:  # data parallelism must know which parameters are not trained
            for name, parameter in t5.encoder.named_parameters():
                parameter.requires_grad_(name.startswith("embed_tokens"))
        _set_dropout(t5.encoder, config.encoder_dropout)
        _set_dropout(t5.decoder, config.decoder_dropout)

    @property
    def feature_width(self) -> int:
        """D, the width of the frame features this model reads; 0: it reads none."""
        return 0 if self.visual_encoder is None else self.visual_encoder.pos_embed.shape[2]

    @property
    def frames(self) -> int:
        """The number of frames this model was built for; 0: it reads none."""
        return 0 if self.visual_encoder is None else self.visual_encoder.pos_embed.shape[1]

    @property
    def memory_width(self) -> int:
        """D, the width of the recalled vectors this model reads; 0: it reads none."""
        return 0 if self.memory_projection is None else self.memory_projection.width

    def recompute(self, layers: bool) -> None:
        """Whether training computes layers again in the backward pass, in place of keeping what they computed."""
        if self.visual_encoder is not None:
            self.visual_encoder.checkpointing = layers
        if layers:
            self.t5.gradient_checkpointing_enable({"use_reentrant": False})
        else:
            self.t5.gradient_checkpointing_disable()

    def encode_video(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Visual and memory tokens V = [Hv, Hm], float [B, T + W, d], and their mask, bool [B, T + W].

        Padded frames and empty windows are masked unless ``mask_padding`` is off.
        """
        return self.encode_and_score(batch)[0]

    def encode_and_score(self, batch: Batch) -> tuple[tuple[Tensor, Tensor], Tensor | None]:
        """What `encode_video` returns, and the saliency of frames, float32 [B, T]; None: this model does not score."""
        b = batch.speech.shape[0]
        states, masks, saliency = [], [], None
        if self.visual_encoder is not None:
            mask = batch.frame_mask if self.config.mask_padding else torch.ones_like(batch.frame_mask)
            visual = self.visual_encoder(self._frames(batch), mask if self.config.mask_padding else None)
            states.append(visual if self.visual_projection is None else self.visual_projection(visual))
            masks.append(mask)
            if self.saliency is not None:
                saliency, shown = self.saliency(visual, batch.frame_mask)
                states[0] = states[0] + shown
        if self.memory_projection is not None:
            recalled, mask = self.project_memory(batch.memory, batch.memory_mask, batch.marks)
            states.append(recalled)
            masks.append(mask)
        if not states:
            return (torch.zeros(b, 0, self.t5.config.d_model, dtype=self.t5.dtype, device=batch.speech.device),
                    torch.zeros(b, 0, dtype=torch.bool, device=batch.speech.device)), None
        return (torch.cat(states, 1), torch.cat(masks, 1)), saliency

    def project_memory(self, memory: Tensor, mask: Tensor, marks: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Memory tokens Hm [B, W, d] of recalled vectors [B, W, D], and their mask.

        ``marks`` [B, W, 5]: what each vector stands for (memory_positions.py).  Raises ValueError when the model has no
        memory projection, or asks for marks that are not given.
        """
        if self.memory_projection is None:
            raise ValueError("this captioner has no memory projection")
        tokens = self.memory_projection(memory)
        if self.memory_positions is not None:
            if marks is None:
                raise ValueError("this captioner needs what each recalled vector stands for")
            tokens = tokens + self.memory_positions(marks)
        if self.memory_gate is not None:
            tokens = tokens * self.memory_gate.tanh()
        return tokens, mask if self.config.mask_padding else torch.ones_like(mask)

    def embed(self, *ids: Tensor) -> list[Tensor]:
        """Embeddings [..., d] of several tensors of ids, looked up at once: each look-up has a gradient [C, d]."""
        found = self.t5.shared(torch.cat([part.flatten() for part in ids])).split([part.numel() for part in ids])
        return [rows.view(*part.shape, -1) for rows, part in zip(found, ids, strict=True)]

    def encode_speech(self, speech: Tensor, embedded: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Speech tokens Hs [B, L, d] of ids [B, L], and their mask (id 0 is padding).

        ``embedded``: the embeddings of the ids, where they are known.
        """
        mask = speech != PAD
        embedded = self.t5.shared(speech) if embedded is None else embedded
        return self.t5.encoder(inputs_embeds=embedded, attention_mask=mask.long()).last_hidden_state, mask

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Everything the decoder attends to, in training and generation: states [B, S, d] and mask bool [B, S]."""
        return self.concatenate(self.encode_video(batch), batch.speech)

    def concatenate(self, visual: tuple[Tensor, Tensor], speech: Tensor,
                    embedded: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Append speech tokens to visual and memory tokens; T5's cross-attention ignores their order."""
        if not self.config.reads_text:
            return visual
        states, mask = self.encode_speech(speech, embedded)
        return torch.cat([visual[0], states], 1), torch.cat([visual[1], mask], 1)

    def decode(self, encoded: tuple[Tensor, Tensor], embedded: Tensor, seen: Tensor | None = None) -> Tensor:
        """What the output head reads, [B, L, d], for the embeddings [B, L, d] of the decoder input.

        ``seen``: which states each head may attend to, bool [B, H, L, S]; None: all that are real.
        """
        states, mask = encoded
        out = self.t5.decoder(inputs_embeds=embedded, encoder_hidden_states=states,
                              encoder_attention_mask=mask.long() if seen is None else seen,
                              use_cache=False).last_hidden_state
        return out * self.t5.config.d_model ** -0.5 if self.t5.config.scale_decoder_outputs else out

    def context(self, batch: Batch, mask: Tensor) -> Context | None:
        """What `Context` says of the encoder states with the mask bool [B, S]; None: this model does not ask for it.

        Raises ValueError when the model asks for times that the batch lacks.
        """
        if not self.config.uses_times:
            return None
        if batch.spans is None or batch.cosines is None:
            raise ValueError("this captioner needs the times of frames and recalled vectors")
        text = batch.speech if self.config.reads_text else batch.speech[:, :0]
        times = [batch.spans[:, :mask.shape[1] - text.shape[1]], self.events(text)]
        frames = batch.frames.shape[1] if self.config.use_video else 0
        return Context(torch.cat(times, 1), mask, frames, text, batch.cosines[:, :text.shape[1]],
                       novelty(self._frames(batch), batch.frame_mask))

    def _frames(self, batch: Batch) -> Tensor:
        """Frames [B, T, D] as the visual encoder reads them, 0 where they are hidden."""
        frames = batch.frames if self.standardise is None else self.standardise(batch.frames, batch.frame_mask)
        return frames if batch.hidden is None else frames.masked_fill(batch.hidden[:, :, None], 0.0)

    def events(self, ids: Tensor) -> Tensor:
        """The span of the event that is open after each of the ids [B, L], as shares of the duration: [B, L, 2]."""
        return open_spans(ids, self.text_size, self.config.time_bins)

    def seen(self, events: Tensor, context: Context) -> Tensor | None:
        """Which states each head may attend to for events [B, L, 2]: bool [B, H, L, S]; None: all that are real."""
        heads = self.t5.config.num_heads
        if not self.config.event_heads:
            return None
        real = context.mask[:, None, None].expand(-1, heads, events.shape[1], -1)
        inside = real[:, 0] & overlaps(events, context.spans, self.config.time_bins)
        inside |= real[:, 0] & ~inside.any(2, keepdim=True)  # an event that ends before it begins
        bound = (torch.arange(heads, device=events.device) < self.config.event_heads)[None, :, None, None]
        return torch.where(bound, inside[:, None], real)

    def scores(self, encoded: tuple[Tensor, Tensor], context: Context, target: Tensor, embedded: Tensor) -> Tensor:
        """Teacher-forced scores [B, L, C] for target ids [B, L]: log-probabilities if the model points, else logits.

        ``embedded``: the embeddings of the shifted target.
        """
        before = shifted(target)
        events = self.events(before)
        hidden = self.decode(encoded, embedded, self.seen(events, context))
        logits = self.t5.lm_head(hidden)
        if self.pointing is None:
            return logits
        return self.pointing(logits, hidden, last_two(before), events, encoded[0], context,
                             self.pointing.keys(encoded[0], context))

    @property
    def text_size(self) -> int:
        """V, the number of text pieces."""
        return self.t5.config.vocab_size - self.config.time_bins

    def logits(self, encoded: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        """Teacher-forced logits [B, L, C] for target ids [B, L]; the decoder input is the target shifted right."""
        return self.t5.lm_head(self.decode(encoded, self.t5.shared(shifted(target))))

    def rescale_time_tokens(self, bins: int) -> None:
        """Scale the last ``bins`` embeddings by one factor so that their mean norm is that of the text embeddings.

        An output head of its own is treated likewise.
        """
        match_norms(self.t5.shared.weight, bins)
        if is_untied(self.t5):
            match_norms(self.t5.lm_head.weight, bins)


def shifted(target: Tensor) -> Tensor:
    """The decoder input for target ids [B, L]: each id one position later, after the id that begins a sequence."""
    return torch.cat([torch.full_like(target[:, :1], PAD), target[:, :-1]], 1)


def make_t5(config: Settings, size: int, text_size: int, offline: bool = False) -> T5ForConditionalGeneration:
    """A T5 with ``size`` embedding rows: from a hub name or folder, or from scratch by ``t5_config``.

    Rows beyond the text pieces of the checkpoint are new (`hicm.systems.captioner.t5.resize`).  Raises UserError when
    no weights are found, or they have fewer embeddings than the tokenizer has text pieces (``text_size``).
    """
    if config.t5 == "scratch":
        return new_t5(describe_t5(config, size))
    t5 = load_t5(config.t5, offline)
    known = t5.get_input_embeddings().num_embeddings
    if known < text_size:
        raise UserError(f"captioner.t5: {config.t5} has {known} embeddings, the tokenizer {text_size} text pieces; "
                        "use the tokenizer that belongs to it")
    resize(t5, text_size, size)
    return t5


def describe_t5(config: Settings, size: int, offline: bool = False) -> T5Config:
    """The configuration of the T5 that the settings name, with ``size`` embedding rows; its weights are not loaded.

    Raises UserError when none is found, or ``t5_config`` is not that of a T5.
    """
    if config.t5 == "scratch":
        return t5_config({**t5_values(config.t5_config), "vocab_size": size})
    found = read_config(config.t5, offline)
    found.vocab_size = size
    return found


def _set_dropout(stack: nn.Module, rate: float) -> None:
    replace_dropout(stack, rate)
    for module in stack.modules():
        if isinstance(getattr(module, "dropout", None), float):  # attention keeps its rate as a number
            module.dropout = rate  # type: ignore[assignment]  # torch types all attributes as Tensor | Module
