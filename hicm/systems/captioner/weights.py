"""Weights in and out: state dicts into the model, our own safetensors folders; every key is accounted for."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from hicm.data.catalogue import with_command
from hicm.errors import UserError
from hicm.files import atomic, read_json, require, write_json
from hicm.strict import build as build_settings
from hicm.systems.captioner.model import Captioner, make_t5
from hicm.systems.captioner.released.checkpoint import EMBEDDINGS, first_line, read_released, some, untie
from hicm.systems.captioner.settings import Settings
from hicm.systems.captioner.vocabulary import Vocabulary, load_vocabulary


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
    problems = [f"{what}: {some(names)}" for what, names in
                (("unused keys", unused), ("missing keys", fatal), ("other shapes", shapes)) if names]
    if problems:
        raise UserError(f"{where}: does not fit the model; " + "; ".join(problems) + "; set captioner.* and "
                        "retrieval.search as the checkpoint was trained")
    model.load_state_dict({**model.state_dict(), **state, **dict.fromkeys(EMBEDDINGS, state[EMBEDDINGS[0]])})
    return missing


def build(config: Settings, vocabulary: Vocabulary, feature_width: int, frames: int,
          memory_width: int, offline: bool = False) -> Captioner:
    """A captioner as the settings say: T5 from scratch, disk or hub, then ``captioner.init`` if given."""
    model = Captioner(config, make_t5(config, vocabulary.size, vocabulary.text_size, offline), feature_width, frames,
                      memory_width)
    if config.init:
        path = require(config.init, "checkpoint", with_command(config.init, "check captioner.init"))
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
        config, t5_config = read_settings(about["settings"]), T5Config(**about["t5_config"])
        widths, bins = [about[name] for name in ("feature_width", "frames", "memory_width")], about["time_bins"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / 'captioner.json'}: cannot be read as a captioner's description "
                        f"({type(error).__name__}: {error}); was it edited, or written by another version?") from error
    vocabulary = load_vocabulary(str(folder / "tokenizer"), bins, offline=True)
    model = Captioner(config, T5ForConditionalGeneration(t5_config), *widths)
    load_state(model, read_folder(folder), str(folder))
    return model.eval(), vocabulary, about


def read_settings(content: dict[str, Any]) -> Settings:
    """The settings in a ``captioner.json``; hicm 0.1.0 wrote ``offline`` there, and neither losses nor decoding."""
    given = {name: value for name, value in content.items() if name != "offline"}
    return build_settings(Settings, given, "settings", "captioner.")


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
        raise UserError(f"{path}: weights cannot be read ({first_line(error)}); is the file complete?") from error
