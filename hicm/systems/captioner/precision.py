"""How well frame saliency tells frames inside events from those outside, for the log of a training."""

import torch

from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.model import Captioner


@torch.inference_mode()
def frame_precisions(model: Captioner, batch: Batch) -> list[float]:
    """The average precision of the real frames of every video with frames of both kinds; empty without saliency."""
    from sklearn.metrics import average_precision_score

    scores = model.encode_and_score(batch)[1]
    if scores is None or batch.inside is None:
        return []
    rows = ((inside[mask], one[mask]) for inside, one, mask in zip(batch.inside, scores, batch.frame_mask, strict=True))
    return [float(average_precision_score(inside.cpu().numpy(), one.float().cpu().numpy())) for inside, one in rows
            if inside.any() and not inside.all()]
