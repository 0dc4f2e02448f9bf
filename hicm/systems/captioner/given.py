"""Captions for given events: decoding in which the times are forced and the captions between them are free."""

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from hicm.data.time_tokens import to_bin
from hicm.errors import UserError
from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.decode import generate_from
from hicm.systems.captioner.grammar import EventGrammar
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD, Vocabulary
from hicm.types import Event, Span

SHORTEST = 4  # tokens of an event: two times, white space, a word
SLACK = 1e-9  # share of the duration: the instant of a bin stays in its bin, however its seconds are rounded


class GivenEvents(EventGrammar):
    """Allows ``<start> <end> text`` for each of the given events, in their order, and then EOS.

    ``times``: the token ids of starts and ends by video, ``[start, end, start, end, ..]``.  A caption ends where the
    model would begin another event, whichever, or end the sequence: the score of the end is the highest of all starts
    and EOS, as unconstrained search would take it, or with ``sampled`` that of their summed probability.  Forced times
    cost nothing, so beams differ by their captions only.
    """

    def __init__(self, vocabulary: Vocabulary, times: Sequence[Sequence[int]], sampled: bool = False) -> None:
        super().__init__(vocabulary)
        self.times, self.sampled = times, sampled

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids [N, t] (first column: the decoder start), scores [N, C] -> scores with -inf where forbidden.

        N is a multiple of the number of videos: each has as many rows as there are beams.
        """
        beams = len(input_ids) // len(self.times)
        ends = torch.cat([scores[:, EOS:EOS + 1], scores[:, self.v:self.v + self.bins - 1]], 1)
        ends = ends.logsumexp(1) if self.sampled else ends.amax(1)
        text, words = (mask.to(scores.device) for mask in (self.text, self.words))
        found = torch.full_like(scores, float("-inf"))
        for row, sequence in enumerate(input_ids[:, 1:].tolist()):
            times = self.times[row // beams]
            seen = sum(i >= self.v for i in sequence)
            blanks = self._trailing(sequence, lambda i: i in self.blank)
            after_time = len(sequence) == blanks or sequence[-1 - blanks] >= self.v
            if EOS in sequence:
                found[row, [PAD, EOS]] = 0.0  # finished rows are padded
            elif seen % 2 or not seen:
                found[row, times[seen]] = 0.0
            elif after_time:
                allowed = words if blanks else text
                found[row, allowed] = scores[row, allowed]
            else:
                found[row, text] = scores[row, text]
                found[row, times[seen] if seen < len(times) else EOS] = ends[row]
        return found


@torch.inference_mode()
def caption_events(model: Captioner, batch: Batch, given: Sequence[Sequence[Span]], vocabulary: Vocabulary,
                settings: DecodeSettings) -> list[list[Event]]:
    """A caption for every given event of every video of a batch: the same spans (seconds), in the same order.

    The decoder sees the events in order of time, as in training, each time in its bin and those outside of the video in
    the first or last.  ``settings.max_tokens`` limits one pass: events whose captions it cuts off begin another pass,
    which does not see the captions before; a single caption of that many tokens is cut.  Raises UserError when a pass
    could hold no event, and as `generate` does.
    """
    if settings.max_tokens < SHORTEST:
        raise UserError(f"captioner.decode.max_tokens={settings.max_tokens}: is too short for one of the given events; "
                        f"set it to {SHORTEST} or more")
    states, mask = model.encode(batch)
    orders = [_by_time(spans) for spans in given]
    times = [[_time_id(second, duration, vocabulary) for at in order for second in (spans[at].start, spans[at].end)]
             for spans, order, duration in zip(given, orders, batch.durations, strict=True)]
    captions: list[list[str]] = [[] for _ in given]
    while left := [row for row, own in enumerate(times) if 2 * len(captions[row]) < len(own)]:
        grammar = GivenEvents(vocabulary, [times[row][2 * len(captions[row]):] for row in left], settings.sample)
        for row, ids in zip(left, generate_from(model, states[left], mask[left], settings, grammar), strict=True):
            captions[row] += _captions(ids[1:], vocabulary)
    return [_in_order(spans, order, texts) for spans, order, texts in zip(given, orders, captions, strict=True)]


def _by_time(spans: Sequence[Span]) -> list[int]:
    return sorted(range(len(spans)), key=lambda at: (spans[at].start, spans[at].end))


def _time_id(second: float, duration: float, vocabulary: Vocabulary) -> int:
    return vocabulary.time_id(to_bin(second + SLACK * duration, duration, vocabulary.bins))


def _captions(ids: Sequence[int], vocabulary: Vocabulary) -> list[str]:
    """The captions of one pass that were ended, or the first one, if not even that was."""
    runs = [(is_text, list(group)) for is_text, group in groupby(
        ids, key=lambda i: i < vocabulary.text_size and i not in (EOS, PAD))]
    ended = [vocabulary.decode(group) for is_text, group in runs[:-1] if is_text]
    return ended or [vocabulary.decode(runs[-1][1])]


def _in_order(spans: Sequence[Span], order: Sequence[int], captions: Sequence[str]) -> list[Event]:
    of = dict(zip(order, captions, strict=True))
    return [Event(span, of[at]) for at, span in enumerate(spans)]
