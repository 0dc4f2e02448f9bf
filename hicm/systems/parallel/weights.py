"""Saved models: a folder with ``parallel.json``, ``vocabulary.json`` and ``model.safetensors``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from hicm.errors import UserError
from hicm.files import atomic, read_json, require, write_json
from hicm.nn.weights import load_exactly, read_weights
from hicm.strict import build
from hicm.systems.base import refuse_other_model
from hicm.systems.parallel.model import Parallel
from hicm.systems.parallel.settings import IN_WEIGHTS, Settings
from hicm.systems.parallel.start import DESCRIPTION, checkpoint_folder
from hicm.systems.parallel.vocabulary import Vocabulary, load_vocabulary

WORDS, WEIGHTS = "vocabulary.json", "model.safetensors"
OWN = "put back the file that was saved with the model"
AGAIN = "train one first: hicm train CONFIG --set system=parallel"


def save_model(model: Parallel, vocabulary: Vocabulary, folder: Path, **about: Any) -> None:
    """Write the words, the description and, last, the weights; ``about`` goes into the description."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.save(folder / WORDS)
    write_json(folder / DESCRIPTION, {"settings": asdict(model.settings), "feature_width": model.feature_width,
                                      "memory_width": model.memory_width, "vocabulary": vocabulary.digest, **about})
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic(folder / WEIGHTS) as temporary:
        save_file(state, temporary)


def load_model(folder: Path) -> tuple[Parallel, Vocabulary]:
    """Model, in evaluation mode, and words that `save_model` wrote.

    Raises UserError when a file is missing, damaged, or does not belong to the others.
    """
    path = require(folder / DESCRIPTION, "parallel model", AGAIN)
    about = read_json(path, "model description")
    vocabulary = load_vocabulary(require(folder / WORDS, "vocabulary", OWN))
    try:
        settings = build(Settings, about["settings"], str(path), "parallel.")
        widths, digest = (int(about["feature_width"]), int(about["memory_width"])), about["vocabulary"]
        model = Parallel(settings, *widths, words=len(vocabulary))
    except UserError:
        raise
    except Exception as error:  # damaged content can raise nearly anything
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{path}: cannot be read as the description of a parallel model ({what}); was it edited, or "
                        "written by another version?") from error
    if digest != vocabulary.digest:
        raise UserError(f"{folder / WORDS}: has other words than those the model was trained with; put its own file "
                        "back, or train again")
    load_exactly(model, read_weights(folder / WEIGHTS, AGAIN), str(folder / WEIGHTS), f"{OWN}, or train again")
    return model.eval(), vocabulary


def start_model(settings: Settings, feature_width: int, memory_width: int) -> tuple[Parallel, Vocabulary]:
    """A model to be trained on, with the weights and the words of ``settings.init``; the widths are those of the data.

    Raises UserError when its model is another one than the settings ask for, or reads other data.
    """
    folder = checkpoint_folder(settings.init, "parallel.init: ")
    start, vocabulary = load_model(folder)
    refuse_other_model("parallel", start.settings, settings, IN_WEIGHTS, f"parallel.init: {folder}")
    if settings.vocabulary and load_vocabulary(settings.vocabulary).digest != vocabulary.digest:
        raise UserError(f"parallel.vocabulary: {settings.vocabulary} has other words than the weights of {folder}; "
                        "leave it out, and their own are used")
    for what, theirs, ours in (("features", start.feature_width, feature_width),
                               ("recalled vectors", start.memory_width, memory_width)):
        if theirs != ours:
            raise UserError(f"parallel.init: {folder}: reads {_wide(what, theirs)}, the data have "
                            f"{_wide(what, ours)}; use what it was trained with, or begin without it")
    model = Parallel(settings, feature_width, memory_width, len(vocabulary))
    model.load_state_dict(start.state_dict())
    return model, vocabulary


def _wide(what: str, width: int) -> str:
    return f"{what} {width} wide" if width else f"no {what}"
