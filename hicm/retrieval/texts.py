"""The texts of what a memory hands over."""

from collections.abc import Callable
from dataclasses import replace

from hicm.data.samples import MemoryTokens
from hicm.memory.bank import Bank


class WithTexts:
    """What ``recall`` finds for a video, with the text of the node that each slot stands for, or of its stand-in.

    A slot that stands for no single node has an empty text.  Safe to hand to worker processes.
    """

    def __init__(self, recall: Callable[[str], MemoryTokens], bank: Bank) -> None:
        self.recall, self.bank = recall, bank

    def __call__(self, video: str) -> MemoryTokens:
        """Raises UserError when nothing was recalled for the video."""
        return add_texts(self.recall(video), self.bank)


def add_texts(tokens: MemoryTokens, bank: Bank) -> MemoryTokens:
    """The same tokens with the texts of their nodes."""
    names = zip(tokens.slots[:, 1].tolist(), tokens.slots[:, 2].tolist(), strict=True)
    return replace(tokens, texts=tuple(bank.texts(level)[node] if min(level, node) >= 0 else ""
                                       for level, node in names))
