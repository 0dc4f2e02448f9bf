"""Formats of files, each a module that tells by a file's content whether it is its own.

A format defines ``matches(source)`` and ``read``.  ``package`` holds ours; others come through the entry points of
``group`` (`hicm.plugins`).
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from hicm.plugins import find_module, known
from hicm.source import Source


@cache
def own_formats(package: str) -> dict[str, ModuleType]:
    """The modules of a package's formats by name.  Entry points are not searched, which takes a while."""
    names = sorted(part.name for part in iter_modules(import_module(package).__path__) if not part.name.startswith("_"))
    return {name: import_module(f"{package}.{name}") for name in names}


@cache
def other_formats(package: str, group: str) -> dict[str, ModuleType]:
    """The modules of the formats that other packages offer."""
    return {name: find_module(package, group, name, "--format", "read") for name in known(package, group, "read")
            if name not in own_formats(package)}


def claims_of(source: Source, package: str, group: str) -> dict[str, ModuleType]:
    """The formats that claim content; those of other packages are asked only if none of ours does."""
    own = {name: part for name, part in own_formats(package).items() if part.matches(source)}
    return own or {name: part for name, part in other_formats(package, group).items() if part.matches(source)}
