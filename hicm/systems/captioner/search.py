"""Which tokens are generated: greedy search, nucleus sampling, beam search.

Beam search follows that of transformers 5 with ``early_stopping=False``: a sequence's score is the sum of its
log-probabilities divided by (its number of tokens) ** length_penalty, and a video is finished when it has as many
ended sequences as beams and the best open one scores no better than the worst of them.  A finished video leaves the
batch, so that its rows are no longer computed.

Shape legend: V videos that are not finished, b beams, N = V * b rows, t tokens, C classes.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hicm.errors import UserError
from hicm.systems.captioner.decoder import Decoder
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD

Rule = Callable[[Tensor, Tensor, Tensor], Tensor]  # (ids [N, t], scores [N, C], video of each row [N]) -> scores
Choice = Callable[[Tensor, Tensor], Tensor]  # (scores [V, C], videos [V]) -> ids [V]
TOP_K = 50  # tokens that sampling chooses among, transformers' default
NEVER = -1e9  # score of a sequence that may not be chosen while there is another


def adjust(scores: Tensor, ids: Tensor, videos: Tensor, settings: DecodeSettings, rule: Rule | None) -> Tensor:
    """Scores [N, C] under the repetition penalty (CTRL, Keskar et al., 2019) and the rule."""
    if settings.repetition_penalty != 1:
        said = scores.gather(1, ids)
        penalty = settings.repetition_penalty
        scores = scores.scatter(1, ids, torch.where(said < 0, said * penalty, said / penalty))
    return scores if rule is None else rule(ids, scores, videos)


def best_of(scores: Tensor, videos: Tensor) -> Tensor:
    """Greedy choice."""
    return scores.argmax(1)


def sampled(settings: DecodeSettings, generators: Sequence[torch.Generator]) -> Choice:
    """A draw from the nucleus: the likeliest tokens whose summed probability reaches ``top_p`` (Holtzman et al., 2020).

    Every video draws from its own generator, so that the others of its batch do not matter.  Raises UserError when
    there is no finite probability.
    """
    def choose(scores: Tensor, videos: Tensor) -> Tensor:
        values, ids = (scores / settings.temperature).topk(min(TOP_K, scores.shape[1]))
        probabilities = values.softmax(1)
        outside = probabilities.cumsum(1) - probabilities >= settings.top_p
        outside[:, 0] = False
        if not probabilities.isfinite().all():
            raise UserError("captioner.decode: captions cannot be generated under these settings (there are no finite "
                            f"probabilities to sample from); correct them, e.g. temperature={settings.temperature}")
        probabilities = probabilities.masked_fill(outside, 0.0)
        places = [torch.multinomial(row, 1, generator=generators[video])
                  for row, video in zip(probabilities, videos.tolist(), strict=True)]
        return ids.gather(1, torch.stack(places))[:, 0]
    return choose


def one_by_one(decoder: Decoder, videos: Tensor, settings: DecodeSettings, rule: Rule | None,
               choose: Choice) -> dict[int, list[int]]:
    """The ids of every video of ``videos`` [V], which the decoder has in this order, one sequence each."""
    ids = torch.full((len(videos), 1), PAD, device=videos.device)
    found: dict[int, list[int]] = {}
    for step in range(1, settings.max_tokens + 1):
        chosen = choose(adjust(decoder.step(ids[:, -1]), ids, videos, settings, rule), videos)
        ids = torch.cat([ids, chosen[:, None]], 1)
        ended = (chosen == EOS) | (step == settings.max_tokens)
        if ended.any():
            found |= zip(videos[ended].tolist(), ids[ended].tolist(), strict=True)
            if ended.all():
                break
            decoder.keep(~ended)
            ids, videos = ids[~ended], videos[~ended]
    return found


def beam_search(decoder: Decoder, videos: Tensor, settings: DecodeSettings,
                rule: Rule | None) -> dict[int, list[int]]:
    """The ids of the best sequence of every video of ``videos`` [V], which the decoder has in this order."""
    b, device = settings.beams, videos.device
    ids = torch.full((len(videos), b, 1), PAD, device=device)
    scores = torch.full((len(videos), b), NEVER, device=device)
    scores[:, 0] = 0.0  # all beams are equal at first
    ended = _Ended(len(videos), b, settings.max_tokens + 1, device)
    found: dict[int, list[int]] = {}
    for step in range(1, settings.max_tokens + 1):
        flat = ids.flatten(0, 1)
        following = adjust(decoder.step(flat[:, -1]).log_softmax(1), flat, videos.repeat_interleave(b), settings, rule)
        totals, places = (following.view(len(videos), b, -1) + scores[:, :, None]).flatten(1).topk(2 * b)
        parents, tokens = places // following.shape[1], places % following.shape[1]
        ends = (tokens == EOS) | (step == settings.max_tokens)
        scale = step ** settings.length_penalty
        if ends[:, :b].any():
            ended.add(_extended(ids, parents, tokens)[:, :b], totals[:, :b] / scale, ends[:, :b])
        scores, open_ = (totals + NEVER * ends).topk(b)
        order = _in_place(parents.gather(1, open_))
        scores, open_ = scores.gather(1, order), open_.gather(1, order)
        parents, tokens = parents.gather(1, open_), tokens.gather(1, open_)
        ids = _extended(ids, parents, tokens)
        over = ended.full() & (scores.amax(1) / scale <= ended.scores.amin(1)) | (step == settings.max_tokens)
        if over.any():
            found |= zip(videos[over].tolist(), ended.best(over), strict=True)
            if over.all():
                break
        decoder.follow((parents + b * torch.arange(len(videos), device=device)[:, None]).flatten())
        if over.any():
            decoder.keep(~over)
            ids, scores, videos = ids[~over], scores[~over], videos[~over]
            ended.keep(~over)
    return found


class _Ended:
    """The best ``b`` ended sequences of every video: ids [V, b, longest], padded, and scores [V, b]."""

    def __init__(self, videos: int, beams: int, longest: int, device: torch.device) -> None:
        self.ids = torch.full((videos, beams, longest), PAD, device=device)
        self.scores = torch.full((videos, beams), -torch.inf, device=device)
        self.real = torch.zeros(videos, beams, dtype=torch.bool, device=device)

    def add(self, ids: Tensor, scores: Tensor, ends: Tensor) -> None:
        """Take those of ids [V, b, t] that end (bool [V, b]) if they are better than what there is."""
        ids = torch.nn.functional.pad(ids, (0, self.ids.shape[2] - ids.shape[2]), value=PAD)
        self.scores, best = torch.cat([self.scores, scores.masked_fill(~ends, -torch.inf)], 1).topk(scores.shape[1])
        self.ids = torch.cat([self.ids, ids], 1).gather(1, best[:, :, None].expand(-1, -1, ids.shape[2]))
        self.real = torch.cat([self.real, ends], 1).gather(1, best)

    def full(self) -> Tensor:
        """bool [V]: whether there are as many as beams."""
        return self.real.all(1)

    def best(self, videos: Tensor) -> list[list[int]]:
        """The best sequence of the chosen videos (bool [V]), without padding."""
        rows = self.ids[videos, 0].tolist()
        return [row[:row.index(EOS) + 1] if EOS in row else row for row in rows]

    def keep(self, videos: Tensor) -> None:
        self.ids, self.scores, self.real = self.ids[videos], self.scores[videos], self.real[videos]


def _extended(ids: Tensor, parents: Tensor, tokens: Tensor) -> Tensor:
    """ids [V, b, t] of the parents [V, n], each with its token [V, n] behind: [V, n, t + 1]."""
    said = ids.gather(1, parents[:, :, None].expand(-1, -1, ids.shape[2]))
    return torch.cat([said, tokens[:, :, None]], 2)


def _in_place(parents: Tensor) -> Tensor:
    """An order of beams [V, b] in which the first child of a parent has its parent's place, and is not copied."""
    b = parents.shape[1]
    again = (parents[:, :, None] == parents[:, None, :]).tril(-1).any(2)  # not the first child
    taken = torch.zeros_like(again).scatter(1, parents, True)
    free = taken.int().argsort(dim=1, stable=True)  # places that nobody has come first
    place = torch.where(again, free.gather(1, (again.cumsum(1) - 1).clamp(0, b - 1)), parents)
    return place.argsort(1)
