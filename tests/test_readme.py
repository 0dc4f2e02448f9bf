"""The README's commands parse, its files exist, its Python runs."""

import re
import shlex
from pathlib import Path

import pytest

from hicm.cli import make_parser

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "configs" / "README.md",
         ROOT / "data" / "README.md", *sorted((ROOT / "hicm" / "systems").glob("*/README.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, text) of every fenced block of a language."""
    found = []
    for page in PAGES:
        for text in re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            found.append((page.name, text))
    return found


def commands() -> list[str]:
    lines = [line.split("  #")[0].strip() for _, text in blocks("bash") for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def test_the_pages_hold_commands_and_python():
    assert len(commands()) >= 8 and blocks("python")


@pytest.mark.parametrize("command", [c for c in commands() if shlex.split(c)[0] in ("hicm", "dvc-eval")])
def test_hicm_commands_are_understood(command):
    program, *words = shlex.split(command)
    if program == "dvc-eval" and words[0] != "compare":
        words = ["evaluate", *words]
    options = make_parser().parse_args(words)
    config = getattr(options, "config", None)
    assert config is None or (ROOT / config).exists() or "..." in config or config.isupper()


@pytest.mark.parametrize("command", [c for c in commands() if "scripts/" in c])
def test_scripts_exist(command):
    script = next(word for word in shlex.split(command) if word.startswith("scripts/"))
    assert (ROOT / script).is_file()


@pytest.mark.parametrize(("page", "code"), blocks("python"), ids=lambda value: value if "\n" not in value else "code")
def test_python_runs(page, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page, "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_command_of_the_table_exists():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `hicm ([a-z]+(?: [a-z]+)?)", page, re.MULTILINE)
    from hicm.cli import COMMANDS

    assert {name if name in COMMANDS else name.split()[0] for name in table} == set(COMMANDS)
