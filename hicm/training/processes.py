"""The processes that share a training or a prediction: how they start, keep in step and share the work."""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin, InitProcessGroupKwargs, broadcast_object_list, gather_object

from hicm import ranks
from hicm.data.samples import Samples
from hicm.errors import UserError, reason
from hicm.ranks import ReportedElsewhere
from hicm.systems.base import System

T = TypeVar("T")

# Processes wait for one that scores, recalls or predicts longer; one that has died ends the others long before.
PATIENCE = timedelta(hours=12)
UNSUPPORTED = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
               "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM", "ACCELERATE_USE_PARALLELISM_CONFIG": "parallelism_config"}


def start_accelerator() -> Accelerator:
    """The processes and devices of this command.

    Raises UserError for what accelerate may be configured to do and hicm does not: each process has the whole model.
    By itself, accelerate would use only one of several processes on a machine without a GPU, so it is told to use CPUs.
    """
    for variable, name in UNSUPPORTED.items():
        if os.environ.get(variable, "").lower() == "true":
            raise UserError(f"accelerate: {name} is not supported, each GPU holds the whole model; launch with "
                            "--multi_gpu, or with --config_file configs/accelerate/ddp.yaml")
    ranks.check_launch()
    local, gpus = int(os.environ.get("LOCAL_WORLD_SIZE") or 1), torch.cuda.device_count()
    if ranks.are_several() and os.environ.get("ACCELERATE_USE_CPU", "").lower() != "true" and 0 < gpus < local:
        raise UserError(f"{local} processes were started on a machine with {gpus} GPU{'s' * (gpus > 1)}; start at "
                        "most one per GPU")
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION") or "no"
    if precision != "no" and ranks.reports():
        warnings.warn(f"accelerate: mixed_precision {precision} is not read; train.precision decides", stacklevel=2)
    accelerator = Accelerator(
        mixed_precision="no", cpu=ranks.are_several() and not torch.accelerator.is_available(),
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),  # the loop does it, and nothing is scaled
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)])
    ranks.joined()
    return accelerator


@contextlib.contextmanager
def together(accelerator: Accelerator) -> Iterator[None]:
    """A block that all processes leave together: where one fails, all do, and it alone reports why.

    Processes must not wait for each other inside.
    """
    failed: Exception | None = None
    try:
        yield
    except Exception as error:
        failed = error
    if accelerator.num_processes > 1:
        said: list[str | None] = gather_object([None if failed is None else str(failed)])
        first = next((rank for rank, one in enumerate(said) if one is not None), None)
        if first not in (None, accelerator.process_index):
            raise ReportedElsewhere(f"process {first}: {said[first or 0]}") from failed
    if failed is not None:
        raise failed


@contextlib.contextmanager
def connected(accelerator: Accelerator) -> Iterator[None]:
    """In the block, the end of another process is a UserError, not a traceback of the connection that broke."""
    try:
        yield
    except RuntimeError as error:
        if accelerator.num_processes == 1 or not _is_of_connection(error):
            raise
        raise UserError("another process of this command ended (see its message); run the same command again to "
                        f"continue. The connection said: {reason(error)}") from error


def _is_of_connection(error: RuntimeError) -> bool:
    return isinstance(error, torch.distributed.DistError) or any(one in str(error).lower() for one in ("gloo", "nccl"))


def main_first(accelerator: Accelerator, work: Callable[[], T]) -> T:
    """The result of ``work``, which the others do when the main process has, and has left its files."""
    found: list[T] = []
    for turn in (True, False):
        with together(accelerator):
            if accelerator.is_main_process is turn:
                found.append(work())
    return found[0]


def on_main(accelerator: Accelerator, work: Callable[[], T]) -> T:
    """The result of ``work`` of the main process, on all."""
    found: list[T | None] = [None]
    with together(accelerator):
        if accelerator.is_main_process:
            found = [work()]
    broadcast_object_list(found)
    return found[0]  # type: ignore[return-value]  # that of the main process


def own_share(system: System, samples: Samples, accelerator: Accelerator) -> Samples:
    """The samples that this process predicts: every n-th batch of one process, whole, so that nothing changes."""
    if accelerator.num_processes == 1:
        return samples
    batches = system.prediction_batches(samples)[accelerator.process_index::accelerator.num_processes]
    return samples.take([row for batch in batches for row in batch])
