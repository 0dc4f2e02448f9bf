"""All parts, one after the other; what is finished is written after each."""

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tqdm import tqdm

from hicm.errors import UserError
from hicm.files import read_json, sha256, write_json
from hicm.outputs import output_file
from hicm.plugins import find_module, known
from hicm.provenance import now, revision, versions
from hicm.recipes.bench import machine
from hicm.recipes.bench.race import Asked
from hicm.recipes.bench.table import table
from hicm.rooms import room_module

PARTS = {"package": "hicm.recipes.bench", "group": "hicm.benches", "defines": "measure"}
SIZES = ("tiny", "small", "base")
KIND = "hicm bench"  # what the file says it is


@dataclass
class Bench:
    """What was measured, with the machine and the settings; prints as tables."""

    content: dict[str, Any]
    out: Path = field(default_factory=Path)

    def __str__(self) -> str:
        return f"{table(self.content)}\n\n{self.out}"


def bench(names: Sequence[str], size: str, repeat: int, reference: str, device: str, out: str | Path,
          overwrite: bool = False, greedy: bool = False) -> Bench:
    """Measure the parts of these names, or all, and write ``out`` after each.

    ``reference``: folder with the authors' code, empty: without.  ``greedy``: no generation with beams.  Raises
    UserError for what cannot be measured, before anything is.  Earlier measurements in ``out`` are replaced with
    ``overwrite`` only, other files never.
    """
    if size not in SIZES:
        raise UserError(f"--size {size}: expected one of {', '.join(SIZES)}")
    if repeat < 1:
        raise UserError(f"--repeat {repeat}: expected 1 or more")
    parts = find_parts(names)
    out = output_file(out)
    _keep_file(out, overwrite)
    torch_used = any(getattr(part, "TORCH", False) for part in parts.values())
    about = machine.describe()
    if torch_used or device not in ("auto", "cpu"):  # importing torch takes seconds
        speed = importlib.import_module("hicm.training.speed")
        device = speed.find_device(device)
        about |= speed.describe_torch(device) if torch_used else {}
    if reference and not any(hasattr(part, "REFERENCE") for part in parts.values()):
        warnings.warn(f"--reference {reference}: not used; only step and generation run the authors' code",
                      stacklevel=2)
        reference = ""
    if greedy and "generation" not in parts:
        warnings.warn("--greedy: not used; only generation has beams", stacklevel=2)
    settings = {"size": size, "repeat": repeat, "reference": reference or None, "greedy": greedy}
    settings |= _reference_files(reference)
    busy = machine.busy()
    if busy:
        warnings.warn(busy, stacklevel=2)
    content: dict[str, Any] = {"kind": KIND, "date": now(), "machine": about, "versions": versions(),
                               "revision": revision(), "settings": settings, "warnings": [busy] if busy else [],
                               "parts": {}}
    for name, part in parts.items():
        with tqdm(desc=name, bar_format="{desc} [{elapsed}]", leave=False, disable=None) as line:
            asked = Asked(size, repeat, device, Path(reference) if reference else None, greedy,
                          lambda said, line=line, name=name: line.set_description(f"{name}: {said}"))  # type: ignore[misc]
            load = machine.load()
            content["parts"][name] = part.measure(asked) | {"load": load}
        write_json(out, content)
    return Bench(content, out)


def find_parts(names: Sequence[str]) -> dict[str, ModuleType]:
    """The parts of these names in the order of the work; all of them if none is named.

    Raises UserError for a name that is none.
    """
    found = {name: find_module(name=name, what="hicm bench", **PARTS) for name in names or known(**PARTS)}
    return dict(sorted(found.items(), key=lambda pair: getattr(pair[1], "ORDER", 100)))


def _reference_files(folder: str) -> dict[str, dict[str, str]]:
    """The authors' files with their digests, once it is known that they can be imported."""
    if not folder:
        return {}
    code = room_module("captioner", "bench.reference")
    code.load_code(Path(folder))
    return {"reference_files": {name: sha256(Path(folder, name)) for name in code.FILES}}


def _keep_file(out: Path, overwrite: bool) -> None:
    """Raise UserError for a file that must not be replaced."""
    if not out.exists():
        return
    try:
        content = read_json(out)
    except UserError:
        content = None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise UserError(f"--out {out}: holds no measurements of hicm bench; name another file")
    if not overwrite:
        raise UserError(f"--out {out}: holds earlier measurements; name another file, or add --overwrite")
