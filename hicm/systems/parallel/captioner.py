"""The captions of events: an LSTM that attends to points of the video around each event (LSTM-DSA of PDVC).

Events of all videos of a batch are captioned together.  Shapes: N events, S rows per video, L levels, P points, d
width, V words; id 0 begins and ends a sentence, and pads it.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hicm.nn.bfloat16 import in_float32
from hicm.systems.parallel.attention import Levels, sampling_locations, taps, weighted_rows

END = 0
TYPICAL_LENGTH = 4  # words of a caption, at least, on average


def check_interval(device: torch.device) -> int:
    """Steps of greedy decoding between checks for finished captions; a check makes the CPU wait for a GPU."""
    return 1 if device.type == "cpu" else 4


@dataclass(frozen=True)
class Inputs:
    """What the captioner reads for N events: the same at every step."""

    values: Tensor  # [B * S, d]
    keys: Tensor  # [B * S, d]
    starts: Tensor  # int64 [N, L]: the first row of each level of the event's video
    lengths: Tensor  # int64 [N, L]
    reference: Tensor  # [N, 1 or 2]
    query: Tensor  # [N, d]
    query_gates: Tensor  # [N, 4 d]: the query's part of the LSTM gates
    word_weights: Tensor  # [4 d, d]: LSTM weights of the word; split once, as every split copies all gradients
    weights: Tensor  # [4 d, 2 d]: LSTM weights of context and hidden state
    word_table: Tensor | None  # [V + 1, 4 d]: the gates of every word, where that is less work than step by step

    def take(self, rows: Tensor | slice) -> "Inputs":
        """Some of the events: bool [N], their numbers, or a slice."""
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows], reference=self.reference[rows],
                       query=self.query[rows], query_gates=self.query_gates[rows])


State = tuple[Tensor, Tensor]  # hidden and cell state of the LSTM, [N, d]


class CaptionHead(nn.Module):
    """Generates the sentence of each event, word by word."""

    def __init__(self, width: int, levels: int, points: int, words: int, dropout: float) -> None:
        """``words``: V, without the id 0."""
        super().__init__()
        self.width, self.levels, self.points = width, levels, points
        self.embeddings = nn.Embedding(words + 1, width)
        self.inputs = nn.Linear(3 * width, 4 * width, bias=False)  # of word, context and query
        self.hidden = nn.Linear(width, 4 * width, bias=False)
        self.offsets = nn.Linear(2 * width, levels * points)
        self.values, self.keys = nn.Linear(width, width), nn.Linear(width, width)
        self.state, self.score = nn.Linear(width, width), nn.Linear(width, 1)
        self.words = nn.Linear(width, words + 1)
        self.drop = nn.Dropout(dropout)

    def initialise(self) -> None:
        """Points around the centre, small words, and the weights of `torch.nn.LSTM`."""
        with torch.no_grad():
            self.offsets.weight.zero_()
            steps = torch.arange(1.0, self.points + 1)
            self.offsets.bias.copy_((steps - steps.mean()).repeat(self.levels))
            for layer in (self.embeddings, self.words):
                layer.weight.uniform_(-0.1, 0.1)
            self.words.bias.zero_()
            nn.init.xavier_uniform_(self.values.weight)
            self.values.bias.zero_()
            for layer in (self.inputs, self.hidden):
                layer.weight.uniform_(-self.width ** -0.5, self.width ** -0.5)

    def prepare(self, source: Tensor, levels: Levels, video: Tensor, query: Tensor, reference: Tensor) -> Inputs:
        """The inputs of N events: video int64 [N], query [N, d], reference [N, 1 or 2], source [B, S, d]."""
        values = self.values(source).masked_fill(~levels.mask[..., None], 0.0).flatten(0, 1)
        word, context, query_part = self.inputs.weight.split(self.width, 1)
        tabulate = TYPICAL_LENGTH * len(query) > len(self.embeddings.weight) and not torch.is_grad_enabled()
        # a linear map of an interpolated row is that of the rows interpolated, as both weights add up to 1
        return Inputs(values, self.keys(values), levels.starts + video[:, None] * source.shape[1],
                     levels.lengths[video], reference, query, F.linear(query, query_part), word,
                     torch.cat([context, self.hidden.weight], 1),
                     F.linear(self.embeddings.weight, word) if tabulate else None)

    def initial_state(self, inputs: Inputs) -> State:
        """Zeros."""
        return torch.zeros_like(inputs.query), torch.zeros_like(inputs.query)

    def word_gates(self, words: Tensor, inputs: Inputs) -> Tensor:
        """The words' part of the LSTM gates: int64 [...] -> [..., 4 d]."""
        if inputs.word_table is not None:
            return F.embedding(words, inputs.word_table)
        return F.linear(self.embeddings(words), inputs.word_weights)

    def step(self, word_gates: Tensor, state: State, inputs: Inputs) -> State:
        """The state after a word, given as its `word_gates` [N, 4 d]."""
        h, c = state
        count, samples = len(h), self.levels * self.points
        offsets = in_float32(self.offsets, torch.cat([h, inputs.query], 1)).view(count, self.levels, self.points)
        locations = sampling_locations(inputs.reference, offsets, inputs.lengths)
        rows, shares = taps(locations, inputs.lengths, inputs.starts, border=True)
        keys = weighted_rows(inputs.keys, rows.view(-1, 2), shares.view(-1, 2)).view(count, samples, self.width)
        # tanh(x) is 2 sigmoid(2 x) - 1: several times as fast on a CPU, and the softmax does not see the constant
        attention = (2 * self.score((keys + self.state(h)[:, None]).mul_(2).sigmoid_())).squeeze(-1).softmax(1)
        shares = shares.view(count, samples, 2) * attention[..., None]
        context = weighted_rows(inputs.values, rows.view(count, 2 * samples), shares.view(count, 2 * samples))
        gates = F.linear(torch.cat([context, h], 1), inputs.weights) + inputs.query_gates + word_gates
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def forward(self, inputs: Inputs, words: Tensor) -> Tensor:
        """Teacher-forced log-probabilities [N, M, V + 1] after each of the words int64 [N, M]; zero after a sentence.

        Padding is not computed: captions are sorted by length, and each step runs on those that have not ended.
        """
        lengths = 1 + (words[:, 1:] != END).sum(1)  # with the zero that begins the sentence
        order = lengths.argsort(descending=True, stable=True)
        active = (lengths[:, None] > torch.arange(words.shape[1], device=words.device)).sum(0).tolist()
        inputs, words = inputs.take(order), words[order]
        (h, c), hidden = self.initial_state(inputs), []
        read = torch.cat([words[:count, place] for place, count in enumerate(active)])
        gates = self.word_gates(read, inputs).split(active)
        for place, (count, word_gates) in enumerate(zip(active, gates, strict=True)):
            if count or not place:  # without captions one step of no rows, so that every weight has a gradient
                inputs = inputs.take(slice(count))
                h, c = self.step(word_gates, (h[:count], c[:count]), inputs)
                hidden.append(h)
        logs = self.words(self.drop(torch.cat(hidden))).log_softmax(-1)
        found = logs.new_zeros(*words.shape, logs.shape[-1])
        places = torch.arange(len(active)).repeat_interleave(torch.tensor(active)).to(words.device)
        found[torch.cat([order[:count] for count in active]), places] = logs
        return found

    @torch.no_grad()
    def greedy(self, inputs: Inputs, max_words: int, allow_empty: bool = True) -> tuple[Tensor, Tensor]:
        """The likeliest word at every step, up to ``max_words``: ids int64 [N, max_words] and their log-probabilities.

        A sentence stops at its first 0; zeros follow.  Without ``allow_empty`` it has at least one word.
        """
        count, device = len(inputs.query), inputs.query.device
        ids = torch.zeros(count, max_words, dtype=torch.int64, device=device)
        found = torch.zeros(count, max_words, device=device)
        rows, state = torch.arange(count, device=device), self.initial_state(inputs)
        word = torch.zeros(count, dtype=torch.int64, device=device)
        active, interval = torch.ones(count, dtype=torch.bool, device=device), check_interval(device)
        for place in range(max_words):
            state = self.step(self.word_gates(word, inputs), state, inputs)
            logits = self.words(state[0])
            if not (place or allow_empty):
                logits[:, END] = -torch.inf
            best, word = logits.log_softmax(-1).max(-1)
            active = active & (word != END)
            ids[rows, place], found[rows, place] = word * active, best.float() * active
            if place % interval == interval - 1 and not active.all():
                rows, word, inputs = rows[active], word[active], inputs.take(active)
                state = state[0][active], state[1][active]
                active = active[active]
                if not len(rows):
                    break
        return ids, found
