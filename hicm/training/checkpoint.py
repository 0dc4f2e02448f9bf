"""All that a run needs to continue: written atomically, read without executing code."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hicm.errors import UserError
from hicm.files import atomic

FORMAT = 1


@dataclass
class Progress:
    """Where a run stands.

    The states of the random generators are not stored: before every step they are all seeded from (seed, rank,
    step), and the order of videos and their masked spans from (seed, epoch), so ``step`` restores them too.
    """

    processes: int = 1  # that share every step
    step: int = 0  # optimiser steps done
    epoch: int = 0  # epochs done
    position: int = 0  # steps done of the current epoch
    best: float | None = None  # best score of the selection metric so far
    best_step: int = 0
    lines: int = 0  # lines of stats.jsonl
    window: list[list[float]] = field(default_factory=list)  # losses since the last log line


def save_checkpoint(path: Path, run: str, module: nn.Module, optimiser: torch.optim.Optimizer,
                    progress: Progress) -> None:
    """Write model, optimiser and progress; the schedule is a function of the step."""
    with atomic(path) as temporary:
        try:
            torch.save({"format": FORMAT, "run": run, "model": module.state_dict(),
                        "optimiser": optimiser.state_dict(), "progress": asdict(progress)}, temporary)
        except RuntimeError as error:  # how torch reports a full disk
            raise OSError(str(error).splitlines()[0]) from error


def load_checkpoint(path: Path, run: str, module: nn.Module, optimiser: torch.optim.Optimizer,
                    processes: int = 1) -> Progress:
    """Restore model and optimiser in place; returns the progress (a fresh one when there is no checkpoint).

    Raises UserError when the file is damaged, belongs to another run, or was written by another number of processes
    (the place within an epoch would mean other videos).
    """
    if not path.exists():
        return Progress(processes)
    content = _read(path)
    if content.get("format") != FORMAT or content.get("run") != run:
        raise UserError(f"{path}: belongs to run {content.get('run')}, not {run}; choose another output folder")
    progress = Progress(**content["progress"])
    if progress.processes != processes:
        raise UserError(f"{path}: the run was begun by {progress.processes} process(es), not {processes}; continue "
                        "with as many")
    module.load_state_dict(content["model"])
    optimiser.load_state_dict(content["optimiser"])
    return progress


def _read(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{path}: checkpoint cannot be read; remove it to start the run again") from error
