"""The encoder states of a batch, in parts: videos with similar amounts of speech are attended to together.

Padding costs time and changes nothing: speech is encoded without any, and no part is padded by more than a tenth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.context import Context
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.speech_encoder import encode_packed
from hicm.systems.captioner.vocabulary import PAD

WASTE = 0.1  # share of a part's speech that may be added to it as padding


@dataclass(frozen=True)
class Part:
    """G videos with S encoder states each, padding included."""

    videos: tuple[int, ...]  # rows of the batch
    states: Tensor  # [G, S, d]
    mask: Tensor  # bool [G, S], True = real
    context: Context | None = None  # for models that ask for it


def encode_parts(model: Captioner, batch: Batch) -> list[Part]:
    """What `Captioner.encode` returns for the videos of a batch, most speech first; real states are the same."""
    states, seen = model.encode_video(batch)
    speech = [batch.speech[row, :0] for row in range(len(states))]
    if model.config.reads_text:
        places = torch.arange(1, batch.speech.shape[1] + 1, device=batch.speech.device)
        lengths = ((batch.speech != PAD) * places).amax(1).tolist()
        speech = [ids[:length] for ids, length in zip(batch.speech, lengths, strict=True)]
    groups = similar(list(map(len, speech)))
    encoded = iter(encode_packed(model.t5, [speech[video] for videos in groups for video in videos]))
    parts = []
    for videos in groups:
        heard = pad_sequence([next(encoded) for _ in videos], batch_first=True)
        real = pad_sequence([speech[video] != PAD for video in videos], batch_first=True)
        mask = torch.cat([seen[videos], real], 1)
        context = model.context(batch.take(videos, heard.shape[1]), mask) if model.config.uses_times else None
        parts.append(Part(tuple(videos), torch.cat([states[videos], heard], 1), mask, context))
    return parts


def take(parts: Sequence[Part], videos: Sequence[int]) -> list[Part]:
    """The parts of some videos, which are numbered anew in the order given."""
    number = {video: at for at, video in enumerate(videos)}
    found = []
    for part in parts:
        rows = [row for row, video in enumerate(part.videos) if video in number]
        if rows:
            found.append(Part(tuple(number[part.videos[row]] for row in rows), part.states[rows], part.mask[rows],
                              None if part.context is None else part.context.take(rows)))
    return found


def similar(lengths: Sequence[int]) -> list[list[int]]:
    """Indices of lengths, longest first, cut where padding to the longest of a part would exceed `WASTE`."""
    found: list[list[int]] = []
    total = 0
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row], reverse=True):
        total += lengths[row]
        if not found or lengths[found[-1][0]] * (len(found[-1]) + 1) > (1 + WASTE) * total:
            found.append([])
            total = lengths[row]
        found[-1].append(row)
    return found
