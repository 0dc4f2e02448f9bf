"""Where results come from: settings, digests of inputs, code and versions.

An `Origin` says what decides a result; equal origins give equal results, and files of different ones are never mixed.
"""

import datetime
import importlib.metadata
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hicm
from hicm.config import digest
from hicm.files import plain

PACKAGES = ("torch", "transformers", "accelerate", "open_clip_torch", "numpy", "scikit-learn", "h5py",
            "pycocoevalcap", "safetensors", "tokenizers", "sentencepiece", "scipy")


@dataclass(frozen=True)
class Origin:
    """What decides a result: settings that differ from their defaults, by full name, and digests of inputs, by role.

    Inputs are known by their content, so neither a path nor a time stamp is part of it.
    """

    settings: dict[str, Any]
    inputs: dict[str, str]

    @property
    def identity(self) -> str:
        """Hash of all of it: equal results have equal identities."""
        return digest(self.to_json(), 16)

    def to_json(self) -> dict[str, Any]:
        """Plain data, as it comes back from a file."""
        return plain({"settings": self.settings, "inputs": self.inputs})

    def differences(self, found: Any) -> list[str]:
        """How ``found``, the `to_json` of another origin (or anything a file holds), differs; empty when equal."""
        if not isinstance(found, dict) or not all(isinstance(found.get(part), dict) for part in ("settings", "inputs")):
            return ["the file does not say with which settings it was made"]
        there, here = found["settings"], self.to_json()["settings"]
        lines = [f"{name} is {_shown(there, name)} there and {_shown(here, name)} here"
                 for name in sorted({**there, **here}) if there.get(name) != here.get(name)]
        inputs = found["inputs"]
        return lines + [f"{role} {_changed(inputs.get(role), self.inputs.get(role))}"
                        for role in sorted({**inputs, **self.inputs}) if inputs.get(role) != self.inputs.get(role)]


def _shown(settings: dict[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "the default"


def _changed(there: str | None, here: str | None) -> str:
    return "is not read here" if here is None else "was not read there" if there is None else "has other content"


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


def describe(kind: str, run: str, **content: Any) -> dict[str, Any]:
    """A manifest: what was run, when, from which code, with which versions, and ``content``."""
    return {"kind": kind, "run": run, "command": sys.argv, "started": now(), "revision": revision(),
            "versions": versions(), **content}


def uncommitted() -> str:
    """Changes of the checkout that hicm runs from since its last commit; '' outside a checkout."""
    root = Path(hicm.__file__).parent.parent
    return (_git(root, "diff", "HEAD") or "") if (root / ".git").exists() else ""


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]  # killed, it would leave a lock behind
    try:
        return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True,
                              timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return None
