"""Captions for given events: decoding in which the times are forced and the captions between them are free."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import torch
from torch import Tensor

from hicm.data.time_tokens import to_bin
from hicm.errors import UserError
from hicm.systems.captioner.batch import Batch, pad
from hicm.systems.captioner.biases import with_biases
from hicm.systems.captioner.confidence import Confidence, confidences
from hicm.systems.captioner.decode import generate_from, make_generators
from hicm.systems.captioner.grammar import TEXT, WORDS, EventGrammar
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.parts import encode_parts, take
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD, Vocabulary
from hicm.types import Event, Span

SHORTEST = 4  # tokens of an event: two times, white space, a word
Caption = tuple[str, float | None]  # with its confidence
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
        self.times, self.sampled = pad([[*own, EOS] for own in times]), sampled

    def __call__(self, ids: Tensor, scores: Tensor, videos: Tensor | None = None) -> Tensor:
        """ids [N, t] (first column: the decoder start), scores [N, C] -> scores with -inf where forbidden.

        ``videos`` [N]: whose row each is; None: each video has as many rows as the others, one after the other.
        """
        if videos is None:
            videos = torch.arange(len(self.times)).repeat_interleave(len(ids) // len(self.times))
        self._move(ids.device)
        self.times, videos = self.times.to(ids.device), videos.to(ids.device)
        said = ids[:, 1:]
        length, is_time = self._without_blanks(said)
        seen = is_time.sum(1)
        over, forced = (said == EOS).any(1), (seen % 2 == 1) | (seen == 0)
        no_text = is_time.gather(1, (length + 2)[:, None])[:, 0]  # since the last time
        state = torch.full_like(length, TEXT)
        state[no_text & (length < said.shape[1])] = WORDS
        found = scores.masked_fill(~(self.table[state] & ~(over | forced)[:, None]), float("-inf"))
        price = torch.where(over | forced, 0.0, torch.where(no_text, float("-inf"), self._price_of_an_end(scores)))
        following = self.times[videos].gather(1, seen.clamp(max=self.times.shape[1] - 1)[:, None])
        following[over] = EOS
        found.scatter_(1, following, price[:, None])
        found[over, PAD] = 0.0  # finished rows are padded
        return found

    def _price_of_an_end(self, scores: Tensor) -> Tensor:
        """The score [N] of the end of a caption, whatever comes then."""
        ends = torch.cat([scores[:, EOS:EOS + 1], scores[:, self.v:self.v + self.bins - 1]], 1)
        return ends.logsumexp(1) if self.sampled else ends.amax(1)


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
    settings = replace(settings, event_bias=0.0)  # how many there are is given
    parts, generators = encode_parts(model, batch), make_generators(batch, settings)
    orders = [_by_time(spans) for spans in given]
    times = [[_time_id(second, duration, vocabulary) for at in order for second in (spans[at].start, spans[at].end)]
             for spans, order, duration in zip(given, orders, batch.durations, strict=True)]
    captions: list[list[Caption]] = [[] for _ in given]
    while left := [row for row, own in enumerate(times) if 2 * len(captions[row]) < len(own)]:
        grammar = GivenEvents(vocabulary, [times[row][2 * len(captions[row]):] for row in left], settings.sample)
        own = [generators[row] for row in left] if generators else []
        pass_parts = take(parts, left)
        found = generate_from(model, pass_parts, settings, with_biases(settings, vocabulary, grammar), own)
        sure = confidences(model, pass_parts, found, settings)
        for row, ids, confidence in zip(left, found, sure, strict=True):
            captions[row] += _captions(ids, vocabulary, confidence)
    return [_in_order(spans, order, said) for spans, order, said in zip(given, orders, captions, strict=True)]


def _by_time(spans: Sequence[Span]) -> list[int]:
    return sorted(range(len(spans)), key=lambda at: (spans[at].start, spans[at].end))


def _time_id(second: float, duration: float, vocabulary: Vocabulary) -> int:
    return vocabulary.time_id(to_bin(second + SLACK * duration, duration, vocabulary.bins))


def _captions(ids: Sequence[int], vocabulary: Vocabulary, confidence: Confidence | None) -> list[Caption]:
    """The captions of one pass that were ended, or the first one, if not even that was."""
    runs = [(is_text, list(group)) for is_text, group in groupby(
        range(1, len(ids)), key=lambda place: ids[place] < vocabulary.text_size and ids[place] not in (EOS, PAD))]
    ended = [places for is_text, places in runs[:-1] if is_text] or [runs[-1][1]]
    return [(vocabulary.decode([ids[place] for place in places]),
             None if confidence is None else confidence([places[0] - 2, places[0] - 1], places)) for places in ended]


def _in_order(spans: Sequence[Span], order: Sequence[int], captions: Sequence[Caption]) -> list[Event]:
    of = dict(zip(order, captions, strict=True))
    return [Event(span, *of[at]) for at, span in enumerate(spans)]
