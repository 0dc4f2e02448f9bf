"""Decoding restricted to the grammar (<start> <end> text)* EOS, end > start, so every sequence parses into events."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from hicm.systems.captioner.vocabulary import EOS, PAD, Vocabulary

OVER, LATER, TEXT, WORDS, FIRST, NEXT = range(6)  # what may come next, rows of ``EventGrammar.table``


class EventGrammar:
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
        blank = torch.zeros_like(text)
        blank[sorted(vocabulary.blank)] = True
        self.text, self.blank = text, blank
        table = torch.zeros(6, vocabulary.size, dtype=torch.bool)
        table[OVER, [PAD, EOS]] = True  # finished rows are padded
        table[TEXT], table[WORDS] = text, text & ~blank
        table[[FIRST, NEXT], self.v:self.v + self.bins - 1] = True
        table[[FIRST, NEXT], EOS] = True
        table[NEXT] |= text
        self.table = table

    def __call__(self, ids: Tensor, scores: Tensor, videos: Tensor | None = None) -> Tensor:
        """ids [N, t] (first column: the decoder start), scores [N, C] -> scores with -inf where forbidden."""
        return scores.masked_fill(~self.allowed(ids), float("-inf"))

    def allowed(self, ids: Tensor) -> Tensor:
        """bool [N, C]: what may come next."""
        self._move(ids.device)
        said = ids[:, 1:]
        length, times = self._without_blanks(said)
        one, two, three = (times.gather(1, (length + at)[:, None])[:, 0] for at in (2, 1, 0))  # the last is a time, ..
        state = torch.full_like(length, NEXT if said.shape[1] else FIRST)
        state[one & two & ~three] = TEXT
        state[one & two & ~three & (length < said.shape[1])] = WORDS
        state[one & ~two] = LATER
        state[(said == EOS).any(1)] = OVER
        later = torch.arange(self.table.shape[1], device=ids.device) > ids[:, -1:]
        return self.table[state] | (later & (state == LATER)[:, None])

    def _without_blanks(self, said: Tensor) -> tuple[Tensor, Tensor]:
        """Lengths [N] without white space at the end, and where times are, [N, 3 + t], with 3 more columns in front."""
        if not said.shape[1]:
            return said.new_zeros(len(said)), torch.zeros(len(said), 3, dtype=torch.bool, device=said.device)
        places = torch.arange(1, said.shape[1] + 1, device=said.device)
        return (~self.blank[said] * places).amax(1), pad(said >= self.v, (3, 0))

    def _move(self, device: torch.device) -> None:
        """Have the tables where the ids are."""
        self.table, self.text, self.blank = (part.to(device) for part in (self.table, self.text, self.blank))
