"""Reads released ``.pth`` checkpoints of HiCM2 and VidChapters: tensors, renamed as in hicm, and plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hicm.errors import UserError
from hicm.systems.released import read_released_file, refuse_odd_tensors

HEAD = "t5.lm_head.weight"
EMBEDDINGS = ("t5.shared.weight", "t5.encoder.embed_tokens.weight", "t5.decoder.embed_tokens.weight",
              HEAD)  # one tied matrix; in T5 v1.1 the head is one of its own


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint: tensors under the names of hicm, and plain data about its training."""

    state: dict[str, Tensor]  # with one copy of the tied embedding matrix, and the head where it is another
    renamed: dict[str, str] = field(default_factory=dict)  # name in the file -> name in hicm, where they differ
    tied: tuple[str, ...] = ()  # copies of the embedding matrix in the file, by their names in hicm
    epoch: int | None = None  # last finished epoch, counted from 0
    args: dict[str, Any] = field(default_factory=dict)  # arguments of the training program
    dropped: tuple[str, ...] = ()  # other entries of the file, such as the state of the optimiser


def released_name(name: str) -> str:
    """The parameter name in hicm for a name in a released checkpoint.

    >>> released_name("ret2t5_proj.1.net.1.weight")
    'memory_projection.layers.1.linear.weight'
    >>> released_name("t5_model.shared.weight")
    't5.shared.weight'
    """
    name = name.removeprefix("module.")
    head, _, rest = name.partition(".")
    if head == "t5_model":
        return f"t5.{rest}"
    if head == "proj_v2t":
        return f"visual_projection.{rest}"
    if head == "ret2t5_proj":
        rest = rest.replace(".LayerNorm.", ".norm.").replace(".net.1.", ".linear.")
        return f"memory_projection.layers.{rest}"
    return name


def read_released(path: str | Path) -> dict[str, Tensor]:
    """State dict of a released training file under the names of hicm; raises as `read_checkpoint`."""
    return read_checkpoint(path).state


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The content of a released training file; the tensors stay on disk until they are used.

    Raises UserError as `read_released_file`, and when two keys map to the same name, when a value is not a tensor of
    floating point numbers, and when the copies of the embedding matrix differ.
    """
    content = read_released_file(path, "check the path (captioner.init, or the file to convert)",
                                 "HiCM2 and VidChapters")
    names = {name: released_name(name) for name in content.state}
    _refuse_doubles(names, path)
    refuse_odd_tensors(content.state, path, "captioner")
    ours = {names[name]: value for name, value in content.state.items()}
    copies = [name for name in EMBEDDINGS if name in ours]
    ours = untie(ours, str(path))
    tied = tuple(name for name in copies if name == EMBEDDINGS[0] or name not in ours)
    return Checkpoint(ours, {name: own for name, own in names.items() if name != own}, tied, content.epoch,
                      content.args, content.dropped)


def _refuse_doubles(names: Mapping[str, str], path: str | Path) -> None:
    first: dict[str, str] = {}
    for name, own in names.items():
        if own in first:
            raise UserError(f"{path}: {first[own]} and {name} are both {own}; remove one of them")
        first[own] = name


def untie(state: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """The state dict with one copy of the tied embedding matrix; changes ``state``.

    A head that differs from the embedding stays, under its own name.  Raises UserError when there is no embedding, or
    its copies differ.
    """
    copies = [name for name in EMBEDDINGS if name in state]
    if not copies:
        raise UserError(f"{where}: no embedding matrix ({EMBEDDINGS[0]}); is this a captioner checkpoint?")
    first = state[copies[0]]
    for name in copies[1:]:
        if torch.equal(state[name], first):
            del state[name]
        elif name != HEAD:
            raise UserError(f"{where}: {name} differs from {copies[0]}; T5's embedding matrices must be equal")
    state[EMBEDDINGS[0]] = state.pop(copies[0])
    return state
