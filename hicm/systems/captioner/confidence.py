"""How sure a captioner is of each event: what it makes of its own tokens, read back in one pass.

The probability is that of the model itself, whatever the search that found the tokens: penalties, biases, grammar and
temperature are not in it.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hicm.systems.captioner.model import Captioner, shifted
from hicm.systems.captioner.parts import Part
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS

# (places of an event's two time tokens, places of its words) among the ids of its sequence -> in 0..1
Confidence = Callable[[Sequence[int], Sequence[int]], float]


@torch.inference_mode()
def log_probabilities(model: Captioner, parts: Sequence[Part], rows: Sequence[Sequence[int]]) -> list[list[float]]:
    """The log-probability of every id of ``rows`` after those before it; 0 for the decoder start and after EOS.

    ``rows``: generated ids of every video, with the decoder start and padding.  Videos are read one by one, as scores
    of all classes at all places take much memory.
    """
    found = [[0.0] * len(row) for row in rows]
    for part in parts:
        for at, video in enumerate(part.videos):
            said = list(rows[video][1:])
            said = said[:said.index(EOS) + 1] if EOS in said else said
            if said:
                target = torch.tensor([said], device=part.states.device)
                scores = _scores(model, part, at, target).float().log_softmax(2)
                found[video][1:len(said) + 1] = scores.gather(2, target[:, :, None])[0, :, 0].tolist()
    return found


def _scores(model: Captioner, part: Part, at: int, target: Tensor) -> Tensor:
    """Scores [1, L, C] of the ids [1, L] of one video of a part."""
    encoded = part.states[at:at + 1], part.mask[at:at + 1]
    if part.context is None:
        return model.logits(encoded, target)
    return model.scores(encoded, part.context.take([at]), target, model.t5.shared(shifted(target)))


def make_confidence(kind: str, logs: Sequence[float]) -> Confidence:
    """The confidence in events of a sequence whose ids have the log-probabilities ``logs``.

    ``words``: the geometric mean of the probabilities of its words; ``times``: that of its two time tokens; ``both``:
    the geometric mean of the two, so that the times count as much as the caption, whatever its length.
    """
    def mean(places: Sequence[int]) -> float:
        return sum(logs[place] for place in places) / len(places)

    kinds: dict[str, Confidence] = {
        "words": lambda times, words: math.exp(mean(words)),
        "times": lambda times, words: math.exp(mean(times)),
        "both": lambda times, words: math.exp((mean(times) + mean(words)) / 2)}
    return kinds[kind]


def confidences(model: Captioner, parts: Sequence[Part], rows: Sequence[Sequence[int]],
                settings: DecodeSettings) -> list[Confidence | None]:
    """The confidence in the events of each of ``rows`` (see `log_probabilities`), None where none is wanted."""
    if settings.confidence == "none":
        return [None] * len(rows)
    return [make_confidence(settings.confidence, logs) for logs in log_probabilities(model, parts, rows)]
