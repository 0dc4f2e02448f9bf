"""Decoding with biases on ends: of captions, so that they get longer or shorter, and of the sequence, for its events.

A captioner trained by cross-entropy may write fewer events or shorter sentences than people do.  One number for each,
chosen on held-out videos, corrects that without training (`scripts/calibrate.py`).
"""

from collections.abc import Collection

import torch
from torch import Tensor

from hicm.systems.captioner.search import Rule
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD, Vocabulary


class Biases:
    """Changes scores before another rule is applied, if there is one.

    ``events`` is taken from the score of ending the sequence, wherever it may end: above 0 there are more events.
    ``words`` is taken, within a caption, from the scores of all that ends it: a full stop (``stops``: the ids of pieces
    that end with one) or, without it, EOS and the time tokens of another event.  Above 0 captions are longer.
    ``text_size`` is V, the ids from which on are times.
    """

    def __init__(self, events: float, words: float, stops: Collection[int], text_size: int,
                 then: Rule | None = None) -> None:
        self.events, self.words, self.text_size, self.then = events, words, text_size, then
        self.stops = torch.tensor(sorted(stops), dtype=torch.int64)

    def __call__(self, ids: Tensor, scores: Tensor, videos: Tensor) -> Tensor:
        """ids [N, t] (first column: the decoder start), scores [N, C] -> scores [N, C]."""
        stops, last = self.stops.to(ids.device), ids[:, -1]
        within = (last < self.text_size) & (last != PAD) & (last != EOS) & ~torch.isin(last, stops)
        taken = self.words * within.to(scores.dtype)[:, None]
        scores = scores.clone()
        scores[:, stops] -= taken
        scores[:, self.text_size:] -= taken
        scores[:, EOS] -= taken[:, 0] + self.events
        return scores if self.then is None else self.then(ids, scores, videos)


def with_biases(settings: DecodeSettings, vocabulary: Vocabulary, rule: Rule | None) -> Rule | None:
    """The rule after the biases of the settings; the rule itself where they have none."""
    if not (settings.event_bias or settings.word_bias):
        return rule
    stops = [id for id, piece in enumerate(vocabulary.pieces[:vocabulary.text_size]) if piece.endswith(".")]
    return Biases(settings.event_bias, settings.word_bias, stops, vocabulary.text_size, rule)
