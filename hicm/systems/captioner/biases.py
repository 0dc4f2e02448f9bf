"""Decoding with biases on ends: of captions, so that they get longer or shorter, and of the sequence, for its events.

A captioner trained by cross-entropy may write fewer events or shorter sentences than people do.  One number for each,
chosen on held-out videos, corrects that without training (`scripts/calibrate.py`).
"""

from torch import Tensor

from hicm.systems.captioner.search import Rule
from hicm.systems.captioner.vocabulary import EOS, PAD


class Biases:
    """Adds to scores before another rule, if there is one.

    ``events`` is taken from the score of ending the sequence, wherever it may end: above 0 there are more events.
    ``words`` is taken from the scores of all that ends a caption (EOS and the time tokens of another event), where the
    last token is a word: above 0 captions are longer.  ``text_size`` is V, the ids from which on are times.
    """

    def __init__(self, events: float, words: float, text_size: int, then: Rule | None = None) -> None:
        self.events, self.words, self.text_size, self.then = events, words, text_size, then

    def __call__(self, ids: Tensor, scores: Tensor, videos: Tensor) -> Tensor:
        """ids [N, t] (first column: the decoder start), scores [N, C] -> scores [N, C]."""
        last = ids[:, -1:]
        in_caption = (last < self.text_size) & (last != PAD) & (last != EOS)
        taken = self.words * in_caption.to(scores.dtype)
        scores = scores.clone()
        scores[:, EOS] -= taken[:, 0] + self.events
        scores[:, self.text_size:] -= taken
        return scores if self.then is None else self.then(ids, scores, videos)
