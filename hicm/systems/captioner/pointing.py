"""Output that points: times at frames, words at text that was read (pointer-generator, See et al., ACL 2017).

A T5 from random weights has to learn what every time token and every word means before it can say one.  Here the score
of a time token also depends on the frame at that time, and a word can be taken from the recalled sentences and the
speech, as far as they belong to the event that is being worded:

    p(word) = (1 - g A) p_vocabulary(word) + g sum_j a_j [text_j = word]

with the gate g, the attention a over the text, and A the attention on words: what goes to time tokens and ends of
sentences returns to the vocabulary, which then decides how a caption ends.

Shape legend: B videos, L target tokens, T frames, W text tokens, d T5 width, k width of a query, C = V + bins classes.
"""

import torch
from torch import Tensor, nn

from hicm.systems.captioner.context import SCALES, Context
from hicm.systems.captioner.event_spans import overlaps, shared
from hicm.systems.captioner.vocabulary import EOS, PAD

WIDTH = 64  # k
FOLLOWS = 2.0  # initial bonus of what follows, in the text, the word that was just written; again if two words agree
GAIN = 10.0  # factor of scalars, which Adam's steps, as large as for a weight of a matrix, would move too slowly
LOW = torch.finfo(torch.float32).min


class TimePointer(nn.Module):
    """Adds two scores to the logit of each time token.

    The first is the product of a query and the key of the frame at that time, which also encodes how much changes at
    that frame.  The second is a bias by the distance from the previous time: a start is compared with the end of the
    previous event, an end with its own start.  An event that lasts for the whole video counts as none.
    """

    def __init__(self, width: int, text_size: int, bins: int) -> None:
        super().__init__()
        self.text_size, self.bins = text_size, bins
        self.query, self.key = nn.Linear(width, WIDTH), nn.Linear(width, WIDTH, bias=False)
        self.change = nn.Linear(2 * len(SCALES), WIDTH, bias=False)
        self.distance = nn.Parameter(torch.zeros(3, 2 * bins - 1))  # to an end, to a start, to the beginning

    def keys(self, states: Tensor, context: Context) -> Tensor:
        """The key of each time, [B, bins, k]: that of the frame whose middle is nearest to it."""
        spans = context.spans[:, :context.frames]
        real = context.mask[:, :context.frames] & (spans[:, :, 1] > spans[:, :, 0])  # padding lasts no time
        times = (torch.arange(self.bins, device=states.device) + 0.5) / (self.bins - 1)  # to_bin truncates
        far = (spans.mean(2)[:, None] - times[:, None]).abs().masked_fill(~real[:, None], torch.inf)
        keys = self.key(states[:, :context.frames]) + GAIN * self.change(context.novelty.to(states.dtype))
        return keys.gather(1, far.argmin(2)[:, :, None].expand(-1, -1, keys.shape[2]))

    def forward(self, logits: Tensor, hidden: Tensor, keys: Tensor, said: Tensor, events: Tensor) -> Tensor:
        """logits [B, L, C], hidden [B, L, d] and the keys [B, bins, k] -> logits [B, L, C].

        said [B, L, 2] and events [B, L, 2]: see `Copying.forward`.
        """
        scores = self.query(hidden) @ keys.transpose(1, 2) * WIDTH ** -0.5
        scores = scores + GAIN * self._bias(said, events)
        return torch.cat([logits[:, :, :self.text_size], logits[:, :, self.text_size:] + scores.to(logits.dtype)], 2)

    def _bias(self, said: Tensor, events: Tensor) -> Tensor:
        """By the distance of each time from the one before: [B, L, bins]."""
        start, has_end = said[..., 0] - self.text_size, (events[..., 1] - events[..., 0]) < 1
        seeks_end = (start >= 0) & (said[..., 1] < self.text_size)
        end = (events[..., 1] * (self.bins - 1)).round().long()
        kind = torch.where(seeks_end, 1, torch.where(has_end, 0, 2))
        before = torch.where(seeks_end, start, torch.where(has_end, end, 0))
        times = torch.arange(self.bins, device=said.device)
        return self.distance[kind[..., None], times - before[..., None] + self.bins - 1]


class Copying(nn.Module):
    """Mixes the probabilities of the vocabulary with those of the words that were read."""

    def __init__(self, width: int, text_size: int, bins: int) -> None:
        super().__init__()
        self.text_size, self.bins = text_size, bins
        self.query, self.key = nn.Linear(width, WIDTH), nn.Linear(width, WIDTH, bias=False)
        self.gate = nn.Linear(2 * width, 1)
        self.follows = nn.Parameter(torch.full((2,), FOLLOWS / GAIN))  # one word agrees; the one before it, too
        self.near, self.inside = nn.Parameter(torch.tensor(1 / GAIN)), nn.Parameter(torch.tensor(1 / GAIN))

    def forward(self, logits: Tensor, hidden: Tensor, said: Tensor, events: Tensor, states: Tensor,
                context: Context) -> Tensor:
        """Log-probabilities float32 [B, L, C].

        logits [B, L, C]; hidden [B, L, d]: the states of the decoder; said [B, L, 2]: the last id before each target
        and the one before that; events [B, L, 2]: the event that is open; states [B, S, d] of the encoder.
        """
        own = logits.float().log_softmax(2)
        text = context.text
        if not text.shape[1]:
            return own
        copied = self.copied(hidden, said, events, states, context)
        kept = (1 - copied.sum(2, keepdim=True)).clamp(min=1e-6)
        found = torch.zeros_like(own).scatter_add(2, text[:, None].expand_as(copied), copied)
        return torch.logaddexp(own + kept.log(), found.clamp(min=1e-30).log())

    def copied(self, hidden: Tensor, said: Tensor, events: Tensor, states: Tensor, context: Context) -> Tensor:
        """The probability with which each id of the text is copied, g a_j: float32 [B, L, W]; 0 for what is no word.

        Arguments as for `forward`; there has to be some text.
        """
        text = context.text
        states, spans, real = (part[:, -text.shape[1]:] for part in (states, context.spans, context.mask))
        real = real[:, None] & overlaps(events, spans, self.bins)
        scores = (self.query(hidden) @ self.key(states).transpose(1, 2)).float() * WIDTH ** -0.5
        scores = scores + GAIN * (self.near * context.cosines[:, None] + self.inside * shared(events, spans))
        scores = scores + GAIN * _agreement(self._alike(said), _before(self._alike(text))) @ self.follows.float()
        attention = scores.masked_fill(~real, LOW).softmax(2) * real
        read = attention.to(states.dtype) @ states
        gate = self.gate(torch.cat([hidden, read], 2)).float().sigmoid()
        words = (text < self.text_size) & (text != EOS) & (text != PAD)
        return gate * attention * words[:, None]

    def _alike(self, ids: Tensor) -> Tensor:
        """Ids among which all time tokens are one."""
        return ids.clamp(max=self.text_size)


def _before(text: Tensor) -> Tensor:
    """The id before each of text [B, W], and the one before that: [B, W, 2]; PAD where there is none."""
    one = torch.cat([torch.full_like(text[:, :1], PAD), text[:, :-1]], 1)
    two = torch.cat([torch.full_like(text[:, :1], PAD), one[:, :-1]], 1)
    return torch.stack([one, two], 2)


def _agreement(said: Tensor, before: Tensor) -> Tensor:
    """Whether said [B, L, 2] and before [B, W, 2] agree in the last word, and in the last two: float [B, L, W, 2]."""
    same = said[:, :, None] == before[:, None]
    return torch.stack([same[..., 0], same.all(3)], 3).float()


class Pointing(nn.Module):
    """The output of a captioner that points; either part may be missing."""

    def __init__(self, width: int, text_size: int, bins: int, times: bool, words: bool) -> None:
        super().__init__()
        self.times = TimePointer(width, text_size, bins) if times else None
        self.words = Copying(width, text_size, bins) if words else None

    def keys(self, states: Tensor, context: Context) -> Tensor | None:
        """What `TimePointer.keys` finds: the same at every step of a generation."""
        return None if self.times is None else self.times.keys(states, context)

    def forward(self, logits: Tensor, hidden: Tensor, said: Tensor, events: Tensor, states: Tensor, context: Context,
                keys: Tensor | None) -> Tensor:
        """Log-probabilities float32 [B, L, C]; see `Copying.forward`.  ``keys``: see `keys`."""
        if self.times is not None and keys is not None:
            logits = self.times(logits, hidden, keys, said, events)
        if self.words is None:
            return logits.float().log_softmax(2)
        return self.words(logits, hidden, said, events, states, context)


def last_two(ids: Tensor) -> Tensor:
    """Each of the ids [B, L] and the one before it: [B, L, 2]; PAD before the first."""
    return torch.stack([ids, torch.cat([torch.full_like(ids[:, :1], PAD), ids[:, :-1]], 1)], 2)
