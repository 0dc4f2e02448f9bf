"""Loading and saving weights: state dicts and checkpoint folders of hicm; every key is accounted for."""

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
    """Copy ``state`` into ``model``; returns the names that ``state`` lacks.

    Only ``memory_projection.*`` may be missing, all of it: training with a memory may start from a Vid2Seq checkpoint.
    Raises UserError that lists unused and missing names and wrong shapes; ``where`` names the file.
    """
    own = untie(dict(model.state_dict()), "model")
    unused = sorted(set(state) - set(own))
    missing = sorted(set(own) - set(state))
    shapes = sorted(f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
                    for name in set(own) & set(state) if own[name].shape != state[name].shape)
    fatal = [name for name in missing if not name.startswith("memory_projection.")]
    if len(fatal) < len(missing) and any(name.startswith("memory_projection.") for name in state):
        fatal = missing  # an incomplete memory projection, so this is not a Vid2Seq checkpoint
    problems = [f"{what}: {some(names)}" for what, names in
                (("unused keys", unused), ("missing keys", fatal), ("other shapes", shapes)) if names]
    if problems:
        raise UserError(f"{where}: does not fit the model; " + "; ".join(problems) + "; set captioner.* and "
                        "retrieval.search to the values the checkpoint was trained with")
    model.load_state_dict({**model.state_dict(), **state, **dict.fromkeys(EMBEDDINGS, state[EMBEDDINGS[0]])})
    return missing


def build(config: Settings, vocabulary: Vocabulary, feature_width: int, frames: int,
          memory_width: int, offline: bool = False) -> Captioner:
    """A captioner according to the settings: T5 from scratch, disk or hub, then the weights of ``captioner.init``."""
    model = Captioner(config, make_t5(config, vocabulary.size, vocabulary.text_size, offline), feature_width, frames,
                      memory_width)
    if config.init:
        path = require(config.init, "checkpoint", with_command(config.init, "check captioner.init"))
        state = read_folder(path) if path.is_dir() else read_released(path)
        load_state(model, state, str(path))
    return model


def save_captioner(model: Captioner, vocabulary: Vocabulary, folder: Path, **about: Any) -> None:
    """Write the tokenizer, ``captioner.json`` and, last, ``model.safetensors``; each file is written atomically.

    ``about`` is any provenance (run, step, score) to store in ``captioner.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.save(folder / "tokenizer")
    write_json(folder / "captioner.json", {
        "settings": asdict(model.config), "t5_config": model.t5.config.to_dict(), "time_bins": vocabulary.bins,
        "feature_width": model.feature_width, "frames": model.frames, "memory_width": model.memory_width, **about})
    state = {name: value.detach().cpu().contiguous() for name, value in untie(model.state_dict(), "model").items()}
    with atomic(folder / "model.safetensors") as temporary:
        save_file(state, temporary)


def load_captioner(folder: str | Path) -> tuple[Captioner, Vocabulary, dict[str, Any]]:
    """Model (evaluation mode), vocabulary and content of ``captioner.json`` of a checkpoint folder of hicm."""
    folder = Path(folder)
    about = read_json(require(folder / "captioner.json", "captioner", "train one first: hicm train CONFIG"))
    try:
        config, t5_config = read_settings(about["settings"]), T5Config(**about["t5_config"])
        widths, bins = [about[name] for name in ("feature_width", "frames", "memory_width")], about["time_bins"]
    except (KeyError, TypeError, ValueError) as error:
        raise bad_description(folder / "captioner.json", error) from error
    vocabulary = load_vocabulary(str(folder / "tokenizer"), bins, offline=True)
    model = Captioner(config, T5ForConditionalGeneration(t5_config), *widths)
    load_state(model, read_folder(folder), str(folder))
    return model.eval(), vocabulary, about


def bad_description(path: Path, error: Exception) -> UserError:
    """The error for a ``captioner.json`` that lacks something or holds a value that is not possible."""
    return UserError(f"{path}: cannot be read as a captioner's description ({type(error).__name__}: {error}); was it "
                     "edited, or written by another version?")


def read_settings(content: dict[str, Any]) -> Settings:
    """The settings in a ``captioner.json``; that of hicm 0.1.0 has ``offline``, and no losses or decoding."""
    given = {name: value for name, value in content.items() if name != "offline"}
    return build_settings(Settings, given, "settings", "captioner.")


def save_pretrained(model: Captioner, vocabulary: Vocabulary, folder: str | Path, **about: Any) -> None:
    """`save_captioner` under the name that users of transformers know.

    >>> save_pretrained(model, vocabulary, "presave/mine", run="mine")  # doctest: +SKIP
    >>> model, vocabulary = from_pretrained("presave/mine")  # doctest: +SKIP
    """
    save_captioner(model, vocabulary, Path(folder), **about)


def from_pretrained(folder: str | Path) -> tuple[Captioner, Vocabulary]:
    """Model (evaluation mode) and vocabulary of a checkpoint folder, or of a run folder (best, else last)."""
    return load_captioner(checkpoint_folder(folder))[:2]


def checkpoint_folder(folder: str | Path) -> Path:
    """The checkpoint folder that ``folder`` is or holds: itself, ``best`` or ``last``.

    Raises UserError when none of them is one.
    """
    folder = Path(folder)
    for place in (folder, folder / "best", folder / "last"):
        if (place / "captioner.json").exists():
            return place
    raise UserError(f"{folder}: no captioner.json there, nor in best or last; give a run folder of 'hicm train' or "
                    "'hicm convert', or a released .pth")


def read_folder(folder: Path) -> dict[str, Tensor]:
    """State dict of a checkpoint folder of hicm.  Raises UserError when it is missing or cannot be read."""
    path = require(folder / "model.safetensors", "weights", "train a captioner first: hicm train CONFIG")
    try:
        state = load_file(path)
    except Exception as error:
        raise UserError(f"{path}: weights cannot be read ({first_line(error)}); is the file complete?") from error
    odd = [f"{name} ({value.dtype})" for name, value in state.items() if not value.is_floating_point()]
    if odd:
        raise UserError(f"{path}: expected floating point numbers, found {some(odd)}; is the file complete?")
    return state
