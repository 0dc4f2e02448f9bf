"""The loss that brings together segments and sentences: contrast within a batch, from segment to sentence."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hicm.nn.segments import TINY, pairwise_giou
from hicm.systems.moments.batch import Batch
from hicm.systems.moments.model import Output

TEMPERATURE = 0.5
ROUNDING = 1e-6  # of float32: moments of 18 and 20 seconds that overlap fully are 0.9 alike


def sentence_losses(output: Output, batch: Batch, same: float) -> Tensor:
    """The loss of each query, float32 [B].

    A sentence is the mean of its words and, where there is one, its token; what it recalls takes no part.  Queries of
    its group whose moments have a generalised IoU of ``same`` or more with its own are right answers, too.
    """
    segments = _mean(output.frames[batch.video], batch.relevant)
    texts, mask = output.words, batch.word_mask
    if output.sentence is not None:
        texts, mask = torch.cat([output.sentence[:, None], texts], 1), F.pad(mask, (1, 0), value=True)
    sentences = _mean(texts, mask)
    logs = (F.cosine_similarity(segments[:, None], sentences[None], dim=2) / TEMPERATURE).log_softmax(1)
    right = right_answers(batch, same)
    return -(logs * right).sum(1) / right.sum(1)


def right_answers(batch: Batch, same: float) -> Tensor:
    """bool [B, B]; every query is one of its own."""
    start, end = batch.hulls.double().unbind(1)
    boxes = torch.stack([(start + end) / 2, end - start], 1)
    near = pairwise_giou(boxes, boxes, TINY) >= same - ROUNDING
    itself = torch.eye(len(near), dtype=torch.bool, device=near.device)
    return (batch.group[:, None] == batch.group) & near | itself


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    """The mean over the rows in ``mask`` bool [B, N] of x [B, N, d]; 0 where there are none."""
    return (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
