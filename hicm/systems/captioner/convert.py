"""What `hicm convert` asks of this room: the model in a checkpoint of HiCM2 or Vid2Seq, or in a folder of ours."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import T5Config

from hicm.config import Config
from hicm.errors import UserError
from hicm.files import require
from hicm.systems.captioner.model import Captioner, describe_t5
from hicm.systems.captioner.released.checkpoint import EMBEDDINGS, Checkpoint, read_checkpoint, released_name
from hicm.systems.captioner.released.compatibility import (
    MEMORY,
    check_memory,
    check_pieces,
    check_shapes,
    check_vocabulary,
)
from hicm.systems.captioner.released.notes import KINDS, SHOWN, kind_of, make_notes, make_rows
from hicm.systems.captioner.start import DESCRIPTION, checkpoint_folder, refuse_no_start
from hicm.systems.captioner.t5 import new_t5
from hicm.systems.captioner.vocabulary import Vocabulary, load_vocabulary
from hicm.systems.captioner.weights import bad_description, load_state, read_folder, refuse_replaced, save_captioner
from hicm.systems.released import Converted, Source, open_source, refuse_not_finite


def recognises(names: Collection[str]) -> bool:
    """Whether a released file with these names of weights is one of HiCM2 or Vid2Seq: they contain a T5."""
    return any(released_name(name).startswith("t5.") for name in names)


def find_source(checkpoint: str | Path, config: Config) -> Source:
    """Find the weights and hash them, without loading anything.  Raises UserError when there are none."""
    path = require(checkpoint, "checkpoint", "give a released .pth or a run folder")
    refuse_no_start(path)
    return open_source(checkpoint_folder(path) if path.is_dir() else path, DESCRIPTION)


def settled(config: Config) -> Config:
    """The settings of the run, without ``captioner.init``: it has its weights already."""
    return replace(config, room=replace(config.room, init=""))


def read(source: Source, config: Config, fresh_memory: bool) -> Converted:
    """The model of a checkpoint.  Raises UserError when it is refused or does not fit the settings."""
    config = settled(config)
    content = read_checkpoint(source.path) if not source.ours else Checkpoint(read_folder(source.path))
    vocabulary = _vocabulary(source, config)
    model, missing = _model(source, content, vocabulary, config, fresh_memory)
    memory = model.memory_projection is not None
    own, kind = set(model.state_dict()), kind_of(source, content)

    def save(run: Path, about: dict[str, Any]) -> None:
        save_captioner(model, vocabulary, run / "best", **about)
        vocabulary.save(run / "tokenizer")

    return Converted(
        kind, KINDS[kind], save, model.memory_width if memory else 0,
        {"used": len(content.state), "rows": model.t5.config.vocab_size,
         "parameters": sum(value.numel() for value in content.state.values()), "tied": list(content.tied),
         "fresh": sorted(name for name in own if name.startswith(MEMORY) and name not in content.state),
         "renamed": content.renamed},
        make_rows(model, config), make_notes(source, content, config, missing), content.args, SHOWN, content.epoch,
        content.dropped, config.train.select_on)


def _model(source: Source, content: Checkpoint, vocabulary: Vocabulary, config: Config,
           fresh: bool) -> tuple[Captioner, list[str]]:
    """The model with its weights, and the names that the checkpoint lacks."""
    captioner, state, where = config.room, content.state, str(source.path)
    rows = EMBEDDINGS[0] in state and state[EMBEDDINGS[0]].ndim and state[EMBEDDINGS[0]].shape[0]
    check_vocabulary(int(rows), vocabulary, captioner.tokenizer or captioner.t5, where)
    if not source.ours:
        check_pieces(content.args, vocabulary, where)
    t5 = describe_t5(captioner, vocabulary.size, config.offline) if not source.ours else _own_t5(source)
    memory = check_memory(state, config, fresh, where)
    check_shapes(state, config, t5, where)
    frames = state.get("visual_encoder.pos_embed")
    width = frames.shape[2] if frames is not None and frames.ndim == 3 else t5.d_model
    norm = state.get(f"{MEMORY}layers.0.norm.weight")
    memory_width = 0 if not memory else len(norm) if norm is not None and norm.ndim else width
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)  # for a new memory projection
        model = Captioner(captioner, new_t5(t5), width, config.data.frames, memory_width)
    missing = load_state(model, state, where)
    refuse_not_finite(model, where)
    return model.eval(), missing


def _vocabulary(source: Source, config: Config) -> Vocabulary:
    captioner = config.room
    if source.ours:
        vocabulary = load_vocabulary(str(source.path / "tokenizer"), captioner.time_bins, offline=True)
        refuse_replaced(vocabulary.digest, source.about, source.path)
        return vocabulary
    name = captioner.tokenizer or captioner.t5
    if name in ("train", "scratch"):
        raise UserError(f"{source.path}: captioner.tokenizer={captioner.tokenizer!r} and captioner.t5={captioner.t5} "
                        "name no tokenizer; set captioner.tokenizer to the one it was trained with (t5-base)")
    return load_vocabulary(name, captioner.time_bins, config.offline)


def _own_t5(source: Source) -> T5Config:
    try:
        return T5Config(**source.about["t5_config"])
    except Exception as error:  # damaged content can raise nearly anything
        raise bad_description(source.path / DESCRIPTION, error) from error
