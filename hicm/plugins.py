"""Interchangeable parts found by name: a module of a package of ours, or of another installed package.

A part is one module, or one folder, that defines an agreed name: a search defines ``search``, a read ``read``.  The
module's own name is what users write in their settings; nothing is registered anywhere.  Another package offers a
part through an entry point of the agreed group, whose name is what users write and whose value is the module:

    [project.entry-points."hicm.searches"]
    nearest_event = "my_package.nearest_event"

Modules whose name begins with an underscore, and helpers that do not define the agreed name, do not count.
"""

import ast
import difflib
import importlib
import pkgutil
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from hicm.errors import UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints


def find_module(package: str, group: str, name: str, what: str, defines: str = "") -> ModuleType:
    """The module called ``name``: of ``package``, else the one that an entry point of ``group`` offers.

    ``what`` is the setting that names it, for errors ("retrieval.search").  ``defines`` is the name that a module has
    to define to count, at its top level and not by an import; for a folder, also a file in it.  Empty: every module
    counts.  Raises UserError when there is no such part, or when the one of another package cannot be used.
    """
    if _is_own(package, name, defines):
        return importlib.import_module(f"{package}.{name}")
    points = _offered(group, name)
    if not points:
        raise _unknown(package, group, name, what, defines)
    return _load(points, name, what, defines)


def find_part(name: str, package: str, group: str, defines: str) -> ModuleType | None:
    """`find_module`, but None when there is no such part."""
    if not _is_own(package, name, defines) and not _offered(group, name):
        return None
    return find_module(package, group, name, name, defines)


def find_written(spec: str, package: str, group: str, defines: str, refusal: str,
                 others: str = "") -> tuple[ModuleType, str]:
    """The part that a specification ``kind:rest`` names, and the rest.

    Raises UserError when there is none: ``refusal``, then how all parts are written, and ``others`` that may be given.
    """
    kind, _, rest = spec.partition(":")
    module = find_part(kind, package, group, defines) if rest else None
    if module is None:
        raise UserError(f"{refusal}; expected one of {known_forms(package, group, defines)}{others}")
    return module, rest


def known_forms(package: str, group: str, defines: str) -> str:
    """How every part is written, for error messages: ``array:<npz>, hashing:<width>, ...``.

    Parts say it in ``FORM``; for those of other packages, which are not imported here, it is their name.
    """
    own = {name for name in known(package, group, defines) if _is_own(package, name, defines)}
    forms = {name: getattr(importlib.import_module(f"{package}.{name}"), "FORM", name) for name in own}
    return ", ".join(forms.get(name, name) for name in known(package, group, defines))


def check_name(package: str, group: str, name: str, what: str, defines: str = "") -> None:
    """UserError with the known names and the nearest one unless there is a part called ``name``; imports no part.

    The arguments are those of `find_module`.
    """
    if not _is_own(package, name, defines) and not _offered(group, name):
        raise _unknown(package, group, name, what, defines)


def known(package: str, group: str, defines: str = "") -> list[str]:
    """The names of all parts, sorted: modules of ``package``, and what other packages offer.  Imports no part."""
    own = {module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)
           if _is_own(package, module.name, defines)}
    return sorted(own | {point.name for point in entry_points(group)})


def _unknown(package: str, group: str, name: str, what: str, defines: str) -> UserError:
    names = known(package, group, defines)
    if not names:
        return UserError(f"{what}={name}: neither {package} nor an entry point of group {group} offers any")
    nearest = difflib.get_close_matches(name.lower().lstrip("."), names, n=1, cutoff=0.0)[0]
    listed = ", ".join(map(repr, names))
    return UserError(f"{what}: expected one of {listed}, found {name!r}; did you mean {nearest!r}?")


def _is_own(package: str, name: str, defines: str) -> bool:
    if not name.isidentifier() or name.startswith("_"):
        return False
    spec = find_spec(f"{package}.{name}")
    return spec is not None and (not defines or _defines(spec, defines))


def _defines(spec: ModuleSpec, name: str) -> bool:
    """Whether a module defines ``name`` at its top level, by its source; for a folder, also by a file in it."""
    source = getattr(spec.loader, "get_source", lambda _: None)(spec.name) or ""
    return name in _defined(source) or any(
        file.name == name for file in pkgutil.iter_modules(spec.submodule_search_locations or []))


@lru_cache
def _defined(source: str) -> set[str]:
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def entry_points(group: str) -> "EntryPoints":
    """Those of all installed packages; to import what finds them takes longer than some commands."""
    from importlib import metadata

    return metadata.entry_points(group=group)


def _offered(group: str, name: str) -> "list[EntryPoint]":
    """What other packages offer under ``name``; one offer that is found twice on the path counts once."""
    return list({point.value: point for point in entry_points(group) if point.name == name}.values())


def _load(points: "list[EntryPoint]", name: str, what: str, defines: str) -> ModuleType:
    if len(points) > 1:
        offers = " and ".join(point.value for point in points)
        raise UserError(f"{what}: several installed packages offer {name!r} ({offers}); uninstall all but one")
    point = points[0]
    where = f"{what}: {name!r} is the entry point {point.value} of group {point.group}"
    try:
        module = point.load()
    except (ImportError, AttributeError) as error:
        raise UserError(f"{where}, which cannot be imported ({error}); fix or uninstall that package") from error
    if not isinstance(module, ModuleType) or (defines and not hasattr(module, defines)):
        raise UserError(f"{where}; expected a module{f' that defines {defines}' if defines else ''}, found "
                        f"{type(module).__name__} {getattr(module, '__name__', module)}")
    return module
