"""``hicm convert``: from released weights to a run folder like those of ``hicm train``.

Nothing in a file is executed, every key is accounted for, and the folder is written completely or not at all.
"""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import T5Config

from hicm.config import Config, digest, dump_config, load_config, save_config
from hicm.errors import UserError
from hicm.files import atomic_folder, read_json, require, sha256, write_json, write_text
from hicm.memory.bank import OWN, copy_bank, load_bank
from hicm.systems.captioner.model import Captioner, describe_t5
from hicm.systems.captioner.released.card import Source, make_card, make_manifest, make_notes
from hicm.systems.captioner.released.checkpoint import EMBEDDINGS, Checkpoint, read_checkpoint
from hicm.systems.captioner.released.compatibility import (
    MEMORY,
    check_memory,
    check_pieces,
    check_shapes,
    check_vocabulary,
)
from hicm.systems.captioner.start import checkpoint_folder, refuse_no_start
from hicm.systems.captioner.t5 import new_t5
from hicm.systems.captioner.vocabulary import Vocabulary, load_vocabulary
from hicm.systems.captioner.weights import bad_description, load_state, read_folder, refuse_replaced, save_captioner


def convert_checkpoint(checkpoint: str | Path, config: Config, out: str | Path, fresh_memory: bool = False,
                       overwrite: bool = False) -> Path:
    """Write the run folder ``out`` with the weights of ``checkpoint`` and the settings; returns ``out``.

    ``checkpoint`` is a released ``.pth`` (HiCM2, Vid2Seq of VidChapters), or a run or checkpoint folder of hicm.
    ``fresh_memory`` gives a checkpoint without memory a projection with random weights.  If ``out`` is already the
    result of the same weights and settings, nothing is done.  Raises UserError when the checkpoint is refused or does
    not fit the settings, or ``out`` holds anything else (``overwrite`` replaces another conversion, nothing else).
    """
    out, config = Path(out), _settled(config)
    source = open_source(checkpoint)
    run = converted_id(source, config, fresh_memory)
    if _holds(out, run, source.sha256, config, overwrite):
        return out
    if out.resolve() in source.path.resolve().parents or out.resolve() == source.path.resolve():
        raise UserError(f"{out}: holds the checkpoint {checkpoint}; choose another folder")
    content, model, vocabulary, notes = _load(source, config, fresh_memory)
    manifest = make_manifest(run, source, config, content, model, notes)
    with atomic_folder(out) as folder:
        about = {"run": run, "step": source.about.get("step"), "epoch": content.epoch, "source": manifest["source"]}
        save_captioner(model, vocabulary, folder / "best", **about)
        vocabulary.save(folder / "tokenizer")
        if model.memory_projection is not None and config.bank.exists():
            copy_bank(config.bank, folder / OWN)
        save_config(config, folder / "config.yaml")
        write_text(folder / "README.md", make_card(manifest, config, out.name))
        write_json(folder / "manifest.json", manifest)
    for note in notes:
        warnings.warn(f"{checkpoint}: {note}", stacklevel=2)
    return out


def open_source(checkpoint: str | Path) -> Source:
    """Find the weights and hash them, without loading anything.  Raises UserError when there are none."""
    path = require(checkpoint, "checkpoint", "give a released .pth or a run folder")
    refuse_no_start(path)
    if not path.is_dir():
        return Source(path, path, {}, {}, sha256(path))
    folder = checkpoint_folder(path)
    weights = require(folder / "model.safetensors", "weights", "is the folder complete?")
    manifest = (path if path != folder else folder.parent) / "manifest.json"
    return Source(folder, weights, _object(folder / "captioner.json"), _object(manifest), sha256(weights))


def _object(path: Path) -> dict[str, Any]:
    """The object in a json file; empty if there is no file.  UserError: the file holds anything else."""
    content = read_json(path) if path.exists() else {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object, found {type(content).__name__}; was it edited?")
    return content


def converted_id(source: Source, config: Config, fresh_memory: bool = False) -> str:
    """``<name>-<hash>``: the same weights and settings give the same id."""
    path = source.path
    name = path.stem if path.is_file() else path.parent.name if path.name in ("best", "last") else path.name
    return f"{name}-{digest([dump_config(_settled(config)), source.sha256, fresh_memory])}"


def _settled(config: Config) -> Config:
    """The settings of the run, without ``captioner.init``: it has its weights already."""
    return replace(config, room=replace(config.room, init=""))


def _load(source: Source, config: Config, fresh: bool) -> tuple[Checkpoint, Captioner, Vocabulary, list[str]]:
    """The content of the file, the model with its weights, its vocabulary, and notes for the user."""
    captioner, where = config.room, str(source.path)
    content = read_checkpoint(source.path) if not source.ours else Checkpoint(read_folder(source.path))
    state = content.state
    rows = EMBEDDINGS[0] in state and state[EMBEDDINGS[0]].ndim and state[EMBEDDINGS[0]].shape[0]
    vocabulary = _vocabulary(source, config)
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
    bank = load_bank(config.bank) if memory and config.bank.exists() else None
    if bank is not None and bank.width != memory_width:
        raise UserError(f"{where}: reads memory vectors {memory_width} wide, the bank {config.bank} holds "
                        f"{bank.width}; set memory.path to the bank it was trained with, or build that one")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)  # for a new memory projection
        model = Captioner(captioner, new_t5(t5), width, config.data.frames, memory_width)
    missing = load_state(model, state, where)
    broken = [name for name, value in model.named_parameters() if not torch.isfinite(value).all()]
    if broken:
        raise UserError(f"{where}: holds numbers that are not finite, in {', '.join(broken[:5])}; the file is damaged "
                        "or its training diverged, use another checkpoint")
    return content, model.eval(), vocabulary, make_notes(source, content, config, missing)


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
        raise bad_description(source.path / "captioner.json", error) from error


def _holds(out: Path, run: str, weights: str, config: Config, overwrite: bool) -> bool:
    """Whether ``out`` is the result of this conversion.  UserError when it is something that may not be replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    found = read_json(out / "manifest.json", "run manifest") if (out / "manifest.json").exists() else None
    if not isinstance(found, dict) or found.get("kind") != "convert":
        raise UserError(f"{out}: was not written by 'hicm convert', so it is not overwritten; choose another folder")
    if found.get("run") == run or _is_former(out, found, weights, config):
        return True
    if not overwrite:
        raise UserError(f"{out}: holds {found.get('run')}, with other weights or settings than {run}; choose another "
                        "folder, or replace it with --overwrite")
    return False


def _is_former(out: Path, manifest: dict[str, Any], weights: str, config: Config) -> bool:
    """Whether hicm 0.1.0 made this conversion; it gave other names to the same weights and settings."""
    source = manifest.get("source")
    if not isinstance(source, dict) or source.get("sha256") != weights or not (out / "config.yaml").exists():
        return False
    return not (manifest.get("keys") or {}).get("fresh") and load_config(out / "config.yaml") == config
