"""The commands in README and docs parse, the files they name exist, their Python runs, and no page is stale."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest

from hicm.cli import PROGRAMS, make_parser
from hicm.cli import commands as commands_of_hicm
from hicm.files import read_json
from hicm.memory.bank import load_bank
from hicm.packaged import packaged_config
from hicm.retrieval.store import open_retrieved
from hicm.rooms import room_package
from hicm.stages.build_memory import build_memory
from tests.memory_data import write_config
from tests.rooms.conftest import hicm
from tests.scripts import load_script
from tests.tiny import make_tiny
from tests.video.videos import write_video

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
         ROOT / "configs" / "README.md", ROOT / "data" / "README.md",
         *sorted((ROOT / "hicm" / "systems").glob("*/README.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, text) of every fenced block of a language."""
    found = []
    for page in PAGES:
        for text in re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            found.append((page.name, text))
    return found


def commands() -> list[str]:
    texts = [text.replace("\\\n", "") for _, text in blocks("bash")]
    lines = [line.split("  #")[0].strip() for text in texts for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def test_the_pages_hold_commands_and_python():
    assert len(commands()) >= 8 and blocks("python")


@pytest.mark.parametrize("command", [c for c in commands() if shlex.split(c)[0] in ("hicm", *PROGRAMS)])
def test_hicm_commands_are_understood(command):
    program, *words = shlex.split(command)
    if program in PROGRAMS and words[0] not in PROGRAMS[program]:
        words = ["evaluate", *words]
    options = make_parser(program).parse_args(words)
    config = getattr(options, "config", None)
    made = config is not None and config.startswith("presave/demo/")  # by hicm demo, a few lines above
    assert config is None or config.isupper() or made or packaged_config(config).exists()


@pytest.mark.parametrize("command", [c for c in commands() if "scripts/" in c])
def test_scripts_exist(command):
    script = next(word for word in shlex.split(command) if word.startswith("scripts/"))
    assert (ROOT / script).is_file()


@pytest.mark.parametrize(("page", "code"), blocks("python"), ids=lambda value: value if "\n" not in value else "code")
def test_python_runs(page, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if "talk.mp4" in code:
        write_video(tmp_path / "talk.mp4", [0.0, 6.0], 12.0)
        build_memory(write_config(tmp_path, path=str(tmp_path / "presave/yc2/bank"), summariser="medoid"))
    exec(compile(code, page, "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_page_of_commands_is_up_to_date():
    script = load_script("write_commands")
    page, expected = script.PAGE.read_text(encoding="utf-8"), script.commands_page()
    assert page == expected, "run: python scripts/write_commands.py"
    assert all(f"\n### hicm {command}\n" in page for command in commands_of_hicm())


# the parts that CONTRIBUTING.md shows how to add

ADDED = {text.partition("\n")[0].removeprefix("# "): text for _, text in blocks("py")}


@pytest.fixture(scope="module")
def added(tmp_path_factory) -> Path:
    """Those files, found as if they lay in hicm; returns the settings of a tiny data set."""
    folder, modules = tmp_path_factory.mktemp("added"), []
    with pytest.MonkeyPatch.context() as patch:
        for name, text in ADDED.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            modules.append(".".join(Path(name).with_suffix("").parts))
        (folder / "hicm" / "systems" / "whole" / "__init__.py").touch()
        for name in ("hicm.systems", "hicm.retrieval.search", "hicm.retrieval.reads", "hicm.encoders"):
            package = importlib.import_module(name)
            patch.setattr(package, "__path__", [*package.__path__, str(folder / name.replace(".", "/"))])
        yield make_tiny(folder / "tiny")
    for name in [name for name in sys.modules if name in modules or name == "hicm.systems.whole"]:
        del sys.modules[name]
    room_package.cache_clear()


def test_the_system_of_the_guide_is_trained_predicts_and_is_scored(added, tmp_path, capsys):
    run = tmp_path / "run"
    assert hicm("train", added, "--set", "system=whole", "--out", run) == 0
    assert hicm("predict", run) == 0 and hicm("evaluate", run, "--metrics", "F1", "soda_d") == 0
    assert hicm("report", run, "--out", tmp_path / "report") == 0
    for results in read_json(run / "predictions_val.json")["results"].values():
        assert len(results) == 1 and results[0]["sentence"]
    assert hicm("train", added, "--set", "system=whole", "--set", "whole.most=0.7") == 2
    assert "whole.most: expected 0 to 0.5, found 0.7" in capsys.readouterr().err


@pytest.mark.parametrize("search", ["nearest", "descend", "zero", "none"])
@pytest.mark.parametrize("training", [[], ["--training"]])
def test_the_search_and_the_read_of_the_guide_are_found(added, search, training, tmp_path):
    settings = ["--set", f"retrieval.search={search}", "--set", "retrieval.read=finest", "--split", "train"]
    assert hicm("retrieve", added, *settings, *training, "--out", tmp_path / "recalled.h5") == 0
    recalled = open_retrieved(tmp_path / "recalled.h5")
    for video in recalled.ids:
        assert recalled.mask(video).all() == (search in ("nearest", "descend", "none"))
        assert recalled.vectors(video)[recalled.mask(video)].any(axis=1).all()


def test_the_encoder_of_the_guide_is_found(added, tmp_path):
    letters = ["--set", "memory.encoder=letters:aeiou", "--set", f"memory.path={tmp_path / 'bank'}",
               "--set", "data.features="]  # which are wider than five letters
    assert hicm("memory", "build", added, *letters) == 0
    assert load_bank(tmp_path / "bank").width == 5


def test_the_guide_shows_one_part_of_each_kind():
    assert list(ADDED) == ["hicm/systems/whole/settings.py", "hicm/systems/whole/system.py",
                           "hicm/retrieval/search/nearest.py", "hicm/retrieval/reads/finest.py",
                           "hicm/encoders/letters.py"]
