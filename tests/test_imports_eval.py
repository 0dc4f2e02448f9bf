"""The rooms of the evaluators: imports go one way between them, and in no circle among their files."""

from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.test_imports import imports, read_package

EVALUATOR = "hicm.dvc_eval"

# room -> the other rooms it may import; "" is what stands above them: evaluate, selftest, crosscheck
ROOMS: dict[str, set[str]] = {
    "inputs": set(),
    "words": {"inputs"},
    "metrics": {"inputs", "words"},
    "results": {"inputs", "words", "metrics"},
    "": {"inputs", "words", "metrics", "results"},
}
# the same of hicm.moments_eval
MOMENTS = "hicm.moments_eval"
MOMENT_ROOMS: dict[str, set[str]] = {"inputs": set(), "metrics": {"inputs"}, "results": {"inputs", "metrics"},
                                     "": {"inputs", "metrics", "results"}}


def room(module: str) -> str:
    """'words' for hicm.dvc_eval.words.ptb, '' for hicm.dvc_eval.evaluate and hicm.dvc_eval itself."""
    name = f"{module}...".split(".")[2]
    return name if name in ROOMS else ""


def graph(files: dict[str, str], packages: frozenset[str] | set[str] = frozenset()) -> dict[str, set[str]]:
    """Each module of ``files`` (name -> source) -> those of them that it imports, wherever in the file it does so.

    A package counts as imported where it is named, not where one of its modules is.
    """
    def target(name: str) -> str:
        while name not in files and name:
            name = name.rpartition(".")[0]
        return name

    return {module: {target(one.module) for one in imports(source, module, module in packages)} - {"", module}
            for module, source in files.items()}


def violations(files: dict[str, str], packages: frozenset[str] | set[str] = frozenset(), evaluator: str = EVALUATOR,
               rooms: dict[str, set[str]] = ROOMS) -> list[str]:
    """Imports between rooms that the table does not allow."""
    return [f"{module}: imports {one.module}, which {room(module)} may not know"
            for module, source in files.items() if module.startswith(evaluator)
            for one in imports(source, module, module in packages) if one.module.startswith(f"{evaluator}.")
            and room(one.module) not in {room(module), *rooms[room(module)]}]


def circle(files: dict[str, str], packages: frozenset[str] | set[str] = frozenset()) -> list[str]:
    """Modules that import one another in a circle, the first of them again at the end; empty if there is none."""
    try:
        TopologicalSorter(graph(files, packages)).prepare()
    except CycleError as error:
        return error.args[1]
    return []


@cache
def evaluator(name: str = EVALUATOR) -> tuple[dict[str, str], set[str]]:
    files, packages = read_package()
    return {module: source for module, source in files.items() if module.startswith(name)}, packages


def test_imports_between_rooms_go_one_way():
    files, packages = evaluator()
    assert {room(name) for name in files} == set(ROOMS) and len(files) > 40, "the walk sees the whole evaluator"
    assert all(name.count(".") < 3 for name in files if not room(name)), "a folder that is no room of the table"
    assert violations(files, packages) == []


def test_imports_between_rooms_of_moments_go_one_way():
    files, packages = evaluator(MOMENTS)
    assert {room(name) for name in files} == set(MOMENT_ROOMS) and len(files) > 12, "the walk sees the whole evaluator"
    assert violations(files, packages, MOMENTS, MOMENT_ROOMS) == [] and circle(files, packages) == []
    planted = {f"{MOMENTS}.inputs.x": "from hicm.moments_eval.results import tables"}
    assert len(violations(planted, evaluator=MOMENTS, rooms=MOMENT_ROOMS)) == 1


def test_no_file_is_imported_by_what_it_imports():
    files, packages = evaluator()
    imported = graph(files, packages)
    assert "hicm.dvc_eval.metrics.scoring" in imported["hicm.dvc_eval.evaluate"]
    assert "hicm.dvc_eval.words.meteor15.build" in imported["hicm.dvc_eval.words.meteor15.index"], "in a function"
    assert circle(files, packages) == []


@pytest.mark.parametrize(("module", "source"), [
    ("inputs.x", "from hicm.dvc_eval.words.java import Unavailable"),
    ("inputs.x", "from hicm.dvc_eval import words"),
    ("words.x", "def f():\n    from hicm.dvc_eval.metrics import scoring"),
    ("words.meteor15.x", "from ...results import tables"),
    ("metrics.x", "from hicm.dvc_eval.evaluate import evaluate"),
    ("metrics.x", "import typing\nif typing.TYPE_CHECKING:\n    from hicm.dvc_eval.results.score import Result"),
    ("results.x", "from hicm.dvc_eval import evaluate"),
    ("results.x", "import hicm.dvc_eval.selftest"),
])
def test_a_planted_violation_is_seen(module, source):
    assert len(violations({f"{EVALUATOR}.{module}": source})) == 1


def test_what_is_allowed_is_not_seen():
    assert violations({"hicm.dvc_eval.results.x": "from . import tables\nfrom hicm.dvc_eval.inputs import read",
                       "hicm.dvc_eval.x": "from hicm.dvc_eval.results.score import Result\nimport hicm.errors",
                       "hicm.dvc_eval": "from hicm.dvc_eval.evaluate import evaluate"}) == []


@pytest.mark.parametrize("back", [
    "from a.one import f", "from a import one", "from .one import f", "def g():\n    from a.one import f",
    "import typing\nif typing.TYPE_CHECKING:\n    from a.one import f",
    "import importlib\nimportlib.import_module('a.one')"])
def test_a_planted_circle_is_seen(back):
    files = {"a": "", "a.one": "from a.two import g", "a.two": "import a.three", "a.three": back}
    found = circle(files, {"a"})
    assert len(found) == 4 and found[0] == found[-1] and set(found) == {"a.one", "a.two", "a.three"}
    assert circle({**files, "a.three": "import json\nfrom a import __name__"}, {"a"}) == []
