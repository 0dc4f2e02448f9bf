"""Decoding held to the grammar (<start> <end> text)* EOS with end > start: every sequence parses into events."""

import torch
from torch import Tensor
from transformers import LogitsProcessor

from hicm.systems.captioner.vocabulary import EOS, Vocabulary


class EventGrammar(LogitsProcessor):
    """Forbids every next token that would leave the grammar.

    Per hypothesis the state follows from its ids: how many time tokens stand at the end, and whether text follows
    the last pair.  At the start, or after text: a start token (not the last bin) or EOS (text may also go on); after
    a start: a larger bin; after a pair: text.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.v, self.bins = vocabulary.text_size, vocabulary.bins
        text = torch.ones(vocabulary.size, dtype=torch.bool)
        text[sorted(vocabulary.special)] = False
        text[self.v:] = False
        self.text = text
        self.first = text.clone()  # a caption may not begin with a blank piece, it could stay empty
        self.first[[i for i in text.nonzero().flatten().tolist() if not vocabulary.decode([i])]] = False

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids [N, t] (first column: the decoder start), scores [N, C] -> scores with -inf where forbidden."""
        return scores.masked_fill(~self.allowed(input_ids).to(scores.device), float("-inf"))

    def allowed(self, input_ids: Tensor) -> Tensor:
        """bool [N, C]: what may come next."""
        ids = input_ids.cpu()
        allowed = torch.zeros(len(ids), len(self.text), dtype=torch.bool)
        for row, sequence in zip(allowed, ids[:, 1:].tolist(), strict=True):
            open_times = 0
            while open_times < len(sequence) and sequence[-1 - open_times] >= self.v:
                open_times += 1
            if EOS in sequence:
                row[0] = row[EOS] = True  # finished rows are padded
            elif open_times == 1:
                row[sequence[-1] + 1:] = True
            elif open_times == 2:
                row |= self.first
            else:
                row[self.v: self.v + self.bins - 1] = True
                row[EOS] = True
                if sequence:
                    row |= self.text
        return allowed
