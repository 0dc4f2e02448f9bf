"""The two losses of Vid2Seq: caption the video and restore masked speech (Yang et al., CVPR 2023)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hicm.nn.smoothed_loss import smoothed_loss
from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.model import Captioner, shifted
from hicm.systems.captioner.saliency import listwise_loss
from hicm.systems.captioner.vocabulary import PAD

# rows [B, N, d], their mask [B, N] and the ids of the videos -> recalled vectors [B, S, D] and their mask [B, S]
Reread = Callable[[Tensor, Tensor, Sequence[str]], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Objective:
    """Weights of the losses; a weight of 0 skips the forward pass of its loss.

    With ``word_dropout`` the decoder does not see that share of the words before, so that it has to look at what it is
    given (Bowman et al., CoNLL 2016); it does see all times.  ``reread`` is None when the denoising pass shares the
    memory tokens of the generative pass (the default).  Otherwise it is the released second pass: the concatenated
    visual and memory tokens are treated as frames, the memory is read again with them, and the vectors recalled are
    appended as further tokens.  ``saliency`` is the weight of `saliency.listwise_loss`, for models that score frames.
    """

    generative: float = 1.0
    denoising: float = 1.0
    label_smoothing: float = 0.1
    word_dropout: float = 0.0
    reread: Reread | None = None
    saliency: float = 0.0

    @property
    def weights(self) -> dict[str, float]:
        """The weights of the losses by name, in the order of their sums."""
        return {"generative": self.generative, "denoising": self.denoising} | (
            {"saliency": self.saliency} if self.saliency else {})

    def token_counts(self, batch: Batch) -> Tensor:
        """Target tokens of each loss without padding, and videos of the saliency loss: int64 [losses]."""
        counts = [(batch.target != PAD).sum(), (batch.noisy_target != PAD).sum()]
        if self.saliency:
            counts.append(_salient(batch.frames.new_zeros(batch.frame_mask.shape), batch)[1])
        return torch.stack(counts)

    def __call__(self, model: Captioner, batch: Batch) -> Tensor:
        """Sums over tokens of the label-smoothed cross-entropies, and over videos of the saliency loss: float [losses].

        Divide by the `token_counts` of all micro-batches and processes of a step to get the means over tokens.
        """
        visual, scores = model.encode_and_score(batch)
        zero = visual[0].new_zeros((), dtype=torch.float32)
        passes = [(batch.speech, batch.target)] if self.generative else []
        passes += [(batch.noisy_speech, batch.noisy_target)] if self.denoising else []
        embedded = model.embed(*(ids for speech, target in passes for ids in (speech, shifted(target))))
        generative = denoising = zero
        if self.generative:
            generative = self._generative(model, visual, batch, *embedded[:2])
        if self.denoising:
            if self.reread is not None:
                visual = _with_second_read(model, visual, batch.ids, self.reread)
            denoising = self._pass(model, visual, *passes[-1], *embedded[-2:])
        sums = [generative, denoising]
        if self.saliency:
            sums.append(zero if scores is None else _salient(scores, batch)[0])
        return torch.stack(sums)

    def total(self, sums: Tensor, counts: Tensor) -> Tensor:
        """The weighted sum of the means."""
        weights = sums.new_tensor(list(self.weights.values()))
        return (weights * sums / counts.clamp(min=1)).sum()

    def _generative(self, model: Captioner, visual: tuple[Tensor, Tensor], batch: Batch, heard: Tensor,
                    written: Tensor) -> Tensor:
        encoded = model.concatenate(visual, batch.speech, heard)
        if self.word_dropout and model.training:
            written = _without_some_words(written, shifted(batch.target), self.word_dropout, model.text_size)
        context = model.context(batch, encoded[1])
        if context is None or model.pointing is None:
            seen = None if context is None else model.seen(model.events(shifted(batch.target)), context)
            return self._loss(model, model.decode(encoded, written, seen), batch.target)
        scores = model.scores(encoded, context, batch.target, written).float()
        return cross_entropy(scores.transpose(1, 2), batch.target, ignore_index=PAD, reduction="sum",
                             label_smoothing=self.label_smoothing)

    def _pass(self, model: Captioner, visual: tuple[Tensor, Tensor], speech: Tensor, target: Tensor,
              heard: Tensor, written: Tensor) -> Tensor:
        """``heard`` and ``written`` are the embeddings of the speech and of the decoder input."""
        return self._loss(model, model.decode(model.concatenate(visual, speech, heard), written), target)

    def _loss(self, model: Captioner, hidden: Tensor, target: Tensor) -> Tensor:
        return smoothed_loss(hidden.flatten(0, 1), model.t5.lm_head.weight, target.flatten(), self.label_smoothing, PAD)


def _salient(scores: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """`listwise_loss` over the frames that the model sees."""
    mask = batch.frame_mask if batch.hidden is None else batch.frame_mask & ~batch.hidden
    inside = torch.zeros_like(mask) if batch.inside is None else batch.inside
    return listwise_loss(scores, inside, mask)


def _without_some_words(embedded: Tensor, ids: Tensor, rate: float, text_size: int) -> Tensor:
    """Embeddings [B, L, d] of the ids [B, L], zero for a share of the words."""
    hidden = (torch.rand(ids.shape, device=ids.device) < rate) & (ids != PAD) & (ids < text_size)
    return embedded.masked_fill(hidden[:, :, None], 0.0)


def _with_second_read(model: Captioner, visual: tuple[Tensor, Tensor], ids: Sequence[str],
                      reread: Reread) -> tuple[Tensor, Tensor]:
    """The visual tokens and their mask, with the tokens that a second read of the memory recalls for them appended."""
    states, mask = visual
    recalled, recalled_mask = model.project_memory(*reread(states.detach(), mask, ids))
    return torch.cat([states, recalled], 1), torch.cat([mask, recalled_mask], 1)


class LossModule(nn.Module):
    """Model and objective in one module, so that data parallelism sees one forward call per micro-batch."""

    def __init__(self, model: Captioner, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch) -> Tensor:
        """Loss sums of one micro-batch, in the order of `Objective.weights`."""
        return self.objective(self.model, batch)
