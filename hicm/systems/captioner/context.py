"""Where the encoder states of a batch come from: their times, and the words that some of them stand for."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Context:
    """Of B videos with S encoder states: the first T are frames, the last L are text, recalled vectors lie between."""

    spans: Tensor  # float32 [B, S, 2]: start and end of each state as shares of the duration; [0, 1] if it has no time
    mask: Tensor  # bool [B, S], True = real
    frames: int  # T
    text: Tensor  # int64 [B, L]: ids of the text
    cosines: Tensor  # float32 [B, L]: how near the sentence of each id was to what recalled it; 0 for speech

    def take(self, rows: Sequence[int] | Tensor) -> "Context":
        """Some of the videos: rows, or bool [B]."""
        return Context(self.spans[rows], self.mask[rows], self.frames, self.text[rows], self.cosines[rows])
