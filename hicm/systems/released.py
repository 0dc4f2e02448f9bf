"""Released checkpoints as plain data, and what a room says about one that it has read (`hicm.stages.convert`).

Only tensors, an ``argparse.Namespace`` and plain data are read; nothing in a file is executed.
"""

import argparse
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hicm.config import Config, dump_config
from hicm.data.torch_files import read_torch, refuse_odd
from hicm.errors import UserError
from hicm.files import read_json, require, sha256
from hicm.nn.weights import some
from hicm.rooms import presets

PLAIN = (str, int, float, bool, type(None))
DEPTH = 4  # deepest nesting of lists and dicts in the settings of a released file


@dataclass(frozen=True)
class Source:
    """A checkpoint on disk: a released file, or a checkpoint folder of hicm."""

    path: Path  # the file or the checkpoint folder
    weights: Path  # the file that holds the weights
    about: dict[str, Any]  # <system>.json of a checkpoint folder; empty for a released file
    parent: dict[str, Any]  # manifest of the run it is part of; empty: none
    sha256: str  # of the weights
    inputs: dict[str, str] = field(default_factory=dict)  # other files that decide the result -> digest of the content

    @property
    def ours(self) -> bool:
        """Whether hicm wrote it."""
        return self.path.is_dir()


@dataclass(frozen=True)
class Released:
    """The content of a released training file."""

    state: dict[str, Any]  # the state dict under its own names
    args: dict[str, Any] = field(default_factory=dict)  # arguments of the training program
    epoch: int | None = None  # last finished epoch, counted from 0
    dropped: tuple[str, ...] = ()  # other entries of the file, such as the state of the optimiser


@dataclass(frozen=True)
class Converted:
    """A model with the weights of a checkpoint, and what its run folder says about them.

    ``save(run, about)`` writes ``run/best``, with ``about`` in its description, and what else belongs to the model.
    """

    kind: str  # of the model, in a word
    title: str  # the same for people, with its paper
    save: Callable[[Path, dict[str, Any]], None]
    memory_width: int  # of the recalled vectors that it reads; 0: it has no memory
    keys: dict[str, Any]  # what happened to the names in the file; "used", "parameters" and "fresh" for every room
    card: dict[str, str]  # rows of the model card
    notes: list[str] = field(default_factory=list)  # what the user should know, one line each
    args: dict[str, Any] = field(default_factory=dict)
    shown: tuple[str, ...] = ()  # arguments that the card lists
    epoch: int | None = None
    dropped: tuple[str, ...] = ()
    selected_on: str = ""  # metric that the authors' best checkpoint was chosen by
    tag: str = "dense-video-captioning"  # of the model card: the task, as model hubs call it


def open_source(path: Path, description: str, inputs: Mapping[str, str] | None = None) -> Source:
    """The weights at ``path``, a released file or a checkpoint folder, hashed; ``description``: ``<system>.json``."""
    if not path.is_dir():
        return Source(path, path, {}, {}, sha256(path), dict(inputs or {}))
    weights = require(path / "model.safetensors", "weights", "is the folder complete?")
    run = path.parent if path.name in ("best", "last") else path
    return Source(path, weights, _object(path / description), _object(run / "manifest.json"), sha256(weights),
                  dict(inputs or {}))


def _object(path: Path) -> dict[str, Any]:
    """The object in a json file; empty if there is no file.  UserError: the file holds anything else."""
    content = read_json(path) if path.exists() else {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object, found {type(content).__name__}; was it edited?")
    return content


def read_released_file(path: str | Path, remedy: str, writers: str) -> Released:
    """The content of a released training file; the tensors stay on disk until they are used.

    ``writers``: whose programs write such files, for errors.  Raises UserError when the file is missing (``remedy``),
    damaged, would execute code, or holds no state dict.
    """
    path = require(path, "checkpoint", remedy)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = read_torch(path)
    except Exception as error:  # a damaged or malicious file can raise nearly anything
        begin = _start(path)
        packed = begin[:1] in (b"P", b"\x80")  # a zip file or a pickle
        reason = first_line(error) if packed else "not a file of PyTorch"
        raise UserError(f"{path}: checkpoint refused ({reason}); {_expected(begin)}") from error
    whole = isinstance(content, dict) and "model" in content
    state = content["model"] if whole else content
    if not isinstance(state, dict) or not state or not all(isinstance(name, str) for name in state) \
            or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: expected a state dict, or a dict with 'model', as {writers} write")
    rest: dict[Any, Any] = content if whole else {}
    args, epoch = rest.get("args", rest.get("opt")), rest.get("epoch")  # "opt": MESM's programs
    return Released(state, plain_args(args, path), epoch if type(epoch) is int else None,
                    tuple(sorted(map(str, set(rest) - {"model", "epoch", "args", "opt"}))))


def released_names(path: Path) -> Collection[str]:
    """The names of the weights in a released file; none when it cannot be read, which reading it in earnest reports."""
    try:
        return read_released_file(path, "", "").state.keys()
    except UserError:
        return ()


def _start(path: Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(4)
    except OSError:
        return b""


def _expected(start: bytes) -> str:
    """What the file should hold; for a Flax file, known by its first byte, what to use instead."""
    if start == b"\x89HDF":
        return "it is an HDF5 file, such as features; expected a .pth of tensors and plain data"
    if start and (0x81 <= start[0] <= 0x8f or start[0] in (0xde, 0xdf)):  # a msgpack map
        return "it looks like a Flax checkpoint (scenic's Vid2Seq), which is not supported; use a .pth of VidChapters"
    return "expected a .pth of tensors and plain data"


def first_line(error: Exception) -> str:
    """The first line of an error, at most 200 characters, without torch's advice to load unsafely."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(("Weights only load", "Please file", "Check the docu"))]
    return (useful or lines or [type(error).__name__])[0][:200]


def refuse_odd_tensors(state: Mapping[str, Tensor], path: str | Path, model: str) -> None:
    """UserError for tensors that are no plain floating point numbers; ``model``: whose checkpoint is expected."""
    odd = [f"{name} ({value.layout}, {value.dtype})" for name, value in state.items()
           if value.layout != torch.strided or not value.is_floating_point()]
    if odd:
        raise UserError(f"{path}: expected floating point numbers, found {some(odd)}; is this a {model} checkpoint?")
    for name, value in state.items():
        try:
            refuse_odd(value, name)
        except ValueError as error:
            raise UserError(f"{path}: {error}; is the file complete?") from error


def refuse_not_finite(model: nn.Module, where: str) -> None:
    """UserError when a weight of ``model`` holds a number that is not finite."""
    broken = [name for name, value in model.named_parameters() if not torch.isfinite(value).all()]
    if broken:
        raise UserError(f"{where}: holds numbers that are not finite, in {some(broken)}; the file is damaged or its "
                        "training diverged, use another checkpoint")


def plain_args(args: Any, path: Path) -> dict[str, Any]:
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
    if type(value) is torch.device:
        return str(value)
    if depth and type(value) in (list, tuple, set):
        return [_plain(item, name, path, depth - 1) for item in value]
    if depth and type(value) is dict:
        return {str(key): _plain(item, f"{name}.{key}", path, depth - 1) for key, item in value.items()}
    what = f"a {type(value).__name__}" if depth else "data nested too deeply"
    raise UserError(f"{path}: {name} is {what}; expected text, numbers, booleans, and lists or dicts of them; "
                    "save the file without it")


def layer_count(state: Mapping[str, Tensor], prefix: str) -> int | None:
    """Number of layers under ``prefix``; None if there are none, which whoever loads the weights reports."""
    return len({name.removeprefix(prefix).partition(".")[0] for name in state if name.startswith(prefix)}) or None


def setting_value(config: Config, setting: str) -> Any:
    """The value of a setting (full name); lists are sorted."""
    value: Any = dump_config(config)
    for key in setting.split("."):
        value = value[key]
    return sorted(value) if isinstance(value, list) else value


def refuse_other_network(args: Mapping[str, Any], only: Mapping[str, Any], decisive: Mapping[str, str], config: Config,
                         where: str) -> None:
    """UserError when a published program was asked for another network than a room has, or the settings have.

    ``args``: its arguments; ``only``: of those that show in no shape of a weight, the one value that the room has;
    ``decisive``: the settings of others.
    """
    other = [f"{name}={args[name]} (here always {value})" for name, value in only.items()
             if name in args and args[name] != value]
    if other:
        raise UserError(f"{where}: was trained with {', '.join(other)}, which hicm does not have; use another "
                        "checkpoint")
    wrong = {setting: args[name] for name, setting in decisive.items()
             if name in args and args[name] != setting_value(config, setting)}
    if wrong:
        values = ", ".join(f"{setting}={value}" for setting, value in wrong.items())
        raise UserError(f"{where}: was trained with other values of {', '.join(wrong)}; set {values}")


def unlike_released(config: Config, settings: Iterable[str]) -> list[str]:
    """One line that names those of ``settings`` whose value is not that of the room's preset ``released``, or none."""
    released = dict(_leaves(presets(config.system)["released"]))
    others = [f"{name}={released[name]} (here {setting_value(config, name)})" for name in settings
              if setting_value(config, name) != released[name]]
    if not others:
        return []
    return [f"the published program has {', '.join(others)}; --set preset=released behaves the same"]


def _leaves(given: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
