"""Who may import what: data flows one way, torch stays where models are, files stay short.

The rule is the table below; the functions that apply it are tried on planted violations too, so that a green run says
something.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

CORE = {"", "errors", "unfold", "pickles", "arrays", "hdf5", "new_hdf5", "locks", "interrupts", "files", "outputs",
        "types", "strict", "plugins", "rooms", "former", "config", "provenance", "journal", "packaged", "decisive",
        "cached_arrays", "quiet", "loading", "progress", "ranks", "cores", "heap", "pipes", "source", "values",
        "claims", "clock"}
BELOW = CORE | {"encoders", "data", "memory", "retrieval", "nn", "evaluation", "dvc_eval", "moments", "moments_eval",
         "tasks", "video", "exports", "recognisers", "executors"}
STAGES = BELOW | {"systems", "training", "report", "results", "viewer"}

# part of hicm -> the other parts it may import
ALLOWED = {
    "": {"types", "stages"},  # hicm itself: __version__ and caption(), which imports them when it is called
    "errors": set(),
    "types": {"moments"},  # for type checkers only
    "unfold": set(),
    "pickles": {"errors", "unfold"},
    "arrays": {"errors"},
    "hdf5": set(),
    "locks": {"errors"},
    "interrupts": set(),
    "progress": set(),
    "cores": set(),
    "heap": set(),
    "ranks": {"errors"},
    "files": {"errors", "locks", "pickles"},
    "pipes": {"errors"},
    "values": {"errors"},
    "source": {"errors", "files", "pipes"},
    "new_hdf5": {"files"},
    "outputs": {"errors", "files"},
    "strict": {"errors", "unfold", "files"},  # yaml files are read as any text
    "plugins": {"errors"},
    "claims": {"plugins", "source"},
    "journal": {"files"},
    "cached_arrays": {"arrays", "files"},
    "packaged": {"errors"},
    "quiet": set(),
    "loading": {"errors", "files"},
    "rooms": {"errors", "plugins"},
    "former": {"errors"},
    "clock": {"errors", "strict"},
    "config": {"clock", "errors", "files", "strict", "plugins", "rooms", "former", "packaged"},
    "provenance": {"", "config", "files"},
    "decisive": {"config", "former", "rooms"},
    "encoders": {"errors", "arrays", "files", "plugins", "loading"},
    "data": CORE | {"moments"},
    "memory": CORE | {"encoders", "data"},
    "recognisers": CORE | {"encoders"},
    "video": CORE | {"encoders", "recognisers"},
    "viewer": {"", "types"},
    "exports": {"errors", "files", "types", "plugins", "viewer"},
    "executors": {"cores", "errors", "interrupts", "loading", "quiet", "plugins"},
    "retrieval": CORE | {"encoders", "data", "memory"},
    "nn": CORE,
    "evaluation": {"errors", "files", "outputs"},
    "dvc_eval": {"", "claims", "cores", "errors", "evaluation", "files", "interrupts", "pipes", "plugins", "source",
                 "types", "values"},  # usable alone
    "moments": {"claims", "errors", "plugins", "source", "types", "values"},
    "moments_eval": {"", "errors", "evaluation", "moments"},  # usable alone
    "tasks": {"errors", "types", "evaluation", "dvc_eval", "moments", "moments_eval"},
    "systems": BELOW - {"tasks", "evaluation", "dvc_eval", "moments_eval"},
    "training": BELOW | {"systems"},
    "results": CORE | {"evaluation", "dvc_eval"},
    "report": CORE | {"data", "memory", "retrieval", "evaluation", "dvc_eval", "viewer"},
    "stages": STAGES,
    "recipes": STAGES | {"stages"},
    "server": CORE | {"exports", "stages", "video", "viewer"},
    "verbs": STAGES | {"stages", "recipes", "server"},
    "cli": STAGES | {"stages", "recipes", "verbs"},
    "__main__": {"cli"},
}

HEAVY = {"torch", "torchvision", "transformers", "open_clip", "accelerate", "safetensors"}
HEAVY_PARTS = {"nn", "systems", "training", "stages"}  # may import them at the head of a file
HEAVY_MODULES = {"hicm.data.torch_files",  # .pth features
                 "hicm.memory.neighbours.gpu",
                 "hicm.encoders.openclip", "hicm.encoders.hf",
                 "hicm.memory.summarisers.transformers", "hicm.recognisers.transformers"}  # may, inside a function

LONGEST = 400  # lines a file


class Import(NamedTuple):
    """One imported name: ``module`` is its longest dotted form, ``a.b.c`` for ``from a.b import c``."""

    module: str
    line: int
    at_import: bool  # runs when the file is imported: not inside a function, not for type checkers only


def imports(source: str, module: str, is_package: bool = False) -> Iterator[Import]:
    """Every import of a file, whatever function or branch it stands in, `import_module` of a literal included."""
    package = module if is_package else module.rpartition(".")[0]

    def walk(node: ast.AST, at_import: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            line = getattr(child, "lineno", 0)
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, line, at_import) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                above = package.split(".")[:len(package.split(".")) + 1 - child.level] if child.level else []
                base = ".".join([*above, *([child.module] if child.module else [])])
                yield from (Import(f"{base}.{alias.name}", line, at_import) for alias in child.names)
            elif isinstance(child, ast.Call) and _called(child) in ("import_module", "__import__"):
                yield from (Import(argument.value, line, at_import) for argument in child.args
                            if isinstance(argument, ast.Constant) and isinstance(argument.value, str))
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from walk(ast.Module(child.body, []), False)
                yield from walk(ast.Module(child.orelse, []), at_import)
            else:
                yield from walk(child, at_import and not isinstance(
                    child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))

    return walk(ast.parse(source), True)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def part(module: str) -> str:
    """The part of hicm a module belongs to: 'memory' for hicm.memory.bank, '' for hicm itself."""
    return [*module.split("."), ""][1]


def violations(files: dict[str, str], packages: frozenset[str] | set[str] = frozenset()) -> list[str]:
    """What breaks the rule in ``files`` (module name -> source); ``packages`` are those that are an ``__init__``."""
    known = {part(name) for name in files} | set(ALLOWED)
    found = []
    for module, source in files.items():
        own = part(module)
        if own not in ALLOWED:
            found.append(f"{module}: {own} is not in the table of ALLOWED imports")
            continue
        for imported in imports(source, module, module in packages):
            where, (top, *_) = f"{module}:{imported.line}: imports {imported.module}", imported.module.split(".")
            if top == "hicm":
                other = part(imported.module)
                other = other if other in known else ""  # from hicm import __version__
                if other != own and other not in ALLOWED[own]:
                    found.append(f"{where}, which {own or 'hicm'} may not know")
                elif other == "systems" and not _may_know(module, imported.module):
                    found.append(f"{where}: only a room knows its own files; others know hicm.systems.base, released")
            elif top in ("tests", "scripts"):
                found.append(f"{where}: nothing imports {top}")
            elif top in HEAVY and own not in HEAVY_PARTS:
                if imported.at_import:
                    found.append(f"{where} at the head of the file; import it in the function that needs it")
                elif module not in HEAVY_MODULES:
                    found.append(f"{where}: only {', '.join(sorted(HEAVY_PARTS))} and the adapters need it")
    return found


def _may_know(module: str, imported: str) -> bool:
    """Whether a file may import from hicm.systems: its own room, or the protocols that all share."""
    room = imported.split(".")[2:3]
    return room in ([], ["base"], ["released"]) or (part(module) == "systems" and module.split(".")[2:3] == room)


def circles(files: dict[str, str], packages: frozenset[str] | set[str] = frozenset()) -> list[list[str]]:
    """Groups of modules that import each other, directly or by a detour, inside functions and for type checkers too."""
    knows: dict[str, set[str]] = {}
    for module, source in files.items():
        names = [imported.module for imported in imports(source, module, module in packages)]
        found = {name if name in files else name.rpartition(".")[0] for name in names}
        knows[module] = {name for name in found if name in files and name != module and not _above(name, module)}
    reach = {module: _reachable(module, knows) for module in knows}
    groups = {frozenset(other for other in reach[module] if module in reach[other]) for module in knows}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _above(package: str, module: str) -> bool:
    return module.startswith(f"{package}.")


def _reachable(start: str, knows: dict[str, set[str]]) -> set[str]:
    found, todo = set(), [start]
    while todo:
        for name in knows[todo.pop()] - found:
            found.add(name)
            todo.append(name)
    return found


def read_package() -> tuple[dict[str, str], set[str]]:
    files, packages = {}, set()
    for path in sorted((ROOT / "hicm").rglob("*.py")):
        names = path.relative_to(ROOT).with_suffix("").parts
        if names[-1] == "__init__":
            names = names[:-1]
            packages.add(".".join(names))
        files[".".join(names)] = path.read_text(encoding="utf-8")
    return files, packages


def test_imports_go_one_way():
    files, packages = read_package()
    assert len(files) > 50 and {part(name) for name in files} == set(ALLOWED), "the walk sees the whole package"
    assert violations(files, packages) == []


def test_no_import_goes_in_a_circle():
    assert circles(*read_package()) == []


def test_a_planted_circle_is_seen():
    files = {"hicm.a": "from hicm.b import x", "hicm.b": "def f():\n    from hicm.c import y",
             "hicm.c": "import hicm.a", "hicm.d": "from hicm.a import x"}
    assert circles(files) == [["hicm.a", "hicm.b", "hicm.c"]]


@pytest.mark.parametrize(("module", "source"), [
    ("hicm.data.x", "from hicm.memory.bank import Bank"),
    ("hicm.data.x", "from hicm import memory"),
    ("hicm.data.x", "import hicm.retrieval.reader as r"),
    ("hicm.memory.x", "def f():\n    from hicm.retrieval import reader"),
    ("hicm.memory.x", "from ..systems import captioner"),
    ("hicm.memory.x", "import importlib\nimportlib.import_module('hicm.training')"),
    ("hicm.memory.x", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hicm.report import report"),
    ("hicm.retrieval.x", "from hicm.systems.captioner.model import Captioner"),
    ("hicm.nn.x", "from hicm.data.features import sample"),
    ("hicm.dvc_eval.x", "from hicm.config import Config"),
    ("hicm.dvc_eval.x", "from hicm.data.annotations import read_annotations"),
    ("hicm.systems.captioner.x", "from hicm.training.loop import run_loop"),
    ("hicm.systems.captioner.x", "from hicm.systems.parallel.model import Model"),
    ("hicm.training.x", "from hicm.report import report"),
    ("hicm.report.x", "from hicm.systems.captioner.model import Captioner"),
    ("hicm.training.x", "from hicm.systems.captioner.model import Captioner"),
    ("hicm.stages.x", "from hicm.systems.captioner.settings import Settings"),
    ("hicm.verbs", "from hicm.systems.captioner.convert import convert_checkpoint"),
    ("hicm.systems.base", "from hicm.systems.captioner.model import Captioner"),
    ("hicm.systems.captioner.x", "from hicm.dvc_eval import evaluate"),
    ("hicm.stages.x", "from hicm.recipes.demo.run import run_demo"),
    ("hicm.recipes.x", "from hicm import verbs"),
    ("hicm.config", "from hicm.systems.captioner.settings import Settings"),
    ("hicm.report.x", "from hicm import verbs"),
    ("hicm.recipes.demo.x", "from hicm.cli import main"),
    ("hicm.verbs", "from hicm import cli"),
    ("hicm.config", "from hicm.provenance import now"),
    ("hicm.errors", "import hicm.files"),
    ("hicm.novelty.x", "import json"),
    ("hicm.training.x", "from tests.tiny import make_tiny"),
    ("hicm.memory.x", "import torch"),
    ("hicm.memory.x", "try:\n    from transformers import AutoModel\nexcept ImportError:\n    pass"),
    ("hicm.retrieval.x", "class A:\n    import torch.nn"),
    ("hicm.retrieval.x", "def f():\n    import torch"),
    ("hicm.verbs", "def f():\n    import open_clip"),
])
def test_a_planted_violation_is_seen(module, source):
    assert len(violations({module: source})) == 1


def test_what_is_allowed_is_not_seen():
    assert violations({
        "hicm.encoders.openclip": "def f():\n    import torch, open_clip",
        "hicm.training.x": "import torch\nfrom hicm.systems.base import Learner",
        "hicm.systems.captioner.x": "from . import model\nfrom hicm.nn import masks\nimport transformers",
        "hicm.dvc_eval.x": "from hicm import __version__\nfrom hicm.types import Span",
        "hicm.report.x": "from typing import TYPE_CHECKING\nimport numpy, matplotlib",
        "hicm.recipes.demo.x": "from hicm.stages.train import train",
    }) == []
    assert violations({"hicm.memory.x": "from .bank import Bank", "hicm.memory.y": "from ..data import check"}) == []


def pulled(module: str, *paths: Path) -> set[str]:
    """The HEAVY packages that importing ``module`` loads in a fresh interpreter."""
    code = f"import sys, {module}; print(*({HEAVY!r} & sys.modules.keys()))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT)))}
    return set(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True,
                              check=True).stdout.split())


@pytest.mark.parametrize("module", ["hicm.dvc_eval", "hicm.stages.build_memory", "hicm.retrieval.reader", "hicm.cli",
                                    "hicm.systems.captioner.settings", "hicm.systems.parallel.settings",
                                    "hicm.stages.evaluate"])
def test_importing_loads_no_torch(module):
    assert pulled(module) == set()


def test_a_planted_torch_is_seen(tmp_path):
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "planted.py").write_text("import torch")
    assert pulled("planted", tmp_path) == {"torch"}


def too_long(root: Path) -> list[str]:
    """The Python files below ``root`` with more than LONGEST lines."""
    return [f"{path}: {lines} lines" for path in sorted(root.rglob("*.py"))
            if (lines := path.read_text(encoding="utf-8").count("\n")) > LONGEST]


@pytest.mark.parametrize("folder", ["hicm", "tests", "scripts"])
def test_files_are_short(folder):
    assert too_long(ROOT / folder) == []


def test_a_planted_long_file_is_seen(tmp_path):
    (tmp_path / "short.py").write_text("pass\n" * LONGEST)
    assert too_long(tmp_path) == []
    (tmp_path / "long.py").write_text("pass\n" * (LONGEST + 1))
    assert len(too_long(tmp_path)) == 1
