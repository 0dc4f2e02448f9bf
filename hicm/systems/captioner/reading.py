"""What a captioner reads while it writes: where its cross-attention goes, and which words it copies from where.

The captions are its own.  It writes them as in prediction, and is then given them again, each token with those before
it (teacher forcing), which shows the states in which it chose them.

Shape legend: B videos, L tokens, S encoder states, W text tokens, H heads, G = len(GROUPS).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from transformers.models.t5.modeling_t5 import T5Attention

from hicm.data.samples import Samples
from hicm.systems.captioner.batch import Batch, collate
from hicm.systems.captioner.batches import in_batches, in_precision
from hicm.systems.captioner.context import Context
from hicm.systems.captioner.dataset import Read, VideoDataset
from hicm.systems.captioner.decode import generate
from hicm.systems.captioner.event_spans import overlaps
from hicm.systems.captioner.model import Captioner, shifted
from hicm.systems.captioner.pointing import last_two
from hicm.systems.captioner.system import System
from hicm.systems.captioner.vocabulary import EOS, PAD, Vocabulary

GROUPS = ("frames", "recalled vectors", "recalled text", "speech", "ends of text")
FRAMES, VECTORS, TEXT, SPEECH, ENDS = range(len(GROUPS))
POSITIONS = ("words", "times")  # what is written where attention is measured
LOW = torch.finfo(torch.float32).min


@dataclass(frozen=True)
class Source:
    """A recalled sentence that lies in an event, as the memory has it.

    ``rank``: its place by cosine among those that do, from 1; ``copied``: how many pieces of the caption were copied
    from it, in expectation.
    """

    text: str
    rank: int
    copied: float


@dataclass(frozen=True)
class Wording:
    """A caption that was written, and for each of its word pieces the probability that it was copied.

    ``gate``: before it is known which piece it is; ``copied``: given that.  ``sources``: the recalled sentences in its
    event, best first; empty without recalled text.
    """

    start: float  # seconds
    end: float
    text: str
    gate: tuple[float, ...]
    copied: tuple[float, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read for one video.  Attention is the mean over heads, summed over the tokens that are written.

    What was recalled for a time is in the event that is being worded, or elsewhere: ``located`` has the attention on
    both, then on those in the event; ``located_states`` counts them likewise.  Words outside of events do not count
    there.
    """

    video: str
    tokens: np.ndarray  # int64 [2]: how many are written, by POSITIONS
    states: np.ndarray  # int64 [G]
    attention: np.ndarray  # float64 [layers, 2, G]
    located: np.ndarray  # float64 [layers, 2]
    located_states: np.ndarray  # float64 [2]: summed over words, as ``located``
    wordings: tuple[Wording, ...] | None  # None: the model copies no words


def readings(system: System, samples: Samples) -> Iterator[Reading]:
    """What a captioner reads for each of the samples, in any order; on a GPU where there is one.

    Raises UserError as `System.predict` does.
    """
    settings = system.config.room.decode
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dataset = VideoDataset(system.config, samples, system.vocabulary, teaching=False)
    rows = [row for batch in system.prediction_batches(samples) for row in batch]
    model = in_precision(system.model.to(device).eval(), settings.precision, device)

    def read(chosen: Sequence[int]) -> list[Reading]:
        batch = collate([dataset[0, row] for row in chosen]).to(device, model.t5.dtype)
        written = torch.tensor(generate(model, batch, system.vocabulary, settings), device=device)[:, 1:]
        return reread(model, batch, written, system.vocabulary, [dataset.recalled(row) for row in chosen])

    for _, found in in_batches(rows, settings.batch, read):
        yield from found


@torch.inference_mode()
def reread(model: Captioner, batch: Batch, written: Tensor, vocabulary: Vocabulary,
           recalled: Sequence[Sequence[Read]]) -> list[Reading]:
    """What the model reads when it writes the ids ``written`` [B, L], padded with 0 after their EOS.

    ``recalled``: the sentences that stand at the beginning of the text of each video; none for other models.
    """
    encoded = model.encode(batch)
    before = shifted(written)
    events, context = model.events(before), model.context(batch, encoded[1])
    seen = None if context is None else model.seen(events, context)
    hidden, queries = _decode(model, encoded, before, seen)
    groups = groups_of(model, batch, encoded[1])
    words, times = _is_word(written, model.text_size), written >= model.text_size
    located = _located(model, batch, groups, events, words)
    wheres = torch.stack([words, times], 1).float()
    of_group = torch.nn.functional.one_hot(groups + 1, len(GROUPS) + 1)[:, :, 1:]
    attention, on_places = [], []
    for attention_layer, query in zip(cross_attentions(model), queries, strict=True):
        weights = attention_weights(attention_layer, query, encoded, seen).mean(1)  # [B, L, S]
        attention.append(wheres @ weights @ of_group.float())
        on_places.append(torch.stack([(weights * part).sum((1, 2)) for part in located], 1))
    copied = _copied(model, encoded, hidden, before, events, context, written)
    tokens, states = (part.cpu().numpy() for part in (wheres.sum(2).long(), of_group.sum(1)))
    shares, on_located, in_located = (part.double().cpu().numpy() for part in (
        torch.stack(attention, 1), torch.stack(on_places, 1), torch.stack([part.sum((1, 2)) for part in located], 1)))
    return [Reading(video, tokens[row], states[row], shares[row], on_located[row], in_located[row],
                    None if copied is None else tuple(_wordings(
                        model, batch, row, written[row], events[row], [part[row] for part in copied], vocabulary,
                        recalled[row])))
            for row, video in enumerate(batch.ids)]


def cross_attentions(model: Captioner) -> list[T5Attention]:
    """The cross-attention of each decoder layer."""
    return [block.layer[1].EncDecAttention for block in model.t5.decoder.block]


def attention_weights(layer: T5Attention, query: Tensor, encoded: tuple[Tensor, Tensor], seen: Tensor | None) -> Tensor:
    """The weights of cross-attention, float32 [B, H, L, S], for what a layer is given, [B, L, d].

    The fast kernels do not return them; T5 neither scales the products nor biases them by place here.  ``seen``: as for
    `Captioner.decode`.
    """
    states, mask = encoded

    def split(x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], layer.n_heads, layer.key_value_proj_dim).transpose(1, 2)

    scores = (split(layer.q(query)) @ split(layer.k(states)).transpose(2, 3)).float()
    return scores.masked_fill(~(mask[:, None, None] if seen is None else seen), LOW).softmax(3)


def groups_of(model: Captioner, batch: Batch, mask: Tensor) -> Tensor:
    """The place in GROUPS of each encoder state, int64 [B, S]; -1 where ``mask`` [B, S] says that it is none.

    Recalled text stands before the first end, speech after it.
    """
    text = _text(model, batch)
    frames = batch.frames.shape[1] if model.config.use_video else 0
    of_text = torch.where(text == EOS, ENDS, SPEECH)
    if model.config.memory_as == "text":
        of_text[(text == EOS).cumsum(1) == 0] = TEXT
    found = torch.full(mask.shape, VECTORS, device=mask.device)
    found[:, :frames] = FRAMES
    found[:, mask.shape[1] - text.shape[1]:] = of_text
    return found.masked_fill(~mask, -1)


def _text(model: Captioner, batch: Batch) -> Tensor:
    return batch.speech if model.config.reads_text else batch.speech[:, :0]


def _is_word(ids: Tensor, text_size: int) -> Tensor:
    return (ids < text_size) & (ids != EOS) & (ids != PAD)


def _decode(model: Captioner, encoded: tuple[Tensor, Tensor], before: Tensor,
            seen: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """What the output head reads, [B, L, d], and what the cross-attention of each layer is given, each [B, L, d]."""
    found: list[Tensor] = []
    hooks = [layer.register_forward_pre_hook(lambda _, given: found.append(given[0]))
             for layer in cross_attentions(model)]
    try:
        return model.decode(encoded, model.embed(before)[0], seen), found
    finally:
        for hook in hooks:
            hook.remove()


def _located(model: Captioner, batch: Batch, groups: Tensor, events: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """Where a word [B, L] of an event meets a state of what was recalled for a time, and where that is in the event:
    bool [B, L, S] each.
    """
    if batch.spans is None:
        none = torch.zeros(*words.shape, groups.shape[1], dtype=torch.bool, device=words.device)
        return none, none
    text = _text(model, batch)
    spans = torch.cat([batch.spans[:, :groups.shape[1] - text.shape[1]], model.events(text)], 1)
    recalled = ((groups == VECTORS) | (groups == TEXT)) & _has_time(spans)
    both = (words & _has_time(events))[:, :, None] & recalled[:, None]
    return both, both & overlaps(events, spans, model.config.time_bins)


def _has_time(spans: Tensor) -> Tensor:
    """Whether spans [..., 2] are shorter than the whole video, which stands for no time at all."""
    return spans[..., 1] - spans[..., 0] < 1


def _copied(model: Captioner, encoded: tuple[Tensor, Tensor], hidden: Tensor, before: Tensor, events: Tensor,
            context: Context | None, written: Tensor) -> tuple[Tensor, Tensor] | None:
    """The probability that each of the written ids is copied, before it is known [B, L]; and given it, by the text
    token that it is copied from [B, L, W].  None: the model copies nothing.
    """
    pointing = model.pointing
    if pointing is None or pointing.words is None or context is None or not context.text.shape[1]:
        return None
    said, states = last_two(before), encoded[0]
    copied = pointing.words.copied(hidden, said, events, states, context)
    scores = pointing(model.t5.lm_head(hidden), hidden, said, events, states, context, pointing.keys(states, context))
    chance = scores.gather(2, written[:, :, None]).exp()
    same = context.text[:, None] == written[:, :, None]
    return copied.sum(2), copied * same / chance.clamp(min=1e-30)


def _wordings(model: Captioner, batch: Batch, row: int, written: Tensor, events: Tensor, copied: Sequence[Tensor],
              vocabulary: Vocabulary, recalled: Sequence[Read]) -> Iterator[Wording]:
    """The captions of one video, from ids [L], the events [L, 2] that were open, and what `_copied` found for it."""
    words, times = _is_word(written, model.text_size), written >= model.text_size
    numbers = times.long().cumsum(0)
    spans, places = model.events(batch.speech[row:row + 1]), _places(recalled)
    for number in numbers[words & _has_time(events)].unique().tolist():
        own = words & (numbers == number)
        start, end = events[own][0].tolist()
        gate, by_token = copied[0][own], copied[1][own]
        inside = overlaps(events[own][None, :1], spans, model.config.time_bins)[0, 0]
        there = sorted((at for at, place in enumerate(places) if bool(inside[place].any())),
                       key=lambda at: -recalled[at].cosine)
        sources = tuple(Source(recalled[at].text, rank, float(by_token[:, places[at]].sum()))
                        for rank, at in enumerate(there, start=1))
        duration = batch.durations[row]
        yield Wording(start * duration, end * duration, vocabulary.decode(written[own].tolist()), tuple(gate.tolist()),
                      tuple(by_token.sum(1).tolist()), sources)


def _places(recalled: Sequence[Read]) -> list[slice]:
    """Where the words of each recalled sentence stand in the text: after its two times."""
    ends = np.cumsum([0, *(len(one.ids) for one in recalled)]).tolist()
    return [slice(start + 2, end) for start, end in pairwise(ends)]
