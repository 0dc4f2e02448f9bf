"""Run folders: what `train` leaves and the other stages read.

A run folder holds ``config.yaml``, ``manifest.json``, ``uncommitted.diff`` (if any), ``stats.jsonl``, ``bank/`` (the
memory bank that it read), checkpoints, ``best/`` and ``last/``, ``predictions_<split>.json``, ``metrics_<split>.json``.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hicm.config import Config, config_text, load_config, save_config
from hicm.decisive import training_settings
from hicm.errors import UserError
from hicm.files import read_json, require, write_json, write_text
from hicm.memory.bank import OWN, TEXTS, copy_bank
from hicm.provenance import Origin, describe, uncommitted
from hicm.rooms import described_by, room_constant
from hicm.stages.origins import needs_bank

RUNS = Path("presave/runs")


def run_name(stem: str, origin: Origin) -> str:
    """``<settings file>-<hash>``: the same settings and inputs give the same name."""
    return f"{stem}-{origin.identity[:8]}"


def open_run(folder: Path, run: str, config: Config, origin: Origin, **extra: Any) -> tuple[str, Config]:
    """Start or continue a run folder; returns the run's id and its settings.

    A run that continues keeps the settings that decide nothing of training but that may choose the checkpoint (how
    captions are decoded).  Raises UserError when the folder holds a run with other settings, or one started on other
    inputs: results of two runs are never mixed.
    """
    manifest = folder / "manifest.json"
    if manifest.exists():
        found = read_manifest(folder)
        changed = compare_run(folder, found, config, origin)
        if not changed:
            config = _continued(config, load_config(folder / "config.yaml"))
            if config_text(config) != (folder / "config.yaml").read_text(encoding="utf-8"):
                save_config(config, folder / "config.yaml")  # data were moved
            return found["run"], config
        if _is_started(folder):
            raise UserError(f"{folder}: holds run {found['run']}, started differently ({'; '.join(changed)}); choose "
                            "another --out, or remove the folder")
        for stale in folder.glob("retrieved_*"):
            stale.unlink()
    save_config(config, folder / "config.yaml")
    if difference := uncommitted():
        write_text(folder / "uncommitted.diff", difference)
    write_json(manifest, describe("train", run, identity=origin.identity, decided_by=origin.to_json(), **extra))
    return run, config


def find_run(stem: str, config: Config, origin: Origin) -> Path:
    """The folder of a run under `RUNS`: of its own name, or of the name that hicm 0.1.0 gave it."""
    own = RUNS / run_name(stem, origin)
    for folder in () if own.exists() else sorted(RUNS.glob(f"{stem}-*")):
        with contextlib.suppress(UserError):  # another run, damaged
            manifest = read_manifest(folder)
            if "decided_by" not in manifest and not compare_run(folder, manifest, config, origin):
                return folder
    return own


def compare_run(folder: Path, manifest: dict[str, Any], config: Config, origin: Origin) -> list[str]:
    """How the run in a folder differs from one of ``config`` and ``origin``; empty: it is that run.

    Of a folder that hicm 0.1.0 made, settings and annotation files are compared: it recorded no other inputs.
    """
    if "decided_by" in manifest:
        return origin.differences(manifest["decided_by"])
    there = load_config(require(folder / "config.yaml", "run", "the folder is not complete; remove it"))
    recorded = manifest.get("inputs")
    known = set(recorded.values()) if isinstance(recorded, dict) else set()
    annotations = {role: value for role, value in origin.inputs.items() if role.startswith("annotations of ")}
    old = {role: value if value in known else "" for role, value in annotations.items()}
    return Origin(origin.settings, annotations).differences(Origin(training_settings(there), old).to_json())


def keep_bank(folder: Path, config: Config) -> None:
    """Give a run folder the memory bank that its system reads, so that it can be used and shared alone."""
    if needs_bank(config):
        copy_bank(config.bank, folder / OWN)


def with_own_bank(folder: Path, config: Config, overrides: Sequence[str] = ()) -> Config:
    """``config`` with the run's own bank, unless an override names one."""
    named = any(override.strip().startswith("memory.path") for override in overrides)
    if named or not (folder / OWN / TEXTS).exists():
        return config
    return replace(config, memory=replace(config.memory, path=str(folder / OWN)))


def model_folder(run: Path, name: str = "") -> Path:
    """The folder of the saved model in a run: ``best``, or ``last`` where there is no best, or the one named.

    Raises UserError when there is none yet.
    """
    names = [name] if name else ["best", "last"]
    for candidate in names:
        if described_by(run / candidate):
            return run / candidate
    raise UserError(f"{run}: no {' or '.join(names)} checkpoint yet; train first: hicm train CONFIG")


def _continued(config: Config, own: Config) -> Config:
    later = room_constant(config.system, "PREDICTION_ONLY", ())
    kept = {name: getattr(own.room, name) for name in later}
    other = [name for name, value in kept.items() if getattr(config.room, name) != value]
    if other:
        print(f"the run continues with its own {config.system}.{', '.join(other)}; give another to 'hicm predict'")
    return replace(config, room=replace(config.room, **kept))


def read_manifest(folder: Path) -> dict[str, Any]:
    """``manifest.json`` of a run folder.  Raises UserError when it names no run."""
    found = read_json(folder / "manifest.json", "run manifest")
    if not isinstance(found, dict) or not isinstance(found.get("run"), str):
        raise UserError(f"{folder / 'manifest.json'}: names no run; remove the folder, or choose another --out")
    return found


def _is_started(folder: Path) -> bool:
    """Whether the folder holds more than its description, its bank and recalled vectors (which know their origin)."""
    return any(path.name not in ("config.yaml", "manifest.json", "uncommitted.diff", OWN)
               and not path.name.startswith((".", "retrieved_")) for path in folder.iterdir())
