"""What a video recalls, as sentences with times that the T5 encoder reads before the speech.

A retrieval-augmented captioner can copy words that it reads, where a vector would first have to be worded (SmallCap,
Ramos et al., CVPR 2023, writes retrieved captions into the decoder's prompt).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from zlib import crc32

from hicm.data.samples import MemoryTokens
from hicm.errors import UserError

Window = tuple[float, float] | None  # start and end in seconds; None: the window is padding


@dataclass(frozen=True)
class Sentence:
    """A recalled text, the time in seconds of the windows that recalled it, and its best cosine."""

    start: float
    end: float
    text: str
    cosine: float
    window: int  # the first one


def sentences(tokens: MemoryTokens, windows: Sequence[Window], limit: int) -> list[Sentence]:
    """At most ``limit`` recalled texts, those with the highest cosines, in order of time, then of cosine.

    Consecutive windows that recall the same text give it once, for the time of both.  ``windows``: the span of each.
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
    slots = zip(tokens.mask.tolist(), tokens.slots[:, 0].tolist(), tokens.texts, tokens.cosines.tolist(), strict=True)
    for there, number, text, cosine in slots:
        window = windows[number] if there else None
        if window is None:
            continue
        place, before = last.get(text, (-1, -2))
        if before >= number - 1:
            found[place] = replace(found[place], end=window[1], cosine=max(found[place].cosine, cosine))
        else:
            place = len(found)
            found.append(Sentence(window[0], window[1], text, cosine, number))
        last[text] = place, number
    best = sorted(found, key=lambda one: (-one.cosine, crc32(f"{one.window} {one.text}".encode())))[:limit]
    return sorted(best, key=lambda one: (one.window, -one.cosine))
