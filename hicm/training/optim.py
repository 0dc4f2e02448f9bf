"""Adam, the learning-rate schedules and one optimiser step."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hicm.config import TrainConfig


def make_optimiser(model: nn.Module, lr: float) -> torch.optim.Adam:
    """Adam with betas 0.9/0.999, eps 1e-8, no weight decay, one group.

    On processors and CUDA it reads and writes each array once in a step; on other devices it takes all arrays at once.
    """
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in model.parameters())
    return torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.999), eps=1e-8, fused=fused, foreach=not fused)


def scheduled_rate(step: int, steps: int, config: TrainConfig) -> float:
    """The learning rate of optimiser step ``step`` (0-based) under ``train.schedule``, with ``steps`` in an epoch."""
    if config.schedule == "step":
        return step_rate(step // steps, config.lr, config.decay_after, config.decay)
    return learning_rate(step, steps * config.epochs, config.lr, config.warmup, config.schedule, config.schedule_lag)


def step_rate(epoch: int, peak: float, after: Sequence[int], decay: float) -> float:
    """The learning rate of ``epoch`` (0-based): ``peak`` times ``decay`` for each entry of ``after`` that has passed.

    >>> [step_rate(epoch, 1.0, [2, 3], 0.5) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.25, 0.25]
    """
    return peak * decay ** sum(epoch >= last for last in after)


def learning_rate(step: int, total: int, peak: float, warmup: float, schedule: str = "cosine",
                  lag: bool = False) -> float:
    """The learning rate of optimiser step ``step`` (0-based) of ``total``.

    Linear warm-up over the first round(warmup * total) steps, then a cosine down to 0 (or constant, without warm-up).
    ``lag`` is the released behaviour: the rate is set after the step, so step 0 runs at the peak and step 1 at 0.

    >>> [round(learning_rate(i, 10, 1.0, 0.2), 2) for i in (0, 1, 2, 9)]
    [0.5, 1.0, 1.0, 0.04]
    >>> [round(learning_rate(i, 10, 1.0, 0.2, lag=True), 2) for i in (0, 1, 2, 3)]
    [1.0, 0.0, 0.5, 1.0]
    """
    if schedule == "constant":
        return peak
    warm = round(warmup * total)
    if lag:
        if step == 0:
            return peak
        step -= 1
        if step < warm:
            return peak * step / max(1, warm)
    elif step < warm:
        return peak * (step + 1) / warm
    return peak * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm))) / 2


def optimiser_step(model: nn.Module, optimiser: torch.optim.Optimizer, lr: float, clip: float,
                   wait: bool = True) -> Tensor:
    """Clip the gradients to a global L2 norm of ``clip``, take a step with rate ``lr``, and clear the gradients.

    Returns the norm before clipping.  Raises FloatingPointError, leaving the weights unchanged, if it is not finite.
    Without ``wait`` nothing waits for the device: the weights are then lost, and the caller has to look at the norm.
    """
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    if wait and not torch.isfinite(norm):
        raise FloatingPointError(f"gradient norm {norm}")
    for group in optimiser.param_groups:
        group["lr"] = lr * group.get("scale", 1)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return norm
