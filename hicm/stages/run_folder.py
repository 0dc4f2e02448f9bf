"""Run folders: what `train` leaves and the other stages read.

A run folder holds ``config.yaml``, ``manifest.json``, ``uncommitted.diff`` (if any), ``stats.jsonl``, ``bank/`` (the
memory bank that it read), checkpoints, ``best/`` and ``last/``, ``predictions_<split>.json``, ``metrics_<split>.json``.
"""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hicm.config import Config, changes, config_text, load_config, save_config
from hicm.decisive import SELECTING, training_settings
from hicm.errors import UserError
from hicm.files import read_json, require, write_json, write_text
from hicm.locks import is_held
from hicm.memory.bank import OWN, TEXTS, copy_bank
from hicm.provenance import Origin, describe, now, uncommitted
from hicm.retrieval.mean_frame import keep_mean
from hicm.rooms import described_by, reads_tokens, room_constant
from hicm.stages.origins import needs_bank

RUNS = Path("presave/runs")
LOCK = ".lock"  # held by a training, and by predictions that read its model
SAYS_LITTLE = re.compile(r"run|seed_\d+")  # names of folders that do not tell one run from another


def run_name(stem: str, origin: Origin) -> str:
    """``<settings file>-<hash>``: the same settings and inputs give the same name."""
    return f"{stem}-{origin.identity[:8]}"


def run_label(run: Path) -> str:
    """What tables and folders of results call a run: its folder, after those above it while the name says too little.

    >>> run_label(Path("presave/runs/mine")), run_label(Path("presave/bench/descend/seed_0/run"))
    ('mine', 'descend/seed_0/run')
    """
    first, *above = reversed(run.resolve().parts[1:])
    names = [first]
    while above and SAYS_LITTLE.fullmatch(names[0]):
        names.insert(0, above.pop(0))
    return "/".join(names)


def open_run(folder: Path, run: str, config: Config, origin: Origin, **extra: Any) -> tuple[str, Config]:
    """Start or continue a run folder; returns the run's id and its settings.

    How captions are decoded and scored may be corrected in a run that continues, as long as its weights stay what they
    are and no checkpoint was selected by another score; the manifest lists corrections.  A finished run keeps the
    decoding that selected its checkpoint.  Raises UserError when the folder holds a run with other settings, or one
    started on other inputs: results of two runs are never mixed.
    """
    manifest = folder / "manifest.json"
    if manifest.exists():
        found = read_manifest(folder)
        changed = compare_run(folder, found, config, origin)
        if not changed or _may_correct(folder, found, origin):
            return found["run"], _continue(folder, found, config, origin, **extra)
        if _is_started(folder):
            why = "; its checkpoints were selected by other scores" if _only_selects(found, origin) else ""
            raise UserError(f"{folder}: holds run {found['run']}, started differently ({'; '.join(changed)}){why}; "
                            "choose another --out, or remove the folder")
        for stale in folder.glob("retrieved_*"):
            stale.unlink()
    save_config(config, folder / "config.yaml")
    if difference := uncommitted():
        write_text(folder / "uncommitted.diff", difference)
    write_json(manifest, describe("train", run, identity=origin.identity, decided_by=origin.to_json(), **extra))
    return run, config


def find_run(stem: str, config: Config, origin: Origin) -> Path:
    """The folder of a run under `RUNS`.

    It is the one of the run's own name; else one that holds this run under another name, from hicm 0.1.0 or since its
    settings were corrected; else an interrupted one whose settings may be corrected to these.
    """
    own = RUNS / run_name(stem, origin)
    same, correctable = [], []
    for folder in () if own.exists() else sorted(RUNS.glob(f"{stem}-*")):
        with contextlib.suppress(UserError):  # another run, damaged
            manifest = read_manifest(folder)
            if not compare_run(folder, manifest, config, origin):
                same.append(folder)
            elif (_may_correct(folder, manifest, origin) and any(folder.glob("checkpoint*.pt"))  # or the one before it
                  and not is_held(folder / LOCK)):
                correctable.append(folder)
    return [*same, *correctable, own][0]


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
    """Give a run folder the memory bank that its system reads, and the mean frame that queries are centred by, so that
    it can be used and shared alone.
    """
    if needs_bank(config):
        copy_bank(config.bank, folder / OWN)
    if reads_tokens(config):
        keep_mean(config, folder / OWN)


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
    if name not in ("", "best", "last"):
        raise UserError(f"--checkpoint {name}: expected best or last")
    names = [name] if name else ["best", "last"]
    for candidate in names:
        if described_by(run / candidate):
            return run / candidate
    raise UserError(f"{run}: no {' or '.join(names)} checkpoint yet; train first: hicm train CONFIG")


def _continue(folder: Path, manifest: dict[str, Any], config: Config, origin: Origin, **extra: Any) -> Config:
    """The settings with which a run continues; what changed is printed and recorded."""
    own = load_config(folder / "config.yaml")
    if "finished" in manifest:
        config = _as_decoded(config, own)
    if corrected := _corrections(own, config):
        print("\n".join(f"{folder}: continues with {name}={here} in place of {there}"
                        for name, (there, here) in corrected.items()))
        known = {"identity": origin.identity, "decided_by": origin.to_json()} if "decided_by" in manifest else {}
        write_json(folder / "manifest.json", manifest | known | {
            "selected_on": extra.get("selected_on", manifest.get("selected_on")),
            "corrected": [*manifest.get("corrected", []), {"at": now(), "settings": corrected}]})
    if config_text(config) != (folder / "config.yaml").read_text(encoding="utf-8"):
        save_config(config, folder / "config.yaml")  # corrected, or data were moved
    return config


def _corrections(own: Config, config: Config) -> dict[str, list[Any]]:
    """The settings of decoding and scoring that differ, by full name: the value there and here."""
    later = room_constant(config.system, "PREDICTION_ONLY", ())

    def named(one: Config) -> dict[str, Any]:
        return ({"train.select_on": one.train.select_on}
                | {f"evaluate.{name}": value for name, value in changes(one.evaluate).items()}
                | {f"{one.system}.{name}": value for name, value in changes(one.room).items()
                   if name.partition(".")[0] in later})

    there, here = named(own), named(config)
    return {name: [there.get(name, "its default"), here.get(name, "its default")]
            for name in sorted({**there, **here}) if there.get(name) != here.get(name)}


def _as_decoded(config: Config, own: Config) -> Config:
    later = room_constant(config.system, "PREDICTION_ONLY", ())
    kept = {name: getattr(own.room, name) for name in later}
    other = [name for name, value in kept.items() if getattr(config.room, name) != value]
    if other:
        print(f"the run is finished with its own {config.system}.{', '.join(other)}; give another to 'hicm predict'")
    return replace(config, room=replace(config.room, **kept))


def _may_correct(folder: Path, manifest: dict[str, Any], origin: Origin) -> bool:
    """Whether a run differs only in what selects its checkpoint, and none was selected yet."""
    return _only_selects(manifest, origin) and "finished" not in manifest and not _is_evaluated(folder)


def _only_selects(manifest: dict[str, Any], origin: Origin) -> bool:
    found = manifest.get("decided_by")
    if not isinstance(found, dict) or not isinstance(found.get("settings"), dict):
        return False
    return not Origin(_weighty(origin.settings), origin.inputs).differences(
        found | {"settings": _weighty(found["settings"])})


def _weighty(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide weights."""
    return {name: value for name, value in settings.items() if name not in SELECTING}


def _is_evaluated(folder: Path) -> bool:
    log = folder / "stats.jsonl"
    return log.exists() and '"metrics"' in log.read_text(encoding="utf-8", errors="replace")


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
