"""Reads released ``.pth`` checkpoints: tensors, renamed as in hicm, and plain data; nothing in a file is executed."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hicm.data.torch_files import read_torch, refuse_odd
from hicm.errors import UserError
from hicm.files import require
from hicm.nn.weights import some

HEAD = "t5.lm_head.weight"
EMBEDDINGS = ("t5.shared.weight", "t5.encoder.embed_tokens.weight", "t5.decoder.embed_tokens.weight",
              HEAD)  # one tied matrix; in T5 v1.1 the head is one of its own
PLAIN = (str, int, float, bool, type(None))
DEPTH = 4  # deepest nesting of lists and dicts in the settings of a released file


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

    Reads only tensors and an ``argparse.Namespace`` of plain data.  Raises UserError when the file is missing, damaged
    or would execute code, when two keys map to the same name, when a value is not a tensor of floating point numbers,
    and when the copies of the embedding matrix differ.
    """
    path = require(path, "checkpoint", "check the path (captioner.init, or the file to convert)")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = read_torch(path)
    except Exception as error:  # a damaged or malicious file can raise nearly anything
        begin = _first_byte(path)
        reason = first_line(error) if begin in (b"P", b"\x80") else "not a file of PyTorch"  # a zip file or a pickle
        raise UserError(f"{path}: checkpoint refused ({reason}); {_expected(begin)}") from error
    whole = isinstance(content, dict) and "model" in content
    state = content["model"] if whole else content
    if not isinstance(state, dict) or not state or not all(isinstance(name, str) for name in state) \
            or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: expected a state dict, or a dict with 'model', as HiCM2 and VidChapters write")
    names = {name: released_name(name) for name in state}
    _check_tensors(state, names, path)
    ours = {names[name]: value for name, value in state.items()}
    copies = [name for name in EMBEDDINGS if name in ours]
    ours = untie(ours, str(path))
    tied = tuple(name for name in copies if name == EMBEDDINGS[0] or name not in ours)
    args, epoch = (content.get("args"), content.get("epoch")) if whole else (None, None)
    return Checkpoint(ours, {name: own for name, own in names.items() if name != own}, tied,
                      epoch if type(epoch) is int else None, _plain_args(args, path),
                      tuple(sorted(map(str, set(content) - {"model", "epoch", "args"}))) if whole else ())


def _first_byte(path: Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(1)
    except OSError:
        return b""


def _expected(first: bytes) -> str:
    """What the file should hold; for a Flax file, known by its first byte, what to use instead."""
    if first and (0x81 <= first[0] <= 0x8f or first[0] in (0xde, 0xdf)):  # a msgpack map
        return "it looks like a Flax checkpoint (scenic's Vid2Seq), which is not supported; use a .pth of VidChapters"
    return "expected a .pth of tensors and plain data"


def _check_tensors(state: Mapping[str, Tensor], names: Mapping[str, str], path: Path) -> None:
    first: dict[str, str] = {}
    for name, own in names.items():
        if own in first:
            raise UserError(f"{path}: {first[own]} and {name} are both {own}; remove one of them")
        first[own] = name
    odd = [f"{name} ({value.layout}, {value.dtype})" for name, value in state.items()
           if value.layout != torch.strided or not value.is_floating_point()]
    if odd:
        raise UserError(f"{path}: expected floating point numbers, found {some(odd)}; is this a captioner checkpoint?")
    for name, value in state.items():
        try:
            refuse_odd(value, name)
        except ValueError as error:
            raise UserError(f"{path}: {error}; is the file complete?") from error


def _plain_args(args: Any, path: Path) -> dict[str, Any]:
    """The Namespace (or dict) of arguments in a released file as plain data."""
    if args is None:
        return {}
    values = vars(args) if isinstance(args, argparse.Namespace) else args
    if not isinstance(values, dict):
        raise UserError(f"{path}: args is a {type(args).__name__}, expected an argparse.Namespace or a dict; save the "
                        "file without it")
    return {str(name): _plain(value, f"args.{name}", path, DEPTH) for name, value in values.items()}


def _plain(value: Any, name: str, path: Path, depth: int) -> Any:
    if type(value) in PLAIN:
        return value
    if depth and type(value) in (list, tuple, set):
        return [_plain(item, name, path, depth - 1) for item in value]
    if depth and type(value) is dict:
        return {str(key): _plain(item, f"{name}.{key}", path, depth - 1) for key, item in value.items()}
    what = f"a {type(value).__name__}" if depth else "data nested too deeply"
    raise UserError(f"{path}: {name} is {what}; expected text, numbers, booleans, and lists or dicts of them; "
                    "save the file without it")


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


def first_line(error: Exception) -> str:
    """The first line of an error, at most 200 characters, without torch's advice to load unsafely."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(("Weights only load", "Please file", "Check the docu"))]
    return (useful or lines or [type(error).__name__])[0][:200]
