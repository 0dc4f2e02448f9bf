"""What a video recalls, as sentences with times that the T5 encoder reads before the speech.

A retrieval-augmented captioner can copy words that it reads, where a vector would first have to be worded (SmallCap,
Ramos et al., CVPR 2023, writes retrieved captions into the decoder's prompt).
"""

from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from hicm.data.samples import MemoryTokens
from hicm.errors import UserError


@dataclass(frozen=True)
class Sentence:
    """A recalled text, the time in seconds of the windows that recalled it, and its best cosine."""

    start: float
    end: float
    text: str
    cosine: float
    window: int  # the first one


def sentences(tokens: MemoryTokens, seconds: np.ndarray, limit: int) -> list[Sentence]:
    """At most ``limit`` recalled texts, those with the highest cosines, in order of time, then of cosine.

    Consecutive windows that recall the same text give it once, for the time of both.  ``seconds`` [S, 2]:
    start and end of each slot's window, NaN where it is padding.
    Of equal cosines (search random) a hash of window and text decides, so that no part of the video is preferred.
    Raises UserError when the slots do not stand for one node each.
    """
    if not tokens.mask.any():
        return []
    if tokens.cosines is None or tokens.texts is None:
        raise UserError("captioner.memory_as: text needs a read that keeps nodes apart, which what was recalled does "
                        "not; set retrieval.read=items, and remove retrieved_*.h5 of an earlier version")
    found: list[Sentence] = []
    last: dict[str, tuple[int, int]] = {}  # text -> its latest place in found, and the last window that recalled it
    there = tokens.mask & ~np.isnan(seconds).any(axis=1)
    slots = zip(there.tolist(), tokens.slots[:, 0].tolist(), seconds.tolist(), tokens.texts, tokens.cosines.tolist(),
                strict=True)
    for real, number, (start, end), text, cosine in slots:
        if not real:
            continue
        place, before = last.get(text, (-1, -2))
        if before >= number - 1:
            found[place] = replace(found[place], end=end, cosine=max(found[place].cosine, cosine))
        else:
            place = len(found)
            found.append(Sentence(start, end, text, cosine, number))
        last[text] = place, number
    best = sorted(found, key=lambda one: (-one.cosine, crc32(f"{one.window} {one.text}".encode())))[:limit]
    return sorted(best, key=lambda one: (one.window, -one.cosine))
