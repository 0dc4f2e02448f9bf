"""All losses of the system, as sums that the training loop averages.

``span`` and ``giou`` are means over matched pairs, ``label`` over windows, the others over queries.
"""

import torch
from torch import Tensor, nn

from hicm.systems.moments.batch import Batch, Draws
from hicm.systems.moments.draw import draw
from hicm.systems.moments.model import Moments, Output
from hicm.systems.moments.saliency_losses import saliency_losses
from hicm.systems.moments.sentence_loss import sentence_losses
from hicm.systems.moments.settings import ObjectiveSettings
from hicm.systems.moments.window_losses import window_losses
from hicm.systems.moments.word_loss import word_losses

WINDOWS, QUERIES = ("span", "giou", "label"), ("saliency", "words", "sentences")


def loss_names(layers: int) -> tuple[str, ...]:
    """The windows of the last decoder layer, then of those before (``span_0``, ...), then the losses of queries."""
    ends = ("", *(f"_{layer}" for layer in range(layers - 1)))
    return (*(f"{name}{end}" for end in ends for name in WINDOWS), *QUERIES)


def loss_weights(settings: ObjectiveSettings, layers: int) -> Tensor:
    """The weights of `loss_names`: float32 [n]."""
    return torch.tensor([getattr(settings, name.partition("_")[0]) for name in loss_names(layers)])


def loss_counts(batch: Batch, queries: int, layers: int) -> Tensor:
    """What each loss is a mean over: int64 [n]."""
    pairs, count = batch.counts.clamp(max=queries).sum(), len(batch.texts)
    windows = [pairs, pairs, torch.full_like(pairs, count * queries)]
    return torch.stack([*windows * layers, *[torch.full_like(pairs, count)] * len(QUERIES)])


class LossModule(nn.Module):
    """Model and losses as one module, which the training loop calls."""

    def __init__(self, model: Moments, settings: ObjectiveSettings) -> None:
        super().__init__()
        self.model, self.settings = model, settings

    def forward(self, batch: Batch) -> Tensor:
        """Sums in the order of `loss_names`: float32 [n]."""
        draws = draw(batch)
        return self.of(self.model(batch, draws), batch, draws)

    def of(self, output: Output, batch: Batch, draws: Draws) -> Tensor:
        """The same for the output of the model."""
        zero = batch.words.new_zeros(())
        windows = [window_losses(layer, batch.windows, batch.counts, self.settings)
                   for layer in (output.layers[-1], *output.layers[:-1])]
        saliency = zero if output.negative is None else saliency_losses(
            output.encoded.saliency, output.negative.saliency, batch, draws, self.settings).sum()
        words = zero if output.word_logits is None else word_losses(output.word_logits, batch.labels,
                                                                    batch.word_mask).sum()
        sentences = sentence_losses(output, batch, self.settings.same).sum() if self.settings.sentences else zero
        return torch.cat([*windows, torch.stack([saliency, words, sentences])])
