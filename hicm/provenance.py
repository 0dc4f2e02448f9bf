"""What a run leaves behind: manifest, hashes, versions, the log of steps.

A run folder holds ``config.yaml``, ``manifest.json``, ``uncommitted.diff`` (if any), ``stats.jsonl``, checkpoints,
``predictions_<split>.json`` and ``metrics_<split>.json``: flat, plain, greppable.
"""

import datetime
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import hicm
from hicm.config import Config, digest, dump_config, save_config
from hicm.errors import UserError
from hicm.files import atomic, read_json, sha256, write_json

PACKAGES = ("torch", "transformers", "accelerate", "open_clip_torch", "numpy", "scikit-learn", "h5py",
            "pycocoevalcap", "safetensors")


def run_id(name: str, config: Config) -> str:
    """``<name>-<hash>``: the same settings give the same id."""
    return f"{name}-{digest(dump_config(config))}"


def now() -> str:
    """UTC time, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def revision() -> dict[str, Any]:
    """Git revision of the code and whether it was changed since; empty outside a checkout."""
    root = Path(hicm.__file__).parent.parent
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None or not (root / ".git").exists():
        return {}
    return {"commit": commit.strip(), "dirty": bool(_git(root, "status", "--porcelain"))}


def versions() -> dict[str, str]:
    """Versions of Python, the platform, hicm and the packages that decide numbers."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "hicm": hicm.__version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe(kind: str, run: str, inputs: Iterable[str | Path] = (), **extra: Any) -> dict[str, Any]:
    """A manifest: what was run, on what, with which versions.  Folders are described by the hashes of their files."""
    hashes = {}
    for path in map(Path, inputs):
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        hashes.update({str(p): sha256(p) for p in files})
    return {"kind": kind, "run": run, "command": sys.argv, "started": now(), "revision": revision(),
            "versions": versions(), "inputs": hashes, **extra}


def open_run(folder: Path, run: str, config: Config, inputs: Iterable[str | Path] = (), **extra: Any) -> bool:
    """Start or continue a run folder; returns True when the folder already holds this very run.

    Raises UserError when the folder holds a run with other settings, or one begun on other input files: results of two
    runs are never mixed.
    """
    manifest, content = folder / "manifest.json", describe("train", run, inputs, **extra)
    if manifest.exists():
        found = read_json(manifest, "run manifest")
        found = found if isinstance(found, dict) else {}
        if found.get("run") != run:
            raise UserError(f"{folder}: holds run {found.get('run')}, not {run}; choose another --out or remove it")
        changed = [path for path, value in content["inputs"].items() if found.get("inputs", {}).get(path) != value]
        if changed and _is_begun(folder):
            raise UserError(f"{folder}: was begun on another {changed[0]} (its content differs); choose another --out, "
                            "remove the folder, or restore the file")
        if not changed:
            return True
    save_config(config, folder / "config.yaml")
    root = Path(hicm.__file__).parent.parent
    difference = _git(root, "diff", "HEAD") if (root / ".git").exists() else None
    if difference:
        with atomic(folder / "uncommitted.diff") as temporary:
            temporary.write_text(difference, encoding="utf-8")
    write_json(manifest, content)
    return False


def _is_begun(folder: Path) -> bool:
    """Whether the folder holds more than its description and recalled vectors (which know their own origin)."""
    return any(path.name not in ("config.yaml", "manifest.json", "uncommitted.diff")
               and not path.name.startswith((".", "retrieved_")) for path in folder.iterdir())


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]  # killed, it would leave a lock behind
    try:
        return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True,
                              timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return None
