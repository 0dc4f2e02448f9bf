"""Weights in and out: released ``.pth`` checkpoints by key, our own safetensors folders.

Nothing is unpickled but tensors and plain data, and every key is accounted for.
"""

import argparse
from dataclasses import asdict
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
    """State dict of a released training file under our names.

    Reads tensors and an ``argparse.Namespace`` of plain data only.  Raises UserError on a missing or damaged file, on
    one that needs code to be executed, and when the four tied embedding matrices differ.
    """
    path = require(path, "checkpoint", "check captioner.init")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or malicious file can raise nearly anything
        raise UserError(f"{path}: checkpoint refused ({_first_line(error)}); expected a .pth of tensors and plain "
                        "data") from error
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: expected a state dict, or a dict with 'model', as HiCM2 and VidChapters write")
    return untie({released_name(name): value for name, value in state.items()}, str(path))


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
        state = _read_folder(path) if path.is_dir() else read_released(path)
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
    load_state(model, _read_folder(folder), str(folder))
    return model.eval(), vocabulary, about


def _read_folder(folder: Path) -> dict[str, Tensor]:
    path = require(folder / "model.safetensors", "weights", "train a captioner first: hicm train CONFIG")
    try:
        return load_file(path)
    except Exception as error:
        raise UserError(f"{path}: weights cannot be read ({_first_line(error)}); is the file complete?") from error


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
