"""The two losses of Vid2Seq: describe the video, and restore the masked speech (Yang et al., CVPR 2023)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.vocabulary import PAD

Reread = Callable[[Tensor], Tensor]  # rows [B, N, d] -> recalled vectors [B, W, D]


@dataclass(frozen=True)
class Objective:
    """Weights of the losses; a weight of 0 skips its pass.

    ``reread`` is None when the denoising pass shares the memory tokens of the first one (the default).  Otherwise
    it is the released second pass: the joined visual and memory tokens are taken for frames, the memory is read
    again with them, and what is recalled is appended once more.
    """

    generative: float = 1.0
    denoising: float = 1.0
    label_smoothing: float = 0.1
    reread: Reread | None = None

    def token_counts(self, batch: Batch) -> Tensor:
        """Targets that count, per loss: int64 [generative, denoising]."""
        return torch.stack([(batch.target != PAD).sum(), (batch.noisy_target != PAD).sum()])

    def __call__(self, model: Captioner, batch: Batch) -> Tensor:
        """Sums over tokens of the label-smoothed cross-entropies: float [generative, denoising].

        Divide by `token_counts` of all that is averaged together (micro-batches, processes) to get the token means.
        """
        seen = model.encode_video(batch)
        zero = seen[0].new_zeros(())
        generative = denoising = zero
        if self.generative:
            generative = self._pass(model, seen, batch.speech, batch.target)
        if self.denoising:
            if self.reread is not None:
                seen = self._seen_again(model, seen)
            denoising = self._pass(model, seen, batch.noisy_speech, batch.noisy_target)
        return torch.stack([generative, denoising])

    def total(self, sums: Tensor, counts: Tensor) -> Tensor:
        """The weighted sum of the two token means."""
        weights = sums.new_tensor([self.generative, self.denoising])
        return (weights * sums / counts.clamp(min=1)).sum()

    def _pass(self, model: Captioner, seen: tuple[Tensor, Tensor], speech: Tensor, target: Tensor) -> Tensor:
        logits = model.logits(model.concatenate(seen, speech), target)
        labels = target.masked_fill(target == PAD, -100)
        return F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum",
                               label_smoothing=self.label_smoothing)

    def _seen_again(self, model: Captioner, seen: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        states, mask = seen
        memory = self.reread(states.detach())
        recalled, recalled_mask = model.project_memory(memory, memory.new_ones(memory.shape[:2], dtype=torch.bool))
        return torch.cat([states, recalled], 1), torch.cat([mask, recalled_mask], 1)


class LossModule(nn.Module):
    """Model and objective as one module, so that data parallelism sees a single forward per micro-batch."""

    def __init__(self, model: Captioner, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch) -> Tensor:
        """Loss sums [generative, denoising] of one micro-batch."""
        return self.objective(self.model, batch)
