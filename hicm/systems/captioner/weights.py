"""Loading and saving weights: state dicts and checkpoint folders of hicm; every key is accounted for."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor
from transformers import T5Config

from hicm.data.catalogue import with_command
from hicm.errors import UserError
from hicm.files import atomic, read_json, require, write_json
from hicm.nn.weights import read_weights, some
from hicm.strict import build as build_settings
from hicm.systems.captioner.model import Captioner, make_t5
from hicm.systems.captioner.released.checkpoint import EMBEDDINGS, HEAD, read_checkpoint
from hicm.systems.captioner.released.checkpoint import read_released as read_released
from hicm.systems.captioner.released.compatibility import check_pieces
from hicm.systems.captioner.settings import Settings
from hicm.systems.captioner.start import DESCRIPTION, checkpoint_folder, start_path
from hicm.systems.captioner.t5 import is_untied, new_t5
from hicm.systems.captioner.vocabulary import Vocabulary, digest_of, load_pieces, load_vocabulary, refuse_other_pieces

# Parts that a captioner may gain when it is trained further.
LATER = ("memory_projection.", "memory_positions.", "memory_gate", "pointing.times.", "pointing.words.", "standardise.",
         "saliency.")
# Values of a T5 that decide what its weights do, and show in no shape.
UNSEEN = ("layer_norm_epsilon", "relative_attention_max_distance", "scale_decoder_outputs", "dense_act_fn")


def load_state(model: Captioner, state: dict[str, Tensor], where: str, whole: bool = False) -> list[str]:
    """Copy ``state`` into ``model``; returns the names that ``state`` lacks.

    Only what `LATER` lists may be missing, each part wholly, and unless ``whole``: training with a memory may start
    from a Vid2Seq checkpoint.  ``where`` names the file, for errors.  Raises UserError that lists unused and missing
    names and wrong shapes.
    """
    own = own_state(model)
    if HEAD in state and HEAD not in own:
        raise UserError(f"{where}: {HEAD} differs from {EMBEDDINGS[0]}; they must be equal for this T5, only T5 v1.1 "
                        "and FLAN-T5 have a head of their own; set captioner.t5 to the one it was trained with")
    unused = sorted(set(state) - set(own))
    missing = sorted(set(own) - set(state))
    shapes = sorted(f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
                    for name in set(own) & set(state) if own[name].shape != state[name].shape)
    new = [part for part in LATER if not any(name.startswith(part) for name in state)]  # else a part is incomplete
    fatal = missing if whole else [name for name in missing if not name.startswith(tuple(new))]
    problems = [f"{what}: {some(names)}" for what, names in
                (("unused keys", unused), ("missing keys", fatal), ("other shapes", shapes)) if names]
    if problems:
        raise UserError(f"{where}: does not fit the model; " + "; ".join(problems) + "; set captioner.* and "
                        "retrieval.search to the values the checkpoint was trained with")
    tied = [name for name in EMBEDDINGS if name not in own]
    model.load_state_dict({**model.state_dict(), **state, **dict.fromkeys(tied, state[EMBEDDINGS[0]])})
    return missing


def own_state(model: Captioner) -> dict[str, Tensor]:
    """The state dict with one copy of what is tied: the embedding, and the output head unless it is its own."""
    copies = EMBEDDINGS[1:3] if is_untied(model.t5) else EMBEDDINGS[1:]
    return {name: value for name, value in model.state_dict().items() if name not in copies}


def build(config: Settings, vocabulary: Vocabulary, feature_width: int, frames: int,
          memory_width: int, offline: bool = False) -> Captioner:
    """A captioner according to the settings: T5 from scratch, disk or hub, then the weights of ``captioner.init``.

    Raises UserError when weights are missing or do not fit the settings or the pieces of the vocabulary.
    """
    if config.t5 != "scratch" and config.tokenizer not in ("", config.t5) and not config.init:
        _refuse_other_tokenizer(config, vocabulary, offline)
    model = Captioner(config, make_t5(config, vocabulary.size, vocabulary.text_size, offline), feature_width, frames,
                      memory_width)
    if config.init:
        require(config.init, "checkpoint", with_command(config.init, "check captioner.init"))
        _start_from(start_path(config.init), model, vocabulary)
    return model


def _refuse_other_tokenizer(config: Settings, vocabulary: Vocabulary, offline: bool) -> None:
    """UserError when the T5 has a tokenizer with other pieces; some folders have weights alone."""
    try:
        theirs = load_pieces(config.t5, offline)
    except UserError:
        return
    refuse_other_pieces(theirs[:vocabulary.text_size], vocabulary.pieces[:vocabulary.text_size],
                        f"captioner.t5: {config.t5}", f"captioner.tokenizer: {config.tokenizer}",
                        "set captioner.tokenizer= (empty) for the T5's own")


def _start_from(path: Path, model: Captioner, vocabulary: Vocabulary) -> None:
    """Load the weights of a released file or checkpoint folder, if their pieces are those of the vocabulary."""
    if not path.is_dir():
        content = read_checkpoint(path)
        check_pieces(content.args, vocabulary, str(path))
        heads = content.args.get("heads", model.config.visual_heads)
        if heads != model.config.visual_heads and model.config.use_video:
            raise UserError(f"captioner.init: {path}: was trained with captioner.visual_heads={heads}, found "
                            f"{model.config.visual_heads}; set it to that value")
        load_state(model, content.state, str(path))
        return
    settings, t5, _, about = _read_description(path)
    own = path / "tokenizer"
    theirs = load_pieces(str(own), offline=True)
    refuse_replaced(digest_of(theirs), about, path)
    refuse_other_pieces(theirs, vocabulary.pieces, f"captioner.init: {path}", "the tokenizer of this run",
                        f"set captioner.tokenizer={own} and captioner.time_bins={about['time_bins']}")
    there = {"captioner.visual_heads": settings.visual_heads, **{f"captioner.t5: {name}": getattr(t5, name, None)
                                                                 for name in UNSEEN}}
    here = {"captioner.visual_heads": model.config.visual_heads,
            **{f"captioner.t5: {name}": getattr(model.t5.config, name, None) for name in UNSEEN}}
    other = [f"{name}={value}, found {here[name]}" for name, value in there.items() if here[name] != value
             and (settings.use_video or name != "captioner.visual_heads")]
    if other:
        raise UserError(f"captioner.init: {path}: was trained with {'; '.join(other)}; set them to its values")
    load_state(model, read_folder(path), str(path))


def save_captioner(model: Captioner, vocabulary: Vocabulary, folder: Path, **about: Any) -> None:
    """Write the tokenizer, ``captioner.json`` and, last, ``model.safetensors``; each file is written atomically.

    ``about`` is any provenance (run, step, score) to store in ``captioner.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.save(folder / "tokenizer")
    write_json(folder / DESCRIPTION, {
        "settings": asdict(model.config), "t5_config": model.t5.config.to_dict(), "time_bins": vocabulary.bins,
        "vocabulary": vocabulary.digest, "feature_width": model.feature_width, "frames": model.frames,
        "memory_width": model.memory_width, **about})
    state = {name: value.detach().cpu().contiguous() for name, value in own_state(model).items()}
    with atomic(folder / "model.safetensors") as temporary:
        save_file(state, temporary)


def load_captioner(folder: str | Path) -> tuple[Captioner, Vocabulary, dict[str, Any]]:
    """Model (evaluation mode), vocabulary and content of ``captioner.json`` of a checkpoint folder of hicm."""
    folder = Path(folder)
    config, t5, widths, about = _read_description(folder)
    vocabulary = load_vocabulary(str(folder / "tokenizer"), about["time_bins"], offline=True)
    refuse_replaced(vocabulary.digest, about, folder)
    model = Captioner(config, new_t5(t5), *widths)
    load_state(model, read_folder(folder), str(folder), whole=True)
    return model.eval(), vocabulary, about


def _read_description(folder: Path) -> tuple[Settings, T5Config, list[int], dict[str, Any]]:
    """Settings, T5, widths (of features, frames, memory) and the whole content of a ``captioner.json``."""
    about = read_json(require(folder / DESCRIPTION, "captioner", "train one first: hicm train CONFIG"))
    try:
        config, t5 = read_settings(about["settings"]), T5Config(**about["t5_config"])
        widths, _ = [about[name] for name in ("feature_width", "frames", "memory_width")], about["time_bins"]
    except UserError:
        raise
    except Exception as error:  # damaged content can raise nearly anything
        raise bad_description(folder / DESCRIPTION, error) from error
    return config, t5, widths, about


def refuse_replaced(digest: str, about: dict[str, Any], folder: Path) -> None:
    """UserError when the pieces of a checkpoint folder's tokenizer are not those of its training.

    ``digest`` is that of the pieces; ``about`` is the content of ``captioner.json``, which hicm 0.1.0 wrote without.
    """
    if about.get("vocabulary", digest) != digest:
        raise UserError(f"{folder / 'tokenizer'}: has other pieces than those the captioner was trained with; put its "
                        "own tokenizer back, or train again")


def bad_description(path: Path, error: Exception) -> UserError:
    """The error for a ``captioner.json`` that lacks something or holds a value that is not possible."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return UserError(f"{path}: cannot be read as a captioner's description ({reason}); was it edited, or written by "
                     "another version?")


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


def read_folder(folder: Path) -> dict[str, Tensor]:
    """State dict of a checkpoint folder of hicm.  Raises UserError when it is missing or cannot be read."""
    return read_weights(folder / "model.safetensors", "train a captioner first: hicm train CONFIG")
