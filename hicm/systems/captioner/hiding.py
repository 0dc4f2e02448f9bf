"""Training noise: frames that the captioner does not see, so that it learns to use speech and recalled text.

A video's speech and frames tell much the same, and training follows whichever is easier.  On YouCook2, captioners that
are trained further without seeing the video write better captions of it when they see it again (PMD, 2026).
"""

import numpy as np


def chance_of(chance: float, grows: bool, epoch: int, epochs: int) -> float:
    """The chance of a video to be hidden in an epoch, counted from 0; if it grows, from 0 to ``chance`` in the last.

    >>> [chance_of(0.5, True, epoch, 3) for epoch in range(3)], chance_of(0.5, True, 0, 1)
    ([0.0, 0.25, 0.5], 0.5)
    """
    return chance * epoch / (epochs - 1) if grows and epochs > 1 else chance


def hide(mask: np.ndarray, chance: float, share: float, rng: np.random.Generator) -> np.ndarray:
    """Which frames of a video are hidden: bool [T], with this chance a run of that ``share`` of its real frames.

    ``mask`` bool [T]: the real frames, which come first.
    """
    hidden = np.zeros_like(mask)
    drawn, place = rng.random(2)
    real = int(mask.sum())
    count = round(share * real)
    if drawn < chance:
        start = int(place * (real - count + 1))
        hidden[start:start + count] = True
    return hidden
