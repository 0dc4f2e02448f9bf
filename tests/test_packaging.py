"""What an installation gets: declared and pinned dependencies, a wheel with its data, recipes found from anywhere."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hicm
from hicm.errors import UserError
from hicm.packaged import packaged_config
from tests.test_imports import imports, read_package

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted(path for path in (ROOT / "configs").iterdir() if path.suffix in (".yaml", ".txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CLUSTER = {"ray"}  # extras for clusters: neither in hicm[all] nor pinned, since tests without them are skipped

# imported name -> name on PyPI, where they differ
DISTRIBUTION = {"yaml": "pyyaml", "sklearn": "scikit-learn", "open_clip": "open_clip_torch", "finch": "finch-clust",
                "PIL": "pillow", "pympi": "pympi-ling"}
NOT_IMPORTED = {"pycocoevalcap": "the files of its METEOR are read", "torchvision": "imported by open_clip",
                "tokenizers": "imported by transformers", "tensorboard": "imported by torch.utils.tensorboard"}


# dependencies

def declared(extras: Iterable[str] = EXTRAS) -> dict[str, Requirement]:
    """The requirements of pyproject.toml by name: the dependencies and those of ``extras``."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return {canonicalize_name(one.name): one for one in map(Requirement, lines) if one.name != "hicm"}


def pinned() -> dict[str, Requirement]:
    """The requirements of requirements.txt by name."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {canonicalize_name(one.name): one for one in map(Requirement, filter(None, lines))}


def third_party(files: dict[str, str], packages: Iterable[str] = ()) -> dict[str, str]:
    """Distributions that ``files`` (module name -> source) import, each with the first module that does."""
    own = {name.rpartition(".")[2] for name in files} - {*declared()} | {"hicm", "tests", "scripts"}
    found: dict[str, str] = {}
    for module, source in files.items():
        for imported in imports(source, module, module in packages):
            top = imported.module.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in own:
                found.setdefault(canonicalize_name(DISTRIBUTION.get(top, top)), module)
    return found


@pytest.fixture(scope="module")
def used() -> dict[str, str]:
    """Distributions that hicm imports, each with the first module that does."""
    return third_party(*read_package())


def test_what_hicm_imports_is_declared_and_pinned(used):
    assert {"numpy", "torch", "scikit-learn", "llvmlite"} <= set(used), "the walk sees imports inside functions"
    missing = used.keys() - declared(set(EXTRAS) - {"dev"}).keys()
    assert {name: used[name] for name in missing} == {}, "add them to [project] in pyproject.toml"
    missing = used.keys() - pinned().keys() - declared(CLUSTER).keys()
    assert {name: used[name] for name in missing} == {}, "add them to requirements.txt"


def test_what_tests_and_scripts_import_is_declared_and_pinned():
    found = third_party({".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text(encoding="utf-8")
                         for folder in ("tests", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))})
    missing = found.keys() - (declared().keys() & pinned().keys())
    assert {name: found[name] for name in missing} == {}, "add them to extra dev and to requirements.txt"


def test_planted_imports_are_seen():
    assert third_party({"hicm.x": "import os, yaml\ndef f():\n    from a_b.c import d\nfrom hicm.types import Span",
                        "hicm.y": "from . import x\nimport x"}) == {"pyyaml": "hicm.x", "a-b": "hicm.x"}


def test_what_is_declared_is_used(used):
    assert declared(set(EXTRAS) - {"dev"}).keys() - used.keys() == NOT_IMPORTED.keys()


def test_pins_lie_within_the_ranges():
    ranges, pins = declared(EXTRAS.keys() - CLUSTER), pinned()
    assert ranges.keys() == pins.keys()
    for name, pin in pins.items():
        (exact,) = pin.specifier
        assert exact.operator == "==" and exact.version in ranges[name].specifier, name


def test_all_is_every_extra_but_dev_and_those_for_clusters():
    (own,) = [one for one in map(Requirement, EXTRAS["all"]) if one.name == "hicm"]
    assert own.extras == set(EXTRAS) - {"all", "dev"} - CLUSTER


# citation and changelog

def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == hicm.__version__ and citation["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors", "type"} <= citation.keys()
    for paper in citation["references"]:
        assert {"type", "title", "authors", "year"} <= paper.keys(), "the fields that the format asks for"
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{hicm.__version__}] - {citation['date-released']}\n" in changes


# the wheel

@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of what the wheel is made from, a test among it."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in", "tests/test_packaging.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in ("hicm", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheel(source) -> Path:
    code = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Package would be ignored" not in done.stderr
    (built,) = (source / "dist").iterdir()
    return built


def test_the_wheel_holds_the_package_its_data_and_the_recipes(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "hicm").rglob("*")
             if path.is_file() and "__pycache__" not in path.parts]
    assert "hicm/py.typed" in names
    assert {Path(name).suffix for name in names} >= {".py", ".yaml", ".json", ".html", ".md"}
    assert len(RECIPES) >= 8
    assert names == {*files, *(f"hicm/configs/{path.name}" for path in RECIPES)}


def test_the_wheel_says_what_it_is(wheel):
    assert wheel.name == f"hicm-{hicm.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.partition("/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
        metadata, entries = (archive.read(inside[name]).decode() for name in ("METADATA", "entry_points.txt"))
    assert "licenses/LICENSE" in inside
    assert re.search(r"^Requires-Python: >=3\.11$", metadata, re.MULTILINE)
    assert set(re.findall(r"^Provides-Extra: (.+)$", metadata, re.MULTILINE)) == set(EXTRAS)
    light = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE)
    assert sorted(light) == ["numpy", "pyyaml", "tqdm"], "other projects install the evaluator alone"
    assert set(entries.split("\n")) >= {"hicm = hicm.cli:main", "dvc-eval = hicm.cli:dvc_eval",
                                     "moment-eval = hicm.cli:moment_eval"}


def test_a_recipe_is_found_in_an_unpacked_wheel(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "site" / "configs").mkdir()  # of another package: nothing of ours is in there
    (tmp_path / "site" / "configs" / "other.yaml").touch()
    code = "from hicm.packaged import packaged_config as find; print(find('yc2')); find('other')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(tmp_path / "site")})
    assert done.stdout == f"{tmp_path}/site/hicm/configs/yc2.yaml\n"
    assert "UserError" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_installed_and_used_from_another_folder(source, wheel, tmp_path, editable):
    venv, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(program: str, *arguments: str) -> str:
        done = subprocess.run([venv / "bin" / program, *arguments], cwd=elsewhere, env=env, capture_output=True,
                              text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=300)
    site = Path(run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # those of this environment
    what = ["--no-build-isolation", "--editable", str(source)] if editable else [str(wheel)]
    run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", *what)
    assert (site / f"hicm-{hicm.__version__}.dist-info").is_dir()

    place = Path(run("python", "-c", "import hicm; print(hicm.__file__)").strip())
    assert place.is_relative_to(source if editable else site)
    assert run("hicm", "--version") == f"hicm {hicm.__version__}\n"
    assert "vidchapters" in run("hicm", "protocols")
    assert "--out" in run("hicm", "demo", "--help")
    (elsewhere / "predictions.json").write_text('{"v": [{"sentence": "Chop an onion.", "timestamp": [0, 9]}]}')
    (elsewhere / "references.json").write_text(
        '{"v": {"duration": 10, "timestamps": [[0, 9]], "sentences": ["Chop an onion."]}}')
    assert "F1" in run("dvc-eval", "predictions.json", "references.json", "--metrics", "F1")
    found = run("python", "-c", "from hicm.packaged import packaged_config; print(packaged_config('configs/yc2.yaml'))")
    assert Path(found.strip()).read_bytes() == (ROOT / "configs" / "yc2.yaml").read_bytes()
    assert Path(found.strip()).parent == (source / "configs" if editable else site / "hicm" / "configs")


# recipes by name

@pytest.mark.parametrize("name", ["yc2", "yc2.yaml", "configs/yc2", "configs/yc2.yaml", Path("./configs/yc2.yaml")])
def test_a_recipe_is_found_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert packaged_config(name) == ROOT / "configs" / "yc2.yaml"
    (tmp_path / "yc2").mkdir()  # a folder of that name is no settings file
    assert packaged_config(name) == ROOT / "configs" / "yc2.yaml"


@pytest.mark.parametrize("name", ["yc2", "yc2.yaml", "configs/yc2.yaml"])
def test_a_file_of_that_name_comes_first(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / name).touch()
    assert packaged_config(name) == Path(name)


@pytest.mark.parametrize("name", ["mine/yc2.yaml", "/configs/yc2.yaml", "../configs/yc2.yaml", "yc2.json",
                                  "configs", "."])
def test_any_other_path_is_left_to_its_reader(name, tmp_path, monkeypatch):
    (tmp_path / "here" / "configs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert packaged_config(name) == Path(name)


@pytest.mark.parametrize("name", ["yc3", "yc3.yaml", "configs/yc3.yaml"])
def test_an_unknown_recipe_is_told_the_known_ones(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"^{name}: .*: anet, .*, vitt, yc2, yc2_sim, yc2_sim_text$"):
        packaged_config(name)
