"""The captions of events: an LSTM that attends to points of the video around each event (LSTM-DSA of PDVC).

Events of all videos of a batch are captioned together.  Shapes: N events, S rows per video, L levels, P points, d
width, V words; id 0 begins and ends a sentence, and pads it.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hicm.systems.parallel.attention import Levels, exact, places_around, taps, weighted_rows

END = 0
OFTEN = 4  # words that are said for a query on average, at least


def seldom(device: torch.device) -> int:
    """Words after which sentences that have ended are left out: a GPU has to be waited for then."""
    return 1 if device.type == "cpu" else 4


@dataclass(frozen=True)
class Scene:
    """The inputs of N events that stay the same at every step."""

    values: Tensor  # [B * S, d]
    keys: Tensor  # [B * S, d]
    starts: Tensor  # int64 [N, L]: the first row of each level of the event's video
    lengths: Tensor  # int64 [N, L]
    reference: Tensor  # [N, 1 or 2]
    query: Tensor  # [N, d]
    gates: Tensor  # [N, 4 d]: the query's part of the LSTM's input
    spoken: Tensor  # [4 d, d]: weights of the word's part; cut out once, as every cut copies all gradients
    inputs: Tensor  # [4 d, 2 d]: weights of the parts of context and state
    words: Tensor | None  # [V + 1, 4 d]: the part of every word, if that is less work than to make it at every step

    def take(self, rows: Tensor | slice) -> "Scene":
        """Some of the events: bool [N], their numbers, or a slice."""
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows], reference=self.reference[rows],
                       query=self.query[rows], gates=self.gates[rows])


State = tuple[Tensor, Tensor]  # h and c, [N, d]


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

    def scene(self, source: Tensor, levels: Levels, video: Tensor, query: Tensor, reference: Tensor) -> Scene:
        """The scene of N events: video int64 [N], query [N, d], reference [N, 1 or 2], source [B, S, d]."""
        values = self.values(source).masked_fill(~levels.mask[..., None], 0.0).flatten(0, 1)
        spoken, context, own = self.inputs.weight.split(self.width, 1)
        many = OFTEN * len(query) > len(self.embeddings.weight) and not torch.is_grad_enabled()
        # a linear map of an interpolated row is that of the rows interpolated, as both weights add up to 1
        return Scene(values, self.keys(values), levels.starts + video[:, None] * source.shape[1],
                     levels.lengths[video], reference, query, F.linear(query, own), spoken,
                     torch.cat([context, self.hidden.weight], 1),
                     F.linear(self.embeddings.weight, spoken) if many else None)

    def begin(self, scene: Scene) -> State:
        """Zeros."""
        return torch.zeros_like(scene.query), torch.zeros_like(scene.query)

    def spoken(self, words: Tensor, scene: Scene) -> Tensor:
        """The words' part of the LSTM's input: int64 [...] -> [..., 4 d]."""
        if scene.words is not None:
            return F.embedding(words, scene.words)
        return F.linear(self.embeddings(words), scene.spoken)

    def step(self, spoken: Tensor, state: State, scene: Scene) -> State:
        """The state after a word, [N, 4 d] as from `spoken`."""
        h, c = state
        count, looks = len(h), self.levels * self.points
        offsets = exact(self.offsets, torch.cat([h, scene.query], 1)).view(count, self.levels, self.points)
        places = places_around(scene.reference, offsets, scene.lengths)
        rows, shares = taps(places, scene.lengths, scene.starts, border=True)
        keys = weighted_rows(scene.keys, rows.view(-1, 2), shares.view(-1, 2)).view(count, looks, self.width)
        # tanh(x) is 2 sigmoid(2 x) - 1: several times as fast on a CPU, and the softmax does not see the constant
        attention = (2 * self.score((keys + self.state(h)[:, None]).mul_(2).sigmoid_())).squeeze(-1).softmax(1)
        shares = shares.view(count, looks, 2) * attention[..., None]
        context = weighted_rows(scene.values, rows.view(count, 2 * looks), shares.view(count, 2 * looks))
        gates = F.linear(torch.cat([context, h], 1), scene.inputs) + scene.gates + spoken
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def forward(self, scene: Scene, words: Tensor) -> Tensor:
        """Teacher-forced log-probabilities [N, M, V + 1] after each of the words int64 [N, M]; zero beyond a sentence.

        The zeros that pad a sentence are not computed: half of a batch, as captions are of very different lengths.
        """
        lengths = 1 + (words[:, 1:] != END).sum(1)  # with the zero that begins the sentence
        order = lengths.argsort(descending=True, stable=True)
        going = (lengths[:, None] > torch.arange(words.shape[1], device=words.device)).sum(0).tolist()
        scene, words = scene.take(order), words[order]
        (h, c), seen = self.begin(scene), []
        said = self.spoken(torch.cat([words[:count, place] for place, count in enumerate(going)]), scene).split(going)
        for place, (count, spoken) in enumerate(zip(going, said, strict=True)):
            if count or not place:  # without any sentence, one step of none
                scene = scene.take(slice(count))
                h, c = self.step(spoken, (h[:count], c[:count]), scene)
                seen.append(h)
        logs = self.words(self.drop(torch.cat(seen))).log_softmax(-1)
        found = logs.new_zeros(*words.shape, logs.shape[-1])
        places = torch.arange(len(going)).repeat_interleave(torch.tensor(going)).to(words.device)
        found[torch.cat([order[:count] for count in going]), places] = logs
        return found

    @torch.no_grad()
    def greedy(self, scene: Scene, longest: int, speechless: bool = True) -> tuple[Tensor, Tensor]:
        """The likeliest word at every step, up to ``longest``: ids int64 [N, longest] and their log-probabilities.

        A sentence stops at its first 0; zeros follow.  Without ``speechless`` it has a word at least.
        """
        count, device = len(scene.query), scene.query.device
        ids = torch.zeros(count, longest, dtype=torch.int64, device=device)
        found = torch.zeros(count, longest, device=device)
        alive, state = torch.arange(count, device=device), self.begin(scene)
        word = torch.zeros(count, dtype=torch.int64, device=device)
        going, every = torch.ones(count, dtype=torch.bool, device=device), seldom(device)
        for place in range(longest):
            state = self.step(self.spoken(word, scene), state, scene)
            logits = self.words(state[0])
            if not (place or speechless):
                logits[:, END] = -torch.inf
            best, word = logits.log_softmax(-1).max(-1)
            going = going & (word != END)
            ids[alive, place], found[alive, place] = word * going, best.float() * going
            if place % every == every - 1 and not going.all():
                alive, word, scene, state = alive[going], word[going], scene.take(going), (state[0][going],
                                                                                           state[1][going])
                going = going[going]
                if not len(alive):
                    break
        return ids, found
