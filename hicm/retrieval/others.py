"""What other videos recall: a control that exchanges the memory, and with it when its windows are.

A window that begins after the end of the video that reads it is lost.
"""

from collections.abc import Mapping

from hicm.data.samples import MemoryTokens, Recall, SplitSamples
from hicm.errors import UserError


class OfOthers:
    """What ``recall`` finds for the video ``of[video]``.  Safe to hand to worker processes."""

    def __init__(self, recall: Recall, of: Mapping[str, str]) -> None:
        self.recall, self.of = recall, dict(of)

    def __call__(self, video: str) -> MemoryTokens:
        """Raises UserError when nothing was recalled for that video."""
        return self.recall(self.of[video])


def of_others(samples: SplitSamples, of: Mapping[str, str]) -> OfOthers:
    """The recall of ``samples``, each video's that of ``of[video]``.

    Raises UserError where nothing is recalled, or ``of`` lacks a video or names one that is not among them.
    """
    if samples.recall is None:
        raise UserError("no memory is recalled here, so that of another video cannot be read")
    known = set(samples.ids)
    wrong = [video for video in samples.ids if of.get(video) not in known]
    if wrong:
        raise UserError(f"video {wrong[0]}: expected another video of the split to read the memory of, found "
                        f"{of.get(wrong[0])}")
    return OfOthers(samples.recall, of)
