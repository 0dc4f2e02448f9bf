"""Weights in and out: released ``.pth`` checkpoints by key, our own safetensors folders.

Nothing is unpickled but tensors and plain data, and every key is accounted for.
"""

import argparse
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from hicm.config import CaptionerConfig
from hicm.errors import UserError
from hicm.files import atomic, read_json, require, write_json
from hicm.systems.captioner.model import Captioner, make_t5
from hicm.systems.captioner.vocabulary import Vocabulary, load_vocabulary

EMBEDDINGS = ("t5.shared.weight", "t5.encoder.embed_tokens.weight", "t5.decoder.embed_tokens.weight",
              "t5.lm_head.weight")  # one tied matrix
PLAIN = (str, int, float, bool, type(None))
DEPTH = 4  # of lists and dicts in the settings of a released file


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: tensors under our names, and plain facts on its training."""

    state: dict[str, Tensor]  # one copy of the tied embedding matrix
    renamed: dict[str, str] = field(default_factory=dict)  # name in the file -> ours, where they differ
    tied: tuple[str, ...] = ()  # our names of the copies of the embedding matrix that the file had
    epoch: int | None = None  # last finished, from 0
    args: dict[str, Any] = field(default_factory=dict)  # the settings of the training program
    dropped: tuple[str, ...] = ()  # other things in the file: the optimiser's state


def released_name(name: str) -> str:
    """Our parameter name for one of the released checkpoints.

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
    """State dict of a released training file under our names; raises as `read_checkpoint`."""
    return read_checkpoint(path).state


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The content of a released training file; the tensors stay on disk until they are used.

    Reads tensors and an ``argparse.Namespace`` of plain data only.  Raises UserError on a missing or damaged file, on
    one that needs code to be executed, when two keys are one name of ours, when a value is no tensor of floating point
    numbers, and when the tied embedding matrices differ.
    """
    path = require(path, "checkpoint", "check the path (captioner.init, or the file that is converted)")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(str(path), map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged or malicious file can raise nearly anything
        raise UserError(f"{path}: checkpoint refused ({_first_line(error)}); expected a .pth of tensors and plain "
                        "data") from error
    whole = isinstance(content, dict) and "model" in content
    state = content["model"] if whole else content
    if not isinstance(state, dict) or not state or not all(isinstance(name, str) for name in state) \
            or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: expected a state dict, or a dict with 'model', as HiCM2 and VidChapters write")
    names = {name: released_name(name) for name in state}
    _check_tensors(state, names, path)
    ours = {names[name]: value for name, value in state.items()}
    tied = tuple(name for name in EMBEDDINGS if name in ours)
    args, epoch = (content.get("args"), content.get("epoch")) if whole else (None, None)
    return Checkpoint(untie(ours, str(path)), {name: own for name, own in names.items() if name != own}, tied,
                      epoch if type(epoch) is int else None, _plain_args(args, path),
                      tuple(sorted(map(str, set(content) - {"model", "epoch", "args"}))) if whole else ())


def _check_tensors(state: Mapping[str, Tensor], names: Mapping[str, str], path: Path) -> None:
    first: dict[str, str] = {}
    for name, own in names.items():
        if own in first:
            raise UserError(f"{path}: {first[own]} and {name} are both {own}; one of them has to go")
        first[own] = name
    odd = [f"{name} ({value.layout}, {value.dtype})" for name, value in state.items()
           if value.layout != torch.strided or not value.is_floating_point()]
    if odd:
        raise UserError(f"{path}: expected floating point numbers, found {_some(odd)}; is this a captioner checkpoint?")


def _plain_args(args: Any, path: Path) -> dict[str, Any]:
    """The Namespace (or dict) of settings of a released file as plain data."""
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
    raise UserError(f"{path}: {name} is {what}; expected text, numbers, true, false, and lists or dicts of them")


def untie(state: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """Keep one copy of the tied embedding matrix, after checking that the copies agree."""
    copies = [name for name in EMBEDDINGS if name in state]
    if not copies:
        raise UserError(f"{where}: no embedding matrix ({EMBEDDINGS[0]}); is this a captioner checkpoint?")
    first = state[copies[0]]
    for name in copies[1:]:
        if not torch.equal(state[name], first):
            raise UserError(f"{where}: {name} differs from {copies[0]}; T5's four embedding matrices must be equal")
        del state[name]
    state[EMBEDDINGS[0]] = state.pop(copies[0])
    return state


def load_state(model: Captioner, state: dict[str, Tensor], where: str) -> list[str]:
    """Copy ``state`` into ``model``; returns the names the file lacks (only ``memory_projection.*`` may be).

    That is the start of memory training from a Vid2Seq checkpoint.  Raises UserError listing unused, missing and
    mis-shaped names.
    """
    own = untie(dict(model.state_dict()), "model")
    unused = sorted(set(state) - set(own))
    missing = sorted(set(own) - set(state))
    shapes = sorted(f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
                    for name in set(own) & set(state) if own[name].shape != state[name].shape)
    fatal = [name for name in missing if not name.startswith("memory_projection.")]
    if len(fatal) < len(missing) and any(name.startswith("memory_projection.") for name in state):
        fatal = missing  # a part of the memory projection is not a Vid2Seq checkpoint
    problems = [f"{what}: {_some(names)}" for what, names in
                (("unused keys", unused), ("missing keys", fatal), ("other shapes", shapes)) if names]
    if problems:
        raise UserError(f"{where}: does not fit the model; " + "; ".join(problems) + "; set captioner.* and "
                        "retrieval.search as the checkpoint was trained")
    model.load_state_dict({**model.state_dict(), **state, **dict.fromkeys(EMBEDDINGS, state[EMBEDDINGS[0]])})
    return missing


def build(config: CaptionerConfig, vocabulary: Vocabulary, feature_width: int, frames: int,
          memory_width: int) -> Captioner:
    """A captioner as the settings say: T5 from scratch, disk or hub, then ``captioner.init`` if given."""
    model = Captioner(config, make_t5(config, vocabulary.size, vocabulary.text_size), feature_width, frames,
                      memory_width)
    if config.init:
        path = require(config.init, "checkpoint", "check captioner.init")
        state = read_folder(path) if path.is_dir() else read_released(path)
        load_state(model, state, str(path))
    return model


def save_captioner(model: Captioner, vocabulary: Vocabulary, folder: Path, **about: Any) -> None:
    """Write ``model.safetensors``, ``captioner.json`` and the tokenizer; the weights last, each file atomically.

    ``about`` is free provenance (run, step, score) kept in ``captioner.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.save(folder / "tokenizer")
    encoder, projection = model.visual_encoder, model.memory_projection
    write_json(folder / "captioner.json", {
        "settings": asdict(model.config), "t5_config": model.t5.config.to_dict(), "time_bins": vocabulary.bins,
        "feature_width": 0 if encoder is None else encoder.pos_embed.shape[2],
        "frames": 0 if encoder is None else encoder.pos_embed.shape[1],
        "memory_width": 0 if projection is None else projection.layers[0].norm.normalized_shape[0], **about})
    state = {name: value.detach().cpu().contiguous() for name, value in untie(model.state_dict(), "model").items()}
    with atomic(folder / "model.safetensors") as temporary:
        save_file(state, temporary)


def load_captioner(folder: str | Path) -> tuple[Captioner, Vocabulary, dict[str, Any]]:
    """Model (evaluation mode), vocabulary and the content of ``captioner.json`` of a folder of ours."""
    folder = Path(folder)
    about = read_json(require(folder / "captioner.json", "captioner", "train one first: hicm train CONFIG"))
    try:
        config, t5_config = CaptionerConfig(**about["settings"]), T5Config(**about["t5_config"])
        widths, bins = [about[name] for name in ("feature_width", "frames", "memory_width")], about["time_bins"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / 'captioner.json'}: cannot be read as a captioner's description "
                        f"({type(error).__name__}: {error}); was it edited, or written by another version?") from error
    vocabulary = load_vocabulary(str(folder / "tokenizer"), bins, offline=True)
    model = Captioner(config, T5ForConditionalGeneration(t5_config), *widths)
    load_state(model, read_folder(folder), str(folder))
    return model.eval(), vocabulary, about


def save_pretrained(model: Captioner, vocabulary: Vocabulary, folder: str | Path, **about: Any) -> None:
    """`save_captioner` under the name that users of transformers look for.

    >>> save_pretrained(model, vocabulary, "presave/mine", run="mine")  # doctest: +SKIP
    >>> model, vocabulary = from_pretrained("presave/mine")  # doctest: +SKIP
    """
    save_captioner(model, vocabulary, Path(folder), **about)


def from_pretrained(folder: str | Path) -> tuple[Captioner, Vocabulary]:
    """Model (evaluation mode) and vocabulary of a run folder (its best checkpoint, or its last) or a checkpoint."""
    return load_captioner(checkpoint_folder(folder))[:2]


def checkpoint_folder(folder: str | Path) -> Path:
    """The folder of weights that ``folder`` is or holds: itself, ``best``, or ``last``.  UserError: none of them."""
    folder = Path(folder)
    for place in (folder, folder / "best", folder / "last"):
        if (place / "captioner.json").exists():
            return place
    raise UserError(f"{folder}: no captioner.json there, nor in best or last; give a run folder of 'hicm train' or "
                    "'hicm convert', or a released .pth")


def read_folder(folder: Path) -> dict[str, Tensor]:
    """State dict of a checkpoint folder of ours; UserError when it is missing or cannot be read."""
    path = require(folder / "model.safetensors", "weights", "train a captioner first: hicm train CONFIG")
    try:
        return load_file(path)
    except Exception as error:
        raise UserError(f"{path}: weights cannot be read ({_first_line(error)}); is the file complete?") from error


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
