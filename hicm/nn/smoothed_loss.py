"""Cross-entropy with label smoothing straight from hidden states, without logits of all positions and classes.

Shapes: N positions, d width, C classes.
"""

from typing import Any

import torch
from torch import Tensor

AT_ONCE = 2**24  # logits that exist at the same time


class _SmoothedLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, smoothing: float, padding: int) -> Tensor:
        device, classes = hidden.device.type, len(weight)
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        with torch.autocast(device, enabled=False):
            h, w = hidden.to(dtype), weight.to(dtype)
            learning = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
            of_h, of_w = torch.empty_like(h) if learning else None, None
            total = torch.zeros((), device=hidden.device)
            step = max(1, AT_ONCE // classes)
            for start in range(0, len(h), step):
                rows = slice(start, start + step)
                real, label = labels[rows] != padding, labels[rows, None]
                logits = (h[rows] @ w.t()).float()
                norm = logits.logsumexp(-1)
                loss = norm - (1 - smoothing) * logits.gather(1, label)[:, 0] - smoothing * logits.mean(-1)
                total += torch.where(real, loss, 0.0).sum()
                if of_h is None:
                    continue
                of_logits = logits.sub_(norm[:, None]).exp_().sub_(smoothing / classes)
                of_logits.scatter_add_(1, label, of_logits.new_full((), smoothing - 1).expand(label.shape))
                of_logits = of_logits.mul_(real[:, None]).to(dtype)
                torch.mm(of_logits, w, out=of_h[rows])
                if of_w is None:
                    of_w = of_logits.t() @ h[rows]
                    of_w = of_w if len(h) <= step else of_w.float()
                else:
                    of_w += of_logits.t() @ h[rows]
        ctx.save_for_backward(of_h, of_w)
        ctx.dtypes = hidden.dtype, weight.dtype
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        found = [None if x is None else (x * gradient).to(dtype)
                 for x, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)]
        return found[0], found[1], None, None, None


def smoothed_loss(hidden: Tensor, weight: Tensor, labels: Tensor, smoothing: float, padding: int) -> Tensor:
    """The sum over positions of the cross-entropies of the logits ``hidden @ weight.T``: float32 [].

    hidden [N, d], weight [C, d], labels int64 [N]; those that are ``padding`` count nothing.  ``smoothing`` is the
    share of the target that is spread evenly over all classes.  Under autocast products have its dtype; softmax and
    sums are float32.  The gradients are computed with the loss, for a part of the positions at a time.
    """
    if hidden.device.type == "cpu":  # elsewhere the number of positions would have to be waited for
        real = labels != padding
        hidden, labels = hidden[real], labels[real]
    return _SmoothedLoss.apply(hidden, weight, labels, smoothing, padding)
