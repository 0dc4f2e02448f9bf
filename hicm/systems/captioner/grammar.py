"""Decoding restricted to the grammar (<start> <end> text)* EOS, end > start, so every sequence parses into events."""

from collections.abc import Callable
from itertools import takewhile

import torch
from torch import Tensor
from transformers import LogitsProcessor

from hicm.systems.captioner.vocabulary import EOS, PAD, Vocabulary


class EventGrammar(LogitsProcessor):
    """Forbids every next token that would violate the grammar.

    The ids so far decide what may come next.  At the beginning and after a caption: a start time (not the last bin) or
    EOS; a caption may also continue.  After a start time: a later bin.  After a pair of times: text, until it is more
    than white space.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.v, self.bins = vocabulary.text_size, vocabulary.bins
        text = torch.ones(vocabulary.size, dtype=torch.bool)
        text[sorted(vocabulary.special)] = False
        text[self.v:] = False
        self.text = text
        self.blank = frozenset(i for i in text.nonzero().flatten().tolist() if not vocabulary.decode([i]))
        self.words = text.clone()
        self.words[sorted(self.blank)] = False

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids [N, t] (first column: the decoder start), scores [N, C] -> scores with -inf where forbidden."""
        return scores.masked_fill(~self.allowed(input_ids).to(scores.device), float("-inf"))

    def allowed(self, input_ids: Tensor) -> Tensor:
        """bool [N, C]: what may come next."""
        allowed = torch.zeros(len(input_ids), len(self.text), dtype=torch.bool)
        for row, sequence in zip(allowed, input_ids[:, 1:].tolist(), strict=True):
            blanks = self._trailing(sequence, lambda i: i in self.blank)
            times = self._trailing(sequence[: len(sequence) - blanks], lambda i: i >= self.v)
            if EOS in sequence:
                row[PAD] = row[EOS] = True  # finished rows are padded
            elif times == 1:
                row[sequence[-1] + 1:] = True
            elif times == 2:
                row |= self.words if blanks else self.text
            else:
                row[self.v: self.v + self.bins - 1] = True
                row[EOS] = True
                if sequence:
                    row |= self.text
        return allowed

    @staticmethod
    def _trailing(sequence: list[int], kind: Callable[[int], bool]) -> int:
        return sum(1 for _ in takewhile(kind, reversed(sequence)))
