"""What a video recalls, as sentences with times that the T5 encoder reads before the speech.

A retrieval-augmented captioner can copy words that it reads, where a vector would first have to be worded (SmallCap,
Ramos et al., CVPR 2023, writes retrieved captions into the decoder's prompt).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hicm.data.samples import MemoryTokens

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
    Raises ValueError when the read does not name a node with a text for each slot.
    """
    if not tokens.mask.any():
        return []
    if tokens.cosines is None or tokens.texts is None:
        raise ValueError("the read hands over vectors that stand for several nodes, which have no text")
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
    best = sorted(found, key=lambda one: -one.cosine)[:limit]
    return sorted(best, key=lambda one: (one.window, -one.cosine))
