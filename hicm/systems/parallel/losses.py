"""The losses of CM2 and PDVC: which queries are events, where they lie, how many there are, and their words.

Every loss is divided by the number of events of its video (the words: by that of matched pairs) and summed over videos;
that of overlaps is a mean over queries.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hicm.nn.segments import giou, tiou
from hicm.systems.parallel.batch import Batch
from hicm.systems.parallel.captioner import END
from hicm.systems.parallel.matcher import ALPHA, match
from hicm.systems.parallel.model import Layer, Output, Parallel
from hicm.systems.parallel.overlap import overlap_loss
from hicm.systems.parallel.settings import ObjectiveSettings

NAMES = ("event", "iou", "l1", "count", "caption")
SPREAD = 8.0  # of the counter's loss around the true number: twice the variance

# Share of the training videos of ActivityNet Captions that have 0, 1, ... 20 events, as PDVC's code has it.
ACTIVITYNET = (0, 0, .19342592, .41212908, .18892996, .07812968, .05095414, .03127186, .01848337, .00839245, .00659407,
               .00449595, .00219802, .00179838, .00059946, .00049955, .00049955, .00019982, .00029973, .00039964,
               .00029973)


def loss_names(layers: int, overlap: bool = False) -> tuple[str, ...]:
    """Names of the losses of all decoder layers: the last one's, then ``event_0``, ... of those before."""
    names = (*NAMES, "overlap") if overlap else NAMES
    return tuple(f"{name}{end}" for end in ("", *(f"_{layer}" for layer in range(layers - 1))) for name in names)


def count_shares(events: list[int], most: int) -> Tensor:
    """The share of videos with 0, 1, ... ``most`` (or more) events: float32 [most + 1]."""
    found = torch.bincount(torch.tensor(events, dtype=torch.int64).clamp(max=most), minlength=most + 1)
    return found / max(1, len(events))


class LossModule(nn.Module):
    """Model and losses as one module, which the training loop calls."""

    shares: Tensor

    def __init__(self, model: Parallel, settings: ObjectiveSettings, shares: Tensor) -> None:
        """``shares``: see `count_shares`; rare numbers of events weigh more."""
        super().__init__()
        self.model, self.settings = model, settings
        self.register_buffer("shares", shares, persistent=False)
        weights = [getattr(settings, name) for name in loss_names(1, bool(settings.overlap))]
        self.weights = torch.tensor(weights * model.settings.decoder_layers)

    def forward(self, batch: Batch) -> Tensor:
        """Sums over videos, in the order of `loss_names`: float32 [n]."""
        return self.of(self.model(batch), batch)

    def of(self, output: Output, batch: Batch) -> Tensor:
        """The same for the output of the model."""
        return torch.stack([self.layer(output, layer, batch) for layer in
                            (output.layers[-1], *output.layers[:-1])]).flatten()

    def layer(self, output: Output, layer: Layer, batch: Batch) -> Tensor:
        """Sums over videos of the losses of one layer: float32 [5 or 6], in the order of `loss_names`."""
        video, query, event = self.pairs(layer, batch)
        share = 1 / batch.events.clamp(min=1)  # float32 [B]
        boxes, targets = layer.boxes[video, query], batch.boxes[video, event]
        found = [
            (self.events(layer, video, query, tiou(boxes, targets)).sum(1) * share).sum(),
            ((1 - giou(boxes, targets)) * share[video]).sum(),
            ((boxes - targets).abs().sum(1) * share[video]).sum(),
            counter(layer.counts, batch.events, self.shares).sum(),
            self.caption(output, layer, batch, video, query, event)]
        if self.settings.overlap:
            found.append(overlap_loss(layer.boxes, batch.boxes, batch.events, layer.kept).sum())
        return torch.stack(found)

    def events(self, layer: Layer, video: Tensor, query: Tensor, overlaps: Tensor) -> Tensor:
        """Losses [B, Q] of being an event, for matched pairs whose tIoU is ``overlaps`` [N]; 0 for queries left out."""
        wanted = torch.zeros_like(layer.events)
        if self.settings.quality == "tiou":
            wanted[video, query] = overlaps.detach().to(wanted.dtype)
            losses = varifocal(layer.events, wanted)
        else:
            wanted[video, query] = 1
            losses = focal(layer.events, wanted)
        return losses if layer.kept is None else losses * layer.kept

    def pairs(self, layer: Layer, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Matched pairs of the batch: video, query of it and event of it, int64 [N] each."""
        found, kept = [], torch.ones_like(layer.events, dtype=torch.bool) if layer.kept is None else layer.kept
        for row, count in enumerate(batch.events.tolist()):
            left = kept[row].nonzero().squeeze(1)
            queries, events = match(layer.events[row, left].detach(), layer.boxes[row, left].detach(),
                                    batch.boxes[row, :count], self.settings.event, self.settings.iou)
            found.append((left[queries], events))
        rows = torch.arange(len(found), device=batch.events.device)
        video = rows.repeat_interleave(torch.tensor([len(queries) for queries, _ in found], device=rows.device))
        return video, torch.cat([queries for queries, _ in found]), torch.cat([events for _, events in found])

    def caption(self, output: Output, layer: Layer, batch: Batch, video: Tensor, query: Tensor,
                event: Tensor) -> Tensor:
        """Sum over videos of the mean over their pairs of the mean loss per word, the closing 0 included."""
        words = batch.words[video, event]
        logs = self.model.captions(self.model.caption_inputs(output, layer, video, query), words[:, :-1])
        losses = -logs.gather(2, words[:, 1:, None]).squeeze(2)
        real = F.pad(words[:, 1:-1] != END, (1, 0), value=True)  # the words, and the place after the last one
        each = (losses * real).sum(1) / (real.sum(1) + 1e-6)
        pairs = torch.bincount(video, minlength=len(batch.ids)).clamp(min=1)
        return (each / pairs[video]).sum()


def focal(logits: Tensor, wanted: Tensor) -> Tensor:
    """Sigmoid focal loss with gamma 2 (Lin et al., ICCV 2017), element by element."""
    losses = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    share = logits.sigmoid()
    missed = wanted * (1 - share) + (1 - wanted) * share
    return (wanted * ALPHA + (1 - wanted) * (1 - ALPHA)) * losses * missed.square()


def varifocal(logits: Tensor, wanted: Tensor) -> Tensor:
    """Varifocal loss, eq. 2 of VarifocalNet (Zhang et al., CVPR 2021; alpha 0.75, gamma 2), element by element.

    ``wanted``: the tIoU of matched queries with their events, 0 for the others.  Good matches weigh more.
    """
    losses = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return torch.where(wanted > 0, wanted, (1 - ALPHA) * logits.sigmoid().square()) * losses


def counter(logits: Tensor, events: Tensor, shares: Tensor) -> Tensor:
    """Loss [B] of logits [B, C] of the number of events int64 [B]; wrong numbers near the true one cost less."""
    number = torch.arange(logits.shape[1], device=logits.device)
    true = events.clamp(max=logits.shape[1] - 1)[:, None]
    near = torch.where(number == true, 1, 1 - (-(number - true).square() / SPREAD).exp())
    losses = F.binary_cross_entropy_with_logits(logits, (number == true).to(logits.dtype), reduction="none")
    return (losses * (1 - shares) * near).mean(1)
