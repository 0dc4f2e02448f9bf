"""What `hicm convert` asks of this room: the model in a checkpoint of CM2 or PDVC, or in a folder of ours.

The words and the settings of a released checkpoint are not in the file: words come from a file in PDVC's form, settings
from ``info.json`` beside the checkpoint, as the training programs write it, where it is there.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from hicm.config import Config
from hicm.errors import UserError
from hicm.files import read_json, require, sha256
from hicm.nn.weights import load_exactly, read_weights
from hicm.rooms import memory_need
from hicm.systems.base import refuse_other_model
from hicm.systems.parallel.compatibility import check_arguments, check_memory, check_shapes, compare_arguments
from hicm.systems.parallel.model import Parallel
from hicm.systems.parallel.names import dead_weights, is_live, own_name, own_state
from hicm.systems.parallel.settings import IN_WEIGHTS
from hicm.systems.parallel.start import DESCRIPTION, checkpoint_folder
from hicm.systems.parallel.vocabulary import Vocabulary, load_vocabulary
from hicm.systems.parallel.weights import WEIGHTS, load_model, save_model
from hicm.systems.released import (
    Converted,
    Released,
    Source,
    open_source,
    plain_args,
    read_released_file,
    refuse_not_finite,
    refuse_odd_tensors,
    unlike_released,
)

VOCABULARY = "parallel.vocabulary"
KINDS = {"cm2": "CM2 (Kim et al., CVPR 2024, arXiv 2404.07610)",
         "pdvc": "PDVC (Wang et al., ICCV 2021, arXiv 2108.07781)",
         "hicm": "a parallel model trained by hicm"}
SHOWN = ("id", "visual_feature_type", "feature_dim", "frame_embedding_num", "vocab_size", "dict_file", "num_queries",
         "max_eseq_length", "window_size", "soft_k", "bank_type", "ret_encoder", "text_crossAttn_loc", "epoch", "lr",
         "weight_decay", "grad_clip", "batch_size", "seed", "ec_alpha")  # arguments that the card lists
READING = ("parallel.decode.empty",)  # of the preset: what concerns prediction without a memory
RECALLING = ("data.frames", "retrieval.search", "retrieval.flat_level", "retrieval.tail")  # and with one
INFO = "info.json"


def recognises(names: Collection[str]) -> bool:
    """Whether a released file with these names of weights is one of CM2 or PDVC: a captioner per decoder layer."""
    return "transformer.level_embed" in names and any(name.startswith("caption_head.0.") for name in names)


def find_source(checkpoint: str | Path, config: Config) -> Source:
    """Find the weights, the words and ``info.json``, and hash them.  Raises UserError when something is missing."""
    path = require(checkpoint, "checkpoint", "give a released model-best.pth or a run folder")
    if path.is_dir():
        return open_source(checkpoint_folder(path), DESCRIPTION)
    words = config.room.vocabulary
    if not words:
        raise UserError(f"{path}: holds no words; give those it was trained with, parallel.vocabulary=FILE (their "
                        "repositories: data/yc2/vocabulary_youcook2.json, data/anet/vocabulary_activitynet*.json)")
    info = path.with_name(INFO)
    return open_source(path, DESCRIPTION, {words: load_vocabulary(words).digest}
                       | ({str(info): sha256(info)} if info.is_file() else {}))


def settled(config: Config) -> Config:
    """The settings of the run, which has its words and weights already."""
    return replace(config, room=replace(config.room, vocabulary="", init=""))


def read(source: Source, config: Config, fresh_memory: bool) -> Converted:
    """The model of a checkpoint.  Raises UserError when it is refused or does not fit the settings."""
    if fresh_memory:
        raise UserError(f"{source.path}: --fresh-memory is for checkpoints of the captioner; leave the option out")
    return _own(source, config) if source.ours else _theirs(source, config)


def _own(source: Source, config: Config) -> Converted:
    """A model of ours under other settings."""
    there, vocabulary = load_model(source.path)
    refuse_other_model("parallel", there.settings, config.room, IN_WEIGHTS, source.path)
    state = read_weights(source.path / WEIGHTS, "is the folder complete?")
    model = _model(state, vocabulary, config, str(source.path))
    return _converted("hicm", model, vocabulary, Released(state), state, [], {})


def _theirs(source: Source, config: Config) -> Converted:
    where = str(source.path)
    content = read_released_file(source.path, "give a released model-best.pth", "CM2 and PDVC")
    if not recognises(content.state.keys()):
        raise UserError(f"{where}: holds no weights of CM2 or PDVC (no transformer.level_embed or caption_head.0.*); "
                        "give their model-best.pth, or set system to the one that it belongs to")
    refuse_odd_tensors({name: value for name, value in content.state.items() if is_live(name)}, where, "CM2 or PDVC")
    state = {name: value.float() for name, value in own_state(content.state, where).items()}
    args = content.args or training_arguments(source.path.with_name(INFO))
    check_arguments(args, config, where)
    vocabulary = load_vocabulary(config.room.vocabulary)
    model = _model(state, vocabulary, config, where)
    memory = bool(model.memory_width)
    notes = compare_arguments(args, config, memory)
    notes += unlike_released(config, (*READING, *(RECALLING if memory else ())))
    return _converted("cm2" if memory else "pdvc", model, vocabulary, replace(content, args=args), state, notes,
                      {"renamed": {name: own_name(name) for name in content.state if own_name(name)},
                       "never_read": dead_weights(content.state)})


def _model(state: Mapping[str, Tensor], vocabulary: Vocabulary, config: Config, where: str) -> Parallel:
    """The network under the settings, with the weights of ``state`` (our names)."""
    memory = any(name.startswith("projection.") for name in state)
    check_memory(memory, memory_need(config) == "tokens", where)
    check_shapes(state, config.room, vocabulary, where)
    convs, norm = state.get("pyramid.convs.0.weight"), state.get("projection.0.norm.weight")
    features = convs.shape[1] if convs is not None and convs.ndim == 3 else config.room.width
    model = Parallel(settled(config).room, features, len(norm) if memory and norm is not None and norm.ndim else 0,
                     len(vocabulary))
    load_exactly(model, dict(state), where, "is the file complete?")
    refuse_not_finite(model, where)
    return model.eval()


def training_arguments(path: Path) -> dict[str, Any]:
    """The arguments of the training program in ``info.json``; none where there is no such file."""
    content: Any = read_json(path, "arguments of the training program") if path.is_file() else {}
    for key in ("best", "opt"):
        content = content.get(key, {}) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected arguments under best, opt, as CM2 and PDVC write them; remove the file, or "
                        "put theirs back")
    return plain_args(content, path)


def _converted(kind: str, model: Parallel, vocabulary: Vocabulary, content: Released, state: Mapping[str, Tensor],
               notes: list[str], keys: Mapping[str, Any]) -> Converted:
    def save(run: Path, about: dict[str, Any]) -> None:
        save_model(model, vocabulary, run / "best", **about)

    settings = model.settings
    card = {"vocabulary": f"{len(vocabulary):,} words",
            "network": f"{settings.queries} queries, up to {settings.max_events} events, features "
                       f"{model.feature_width} wide, {settings.heads} heads (a setting, not visible in the weights)"}
    keys = {**keys, "used": len(state), "parameters": sum(value.numel() for value in state.values()), "fresh": []}
    if dead := keys.get("never_read"):
        card["never read"] = ", ".join(f"`{name}` ({about['tensors']} tensors: {about['why']})"
                                       for name, about in dead.items())
    return Converted(kind, KINDS[kind], save, model.memory_width, keys, card, notes, content.args, SHOWN, content.epoch,
                     content.dropped, "METEOR+soda_c")
