"""Checkpoints: everything a run needs to continue, written atomically and read without executing code.

The one before the newest is kept, for the case that a disk or a machine fails while the newest is written.
"""

import warnings
import zipfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hicm.data.torch_files import read_torch
from hicm.errors import UserError, reason
from hicm.files import atomic
from hicm.nn.dropout import MASKS

FORMAT = 1


@dataclass
class Progress:
    """The progress of a run.

    The states of random generators are not stored: they are all seeded before every step from (seed, rank, step), and
    the order of videos and their masked spans from (seed, epoch), so ``step`` restores them too.
    """

    processes: int = 1  # processes that share each step
    masks: str = MASKS  # what draws those of dropout on processors: MASKS of hicm.nn.dropout, or torch
    step: int = 0  # finished optimiser steps
    epoch: int = 0  # finished epochs
    position: int = 0  # finished steps of the current epoch
    best: float | None = None  # best score of the selection metric so far
    best_step: int = 0
    lines: int = 0  # lines of stats.jsonl
    window: list[list[float]] = field(default_factory=list)  # losses since the last log line


def save_checkpoint(path: Path, run: str, module: nn.Module, optimiser: torch.optim.Optimizer,
                    progress: Progress) -> None:
    """Write model, optimiser and progress; the learning-rate schedule is a function of the step.

    A checkpoint that is there becomes the `previous` one.
    """
    with atomic(path) as temporary:
        try:
            torch.save({"format": FORMAT, "run": run, "model": module.state_dict(),
                        "optimiser": optimiser.state_dict(), "progress": asdict(progress)}, temporary)
        except RuntimeError as error:  # how torch reports a full disk
            raise OSError(str(error).splitlines()[0]) from error
        if path.exists():
            path.replace(previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before the one in ``path`` is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def restore_previous(path: Path) -> None:
    """Put the previous checkpoint, if there is one, in the place of a missing or damaged one, with a warning."""
    former = previous(path)
    if not former.exists():
        return
    if path.exists():
        if not _is_damaged(path):
            return
        warnings.warn(f"{path}: is damaged; training continues from the checkpoint before it", stacklevel=2)
    former.replace(path)  # missing: the process was killed between two renamings


def _is_damaged(path: Path) -> bool:
    """Whether a file is not the whole archive that torch wrote, a checksum in it is wrong, or it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return True
        _read(path)
    except PermissionError:  # not damaged; loading it says what is wrong
        return False
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError, UserError):
        return True
    return False


def load_checkpoint(path: Path, run: str, module: nn.Module, optimiser: torch.optim.Optimizer,
                    processes: int = 1) -> Progress:
    """Restore model and optimiser in place; return the progress (a new one if there is no checkpoint).

    Raises UserError when the file is damaged, belongs to another run, or was written with another number of processes
    (the position within an epoch would then mean other videos).
    """
    if not path.exists():
        return Progress(processes)
    content = _read(path)
    if content.get("format") != FORMAT or content.get("run") != run:
        raise UserError(f"{path}: belongs to run {content.get('run')}, not {run}; choose another output folder")
    try:
        progress = Progress(**{"masks": "torch"} | content["progress"])  # before masks were recorded, torch drew them
        restored = content["model"], content["optimiser"]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: checkpoint lacks its {error}; remove it to start the run again") from error
    if progress.processes != processes:
        raise UserError(f"{path}: the run was started with {progress.processes} process(es), not {processes}; "
                        f"continue it with {progress.processes}")
    try:
        module.load_state_dict(restored[0])
        optimiser.load_state_dict(restored[1])
    except Exception as error:  # torch raises nearly anything when the content does not fit
        raise UserError(f"{path}: checkpoint does not fit the model ({reason(error)}); remove it to start the run "
                        "again") from error
    return progress


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_torch(path, mmap=False)
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{path}: checkpoint cannot be read; remove it to start the run again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a dict, found {type(content).__name__}; remove it to start the run again")
    return content
