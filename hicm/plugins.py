"""Parts that can be exchanged, found by their name: a module of one of our packages, or an entry point of another one.

A package of parts (encoders, summarisers, hierarchies) asks of each module for one function and a ``FORM``, the way
the part is written in the settings.  A new part is one new file; there is no central list.  A part that lives outside
of hicm is a module of the same form, announced by its own package:

    [project.entry-points."hicm.encoders"]
    mine = "my_package.my_encoder"
"""

import importlib
import importlib.util
import pkgutil
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from hicm.errors import UserError


def find_part(name: str, package: str, group: str, function: str) -> ModuleType | None:
    """The module ``package.name``, or else the entry point ``name`` of ``group``; None when there is neither.

    Helper modules of the package, which lack ``function``, are not parts.  Raises UserError when an entry point cannot
    be loaded.
    """
    if name.isidentifier() and importlib.util.find_spec(f"{package}.{name}") is not None:
        module = importlib.import_module(f"{package}.{name}")
        if hasattr(module, function):
            return module
    for point in entry_points(group=group, name=name):
        return _load(point)
    return None


def known_forms(package: str, group: str, function: str) -> str:
    """How every installed part is written, for error messages: ``array:<npz>, hashing:<width>, ...``."""
    names = [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    parts = [find_part(name, package, group, function) for name in names]
    forms = [part.FORM for part in parts if part is not None]
    return ", ".join([*forms, *sorted({point.name for point in entry_points(group=group)} - set(names))])


def _load(point: Any) -> ModuleType:
    try:
        return point.load()
    except Exception as error:  # whatever an installed package raises at its import
        raise UserError(f"{point.name}: {point.value} cannot be loaded ({error}); it is announced as entry point of "
                        f"{point.group}: correct or uninstall the package") from error
