"""The losses of a training step: ours, and plainly, with the modules of transformers as they come."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from hicm.nn.dropout import masks_of
from hicm.nn.trained import Trained
from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.bench.made_up import BINS, SIZES, Size, make_model, training_batch
from hicm.systems.captioner.bench.reference import Reference
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.objective import LossModule, Objective
from hicm.systems.captioner.vocabulary import PAD

IGNORED = -100  # a label of transformers


class StepCase:
    """A model and a batch of a size, and the scalar that each way minimises.

    ``released`` is the published second pass, which appends what the memory recalls once more (the preset released);
    what is recalled is given, to all sides.
    """

    def __init__(self, size: str, device: str) -> None:
        self.size: Size = SIZES[size]
        self.model: Captioner = make_model(self.size, device)
        self.batch: Batch = training_batch(self.size, device)
        self.videos = self.size.batch
        self.tokens = int(sum((getattr(self.batch, name) != PAD).sum() for name in
                              ("speech", "target", "noisy_speech", "noisy_target")))

    def describe(self) -> dict[str, Any]:
        """Sizes of model and data."""
        batch = self.batch
        return {"parameters": sum(parameter.numel() for parameter in self.model.parameters()), "videos": self.videos,
                "frames": self.size.frames, "recalled": batch.memory.shape[1], "speech_tokens": batch.speech.shape[1],
                "target_tokens": batch.target.shape[1], "noisy_speech_tokens": batch.noisy_speech.shape[1],
                "noisy_target_tokens": batch.noisy_target.shape[1]}

    def ours(self, released: bool = False) -> Trained:
        """As `hicm train`."""
        batch, again = self.batch, (self.batch.memory, self.batch.memory_mask)
        module = LossModule(self.model, Objective(reread=(lambda *_: again) if released else None))

        def loss() -> Tensor:
            return module.objective.total(module(batch).float(), module.objective.token_counts(batch))

        return module, loss, self._rescale

    def plain(self) -> Trained:
        """The same with the modules, attention, dropout and losses of torch and transformers, as released."""
        def loss() -> Tensor:
            with masks_of("torch"):
                visual = self.model.encode_video(self.batch)
                recalled = self.model.project_memory(self.batch.memory, self.batch.memory_mask)
                again = tuple(torch.cat(pair, 1) for pair in zip(visual, recalled, strict=True))
                return (_plain_pass(self.model, visual, self.batch.speech, self.batch.target)
                        + _plain_pass(self.model, (again[0], again[1]), self.batch.noisy_speech,
                                      self.batch.noisy_target))

        return self.model, loss, self._rescale

    def reference(self, folder: Path) -> Trained:
        """The authors' model with the same weights."""
        return Reference(folder, self.model).training(self.batch)

    def _rescale(self) -> None:
        self.model.rescale_time_tokens(BINS)


def _plain_pass(model: Captioner, visual: tuple[Tensor, Tensor], speech: Tensor, target: Tensor) -> Tensor:
    states = model.t5.encoder(inputs_embeds=model.t5.shared(speech), attention_mask=(speech != PAD).long())
    found = model.t5(encoder_outputs=BaseModelOutput(torch.cat([visual[0], states.last_hidden_state], 1)),
                     attention_mask=torch.cat([visual[1], speech != PAD], 1).long(),
                     decoder_input_ids=F.pad(target[:, :-1], (1, 0), value=PAD), use_cache=False)
    labels = target.masked_fill(target == PAD, IGNORED)
    return F.cross_entropy(found.logits.flatten(0, 1), labels.flatten(), label_smoothing=0.1, ignore_index=IGNORED)
