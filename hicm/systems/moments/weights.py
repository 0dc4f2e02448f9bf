"""Saved models: a folder with ``moments.json``, ``vocabulary.json`` and ``model.safetensors``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from hicm.errors import UserError, reason
from hicm.files import atomic, read_json, require, write_json
from hicm.nn.weights import load_exactly, read_weights
from hicm.strict import build
from hicm.systems.moments.model import Moments
from hicm.systems.moments.settings import Settings
from hicm.systems.moments.vocabulary import Vocabulary, load_vocabulary

DESCRIPTION, WORDS, WEIGHTS = "moments.json", "vocabulary.json", "model.safetensors"
OWN = "put back the file that was saved with the model"
AGAIN = "train one first: hicm train CONFIG --set system=moments"


def save_model(model: Moments, vocabulary: Vocabulary, words: str, folder: Path, **about: Any) -> None:
    """Write the classes of words, the description and, last, the weights; ``about`` goes into the description.

    ``words``: the name of the word vectors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.save(folder / WORDS)
    write_json(folder / DESCRIPTION, {"settings": asdict(model.settings), "feature_width": model.feature_width,
                                      "word_width": model.word_width, "words": words, **about})
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic(folder / WEIGHTS) as temporary:
        save_file(state, temporary)


def load_model(folder: Path) -> tuple[Moments, Vocabulary, str]:
    """Model, in evaluation mode, classes of words, and the name of the word vectors that `save_model` wrote.

    Raises UserError when a file is missing, damaged, or does not belong to the others.
    """
    path = require(folder / DESCRIPTION, "moments model", AGAIN)
    about = read_json(path, "model description")
    vocabulary = load_vocabulary(require(folder / WORDS, "vocabulary", OWN))
    try:
        settings = build(Settings, about["settings"], str(path), "moments.")
        model = Moments(settings, int(about["feature_width"]), int(about["word_width"]), len(vocabulary))
        words = str(about["words"])
    except UserError:
        raise
    except Exception as error:  # damaged content can raise nearly anything
        raise UserError(f"{path}: cannot be read as the description of a moments model ({reason(error)}); was it "
                        "edited, or written by another version?") from error
    load_exactly(model, read_weights(folder / WEIGHTS, AGAIN), str(folder / WEIGHTS), f"{OWN}, or train again")
    return model.eval(), vocabulary, words
