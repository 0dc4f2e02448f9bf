"""The forms in which speech is written, each in a module of its own that is found by scanning this package.

A module for files defines ``SUFFIXES`` and ``read_file(path)``, which returns plain data: one video's entry in one of
the forms below, or such entries by video id.  A module for an entry defines

    FORM                        how it looks, for error messages
    matches(entry) -> bool      whether an entry has this form
    read(entry, where)          its `hicm.data.speech.segments.Speech`; raises UserError, starting with ``where``
"""

import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from hicm.data.speech.segments import Speech
from hicm.errors import UserError


@cache
def _modules() -> tuple[ModuleType, ...]:
    return tuple(import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))


@cache
def readers() -> dict[str, Callable[[Path], Any]]:
    """What reads a file, by its ending, in the order in which files of one video are preferred."""
    found = {suffix: module.read_file for module in _modules() for suffix in getattr(module, "SUFFIXES", ())}
    return {suffix: found[suffix] for suffix in sorted(found, key=lambda suffix: (
        suffix in (".srt", ".vtt"), suffix not in (".pkl", ".pickle")))}


def is_entry(content: Any) -> bool:
    """Whether ``content`` is the transcript of one video."""
    return any(module.matches(content) for module in _modules() if hasattr(module, "matches"))


def read_entry(entry: Any, where: str) -> Speech:
    """The speech of one video's entry.  Raises UserError, starting with ``where``, when it has none of the forms."""
    if isinstance(entry, Speech):
        return entry
    forms = [module for module in _modules() if hasattr(module, "matches")]
    for module in forms:
        if module.matches(entry):
            return module.read(entry, where)
    raise UserError(f"{where}: expected {', '.join(module.FORM for module in forms)}; found {type(entry).__name__}"
                    + (f" with {', '.join(map(str, list(entry)[:5]))}" if isinstance(entry, dict) and entry else ""))
