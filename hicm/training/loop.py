"""The training loop.  It knows batches, losses and time; what they mean is left to the system.

Gradients equal those of one large batch: every loss is a sum over tokens divided by the number of tokens in all
micro-batches of all processes, so neither the number of processes nor ``accumulate`` changes what is learnt.
"""

import math
import random
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from tqdm import tqdm

from hicm.config import TrainConfig
from hicm.errors import UserError
from hicm.files import atomic_folder
from hicm.interrupts import Interrupted, deferred
from hicm.nn.dropout import masks_of
from hicm.systems.base import Learner
from hicm.training.batches import Index, plan_epoch
from hicm.training.checkpoint import Progress, load_checkpoint, previous, restore_previous, save_checkpoint
from hicm.training.evaluators import Evaluator
from hicm.training.log import Log
from hicm.training.optim import make_optimiser, optimiser_step, scheduled_rate
from hicm.training.processes import together


def run_loop(system: Learner, config: TrainConfig, folder: Path, run: str, accelerator: Accelerator,
             evaluators: Sequence[Evaluator] = ()) -> Progress:
    """Train to ``config.epochs``, continuing from ``folder/checkpoint.pt`` if there is one.

    ``config.precision`` is ``no`` or ``bf16`` (`hicm.training.precision.choose_precision`).

    Writes ``checkpoint.pt``, ``stats.jsonl``, ``best/`` (highest ``select_on``, the first on ties) and ``last/`` to
    ``folder``.  Raises UserError for the first step whose gradient is not finite, before anything of it is saved, and
    Interrupted after the step in which a signal came (`hicm.interrupts`), which is then in the checkpoint.
    """
    module = accelerator.prepare(system.module)
    optimiser = system.optimiser(module, config.lr) or make_optimiser(module, config.lr)
    checkpoint = folder / "checkpoint.pt"
    with together(accelerator):
        if accelerator.is_main_process:
            restore_previous(checkpoint)
    with together(accelerator):
        progress = load_checkpoint(checkpoint, run, accelerator.unwrap_model(module), optimiser,
                                   accelerator.num_processes)
    _refuse_different(checkpoint, progress, accelerator)
    for evaluator in evaluators if progress.epoch < config.epochs else ():
        evaluator.check(accelerator)
    lengths, groups = system.lengths() if config.by_length else None, system.groups()
    steps = len(_plan(system, config, accelerator, 0, lengths, groups))
    log = Log(folder, progress.lines, progress.step) if accelerator.is_main_process else None
    taken: list[_Taken] = []  # steps whose losses have not been waited for
    bar = tqdm(total=steps * config.epochs, initial=progress.step, desc="train", unit="step",
               disable=not accelerator.is_local_main_process)

    def save() -> None:
        _wait_for(taken, progress.window, system.losses)
        if log is not None:
            progress.lines = log.lines
            save_checkpoint(checkpoint, run, accelerator.unwrap_model(module), optimiser, progress)

    try:
        while progress.epoch < config.epochs:
            # the steps of one epoch; a signal waits until its step is saved, so that nothing is lost
            module.train()
            plan = _plan(system, config, accelerator, progress.epoch, lengths, groups)[progress.position:]
            with deferred() as signalled, masks_of(progress.masks):
                for batches in _group(system.batches([micro for step in plan for micro in step]), map(len, plan)):
                    began = time.perf_counter()
                    seed_all(config.seed, accelerator.process_index, progress.step)
                    lr = scheduled_rate(progress.step, steps, config)
                    numbers = _step(system, module, optimiser, batches, lr, config.clip, accelerator,
                                    config.precision == "bf16")
                    progress.step, progress.position = progress.step + 1, progress.position + 1
                    taken.append(_Taken(progress.step, numbers, time.perf_counter() - began, tuple(
                        video for batch in batches for video in getattr(batch, "ids", ()))))
                    bar.update()
                    reports = progress.step % config.log_every == 0
                    if reports or _is_known_at_once(accelerator.device):
                        _wait_for(taken, progress.window, system.losses)
                    if reports:
                        _report(log, bar, system, progress, steps, lr)
                    number = _on_any(signalled(), accelerator)
                    if number or progress.step % config.checkpoint_every == 0:
                        save()
                    if number:
                        accelerator.wait_for_everyone()  # a launcher ends all when the first one has ended
                        raise Interrupted(number)
                save()  # in the block: a signal may have come after the last step

            # evaluation and the best checkpoint so far
            epoch = progress.epoch + 1
            for evaluator in evaluators if config.is_evaluated(epoch) else ():
                scores = dict(evaluator(accelerator))
                if log is not None:
                    log.write(progress.step, epoch, split=evaluator.name, metrics=scores)
                    _keep_best(system, config, folder, run, progress, scores, bar)
            progress.epoch, progress.position = epoch, 0
            save()
        if log is not None:
            with atomic_folder(folder / "last") as last:
                system.save(last, run=run, step=progress.step)
            previous(checkpoint).unlink(missing_ok=True)
    finally:
        bar.close()
        if log is not None:
            log.close()
    accelerator.wait_for_everyone()
    return progress


def _refuse_different(checkpoint: Path, progress: Progress, accelerator: Accelerator) -> None:
    """UserError when processes on several machines see different run folders."""
    steps = gather_object([progress.step])
    with together(accelerator):
        if len(set(steps)) > 1 and accelerator.is_main_process:
            raise UserError(f"{checkpoint}: processes continue from different steps ({', '.join(map(str, steps))}); "
                            "put the run folder on a disk that all machines share")


def seed_all(seed: int, rank: int, step: int) -> None:
    """Seed every random generator for one step of one process, so that a resumed run draws the same numbers."""
    value = int(np.random.SeedSequence([seed, rank, step]).generate_state(1)[0])
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)  # CUDA devices too


def _plan(system: Learner, config: TrainConfig, accelerator: Accelerator, epoch: int,
          lengths: Sequence[int] | None, groups: Sequence[int] | None) -> list[list[list[Index]]]:
    return plan_epoch(system.size, config.batch, config.accumulate, accelerator.num_processes,
                      accelerator.process_index, config.seed, epoch, config.share, lengths, groups)


def _on_any(number: int, accelerator: Accelerator) -> int:
    """The signal that this process got, or SIGTERM where only others got one; 0: none, on all processes alike."""
    if accelerator.num_processes == 1:
        return number
    total = accelerator.reduce(torch.tensor(float(number), device=accelerator.device), "sum").item()
    return (number or signal.SIGTERM) if total else 0


def _group(batches: Iterable[Any], sizes: Iterable[int]) -> Iterator[list[Any]]:
    iterator = iter(batches)
    for size in sizes:
        yield [next(iterator) for _ in range(size)]


@dataclass(frozen=True)
class _Taken:
    """A step whose numbers may still be computed: losses per token and the norm of the gradient, float [n + 1]."""

    step: int  # counted from 1
    numbers: Tensor
    seconds: float
    videos: tuple[str, ...]


def _is_known_at_once(device: torch.device) -> bool:
    """Whether looking at a number does not hold up the program until the device has computed it."""
    return device.type == "cpu"


def _wait_for(taken: list[_Taken], window: list[list[float]], names: Sequence[str]) -> None:
    """Move steps to the window of the log, with their numbers.

    Raises UserError for the first one whose gradient is not finite; what came after it is of no use.
    """
    began = time.perf_counter()
    rows = torch.stack([one.numbers for one in taken]).tolist() if taken else []
    waited = time.perf_counter() - began
    for one, (*losses, norm) in zip(taken, rows, strict=True):
        if not math.isfinite(norm):
            values = ", ".join(f"{name} {value:.4g}" for name, value in zip(names, losses, strict=True))
            raise UserError(f"step {one.step}: the gradient is not finite (losses: {values}; videos: "
                            f"{', '.join(one.videos)}); check these videos with 'hicm data check', or lower train.lr "
                            "or train.clip")
        window.append([*losses, norm, one.seconds + waited / len(taken)])
    taken.clear()


def _step(system: Learner, module: nn.Module, optimiser: torch.optim.Optimizer, batches: list[Any], lr: float,
          clip: float, accelerator: Accelerator, bf16: bool) -> Tensor:
    """Forward, backward and update for the micro-batches of one step; returns losses per token and gradient norm.

    Where the norm is not finite, the weights are left unchanged if it is known at once, and otherwise lost.
    """
    batches = [batch.to(accelerator.device) for batch in batches]
    counts = accelerator.reduce(torch.stack([system.counts(batch) for batch in batches]).sum(0), "sum")
    sums = torch.zeros(len(system.losses), device=accelerator.device)
    for batch in batches[:-1]:
        with accelerator.no_sync(module):
            sums += _backward(system, module, batch, counts, accelerator, bf16)
    sums += _backward(system, module, batches[-1], counts, accelerator, bf16)
    means = accelerator.reduce(sums, "sum") / counts.clamp(min=1)
    try:
        norm = optimiser_step(module, optimiser, lr, clip, wait=_is_known_at_once(accelerator.device))
    except FloatingPointError:
        norm = means.new_tensor(math.nan)
    else:
        system.after_step()
    return torch.cat([means, norm.detach().float()[None]])


def _backward(system: Learner, module: nn.Module, batch: Any, counts: Tensor, accelerator: Accelerator,
              bf16: bool) -> Tensor:
    with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=bf16):
        sums = module(batch)
    sums = sums.float()
    # data parallelism averages gradients over processes, but counts cover all processes, so a sum is needed
    accelerator.backward(system.total(sums, counts) * accelerator.num_processes)
    return sums.detach()


def _report(log: Log | None, bar: "tqdm[Any]", system: Learner, progress: Progress, steps: int, lr: float) -> None:
    *losses, norm, seconds = np.mean(progress.window, axis=0).tolist()
    progress.window.clear()
    named = dict(zip(system.losses, losses, strict=True))
    bar.set_postfix({name: f"{value:.3f}" for name, value in named.items()}, refresh=False)
    if log is not None:
        loss = float(system.total(torch.tensor(losses), torch.ones(len(losses))))
        log.write(progress.step, progress.step / steps, lr=lr, loss=loss, **named, grad_norm=norm,
                  seconds=seconds)


def _keep_best(system: Learner, config: TrainConfig, folder: Path, run: str, progress: Progress,
               scores: dict[str, float], bar: "tqdm[Any]") -> None:
    score = scores.get(config.select_on)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
    bar.write(f"epoch {progress.epoch + 1}: {shown}")
    if score is not None and math.isfinite(score) and (progress.best is None or score > progress.best):
        progress.best, progress.best_step = score, progress.step
        with atomic_folder(folder / "best") as best:
            system.save(best, run=run, step=progress.step, epoch=progress.epoch + 1, metric=config.select_on,
                        score=score)
