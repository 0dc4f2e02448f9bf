"""``hicm convert``: from released weights to a run folder like those of ``hicm train``.

The room of the system reads the checkpoint in its ``convert.py`` (`hicm.rooms`).  Nothing in a file is executed, every
key is accounted for, and the folder is written completely or not at all.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from hicm.config import Config, digest, dump_config, load_config, names_system, save_config
from hicm.errors import UserError
from hicm.files import atomic_folder, read_json, write_json, write_text
from hicm.memory.bank import OWN, copy_bank, load_bank
from hicm.rooms import described_by, memory_need, room_has, room_module, room_names
from hicm.stages.model_card import make_card, make_manifest
from hicm.systems.released import Converted, Source, released_names

PLACES = ("", "best", "last")  # of a model in a folder
CONVERTED = Path("presave/converted")


def conversion_config(checkpoint: str | Path, config: str | Path, overrides: Sequence[str] = (),
                      vocabulary: str = "") -> Config:
    """The settings for a conversion: those of a file, of the system whose weights ``checkpoint`` holds.

    Where neither file nor overrides name a system, the weights tell.  ``vocabulary``: the file of words, for systems
    whose checkpoints have none.  Raises UserError when settings and checkpoint are of different systems.
    """
    found = _room_of(Path(checkpoint))
    if found and not names_system(config, overrides):
        overrides = [f"system={found}", *overrides]
    settings = load_config(config, overrides)
    if found and found != settings.system and room_has(settings.system, "convert"):
        raise UserError(f"{checkpoint}: holds weights of the system {found}, the settings are for {settings.system}; "
                        f"set system={found}, or give a checkpoint of {settings.system}")
    if not vocabulary:
        return settings
    setting = getattr(_converter(settings), "VOCABULARY", "")
    if not setting:
        raise UserError(f"--vocabulary {vocabulary}: the system {settings.system} reads no file of words; leave it out")
    return load_config(config, [*overrides, f"{setting}={vocabulary}"])


def convert_checkpoint(checkpoint: str | Path, config: Config, out: str | Path, fresh_memory: bool = False,
                       overwrite: bool = False) -> Path:
    """Write the run folder ``out`` with the weights of ``checkpoint`` and the settings; returns ``out``.

    ``checkpoint`` is a released file of the system, or a run or checkpoint folder of hicm.  ``fresh_memory`` gives a
    checkpoint without memory a projection with random weights.  If ``out`` is already the result of the same weights
    and settings, nothing is done.  Raises UserError when the checkpoint is refused or does not fit the settings, or
    ``out`` holds anything else (``overwrite`` replaces another conversion, nothing else).
    """
    out, room = Path(out), _converter(config)
    source = room.find_source(checkpoint, config)
    kept = room.settled(config)
    run = _name(source, kept, fresh_memory)
    if _holds(out, run, source.sha256, kept, overwrite):
        return out
    if out.resolve() in source.path.resolve().parents or out.resolve() == source.path.resolve():
        raise UserError(f"{out}: holds the checkpoint {checkpoint}; choose another folder")
    found = room.read(source, config, fresh_memory)
    _refuse_other_bank(found, source, kept)
    manifest = make_manifest(run, source, kept, found)
    with atomic_folder(out) as folder:
        found.save(folder, {"run": run, "step": source.about.get("step"), "epoch": found.epoch,
                            "source": manifest["source"]})
        if (found.memory_width or memory_need(kept) == "sentences") and kept.bank.exists():
            copy_bank(kept.bank, folder / OWN)
        save_config(kept, folder / "config.yaml")
        write_text(folder / "README.md", make_card(manifest, kept, found, out.name))
        write_json(folder / "manifest.json", manifest)
    for note in found.notes:
        warnings.warn(f"{checkpoint}: {note}", stacklevel=2)
    return out


def convert_once(checkpoint: str | Path, config: Config) -> Path:
    """The run folder of a released file under `CONVERTED`, made if absent."""
    room = _converter(config)
    run = _name(room.find_source(checkpoint, config), room.settled(config), False)
    return convert_checkpoint(checkpoint, config, CONVERTED / run)


def _converter(config: Config) -> ModuleType:
    if not room_has(config.system, "convert"):
        raise UserError(f"system {config.system}: no released weights of this system can be converted")
    return room_module(config.system, "convert")


def _room_of(checkpoint: Path) -> str:
    """The system whose weights a file or folder holds; '' where it cannot be told."""
    if checkpoint.is_dir():
        return next(filter(None, (described_by(checkpoint / place) for place in PLACES)), "")
    names = released_names(checkpoint) if checkpoint.is_file() else ()
    rooms = [name for name in room_names() if names and room_has(name, "convert")
             and room_module(name, "convert").recognises(names)]
    return rooms[0] if len(rooms) == 1 else ""


def _name(source: Source, config: Config, fresh_memory: bool) -> str:
    """``<name>-<hash>``: the same weights, settings and inputs give the same name."""
    path = source.path
    name = path.stem if path.is_file() else path.parent.name if path.name in ("best", "last") else path.name
    return f"{name}-{digest([dump_config(config), source.sha256, fresh_memory, *source.inputs.values()])}"


def _refuse_other_bank(found: Converted, source: Source, config: Config) -> None:
    bank = load_bank(config.bank) if found.memory_width and config.bank.exists() else None
    if bank is not None and bank.width != found.memory_width:
        raise UserError(f"{source.path}: reads memory vectors {found.memory_width} wide, the bank {config.bank} holds "
                        f"{bank.width}; set memory.path to the bank it was trained with, or build that one")


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
    if source.get("inputs"):  # not of 0.1.0
        return False
    return not (manifest.get("keys") or {}).get("fresh") and load_config(out / "config.yaml") == config
