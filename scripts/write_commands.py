"""Write docs/commands.md, the page of all commands, from the signatures of `hicm.verbs`.

Usage: python scripts/write_commands.py
"""

import inspect
import textwrap
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hicm import verbs
from hicm.cli import commands, flag, summary
from hicm.files import write_text

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
HEAD = """# Commands

Written by `python scripts/write_commands.py` from the signatures in `hicm/verbs`; do not edit.

Each command is also a Python function with the same arguments: `hicm data check FILE --set k=v` is
`hicm.verbs.data_check("FILE", set_=["k=v"])`. Commands read files and write files, and print the path of what they
wrote. Run again, a command skips what is done and continues what was interrupted. The exit status is 0 when all is
well, 1 when a check failed, 2 for bad input, with one line that says what is wrong and what to do, and 128 + n when
signal n ended the command (Ctrl-C 130, SIGTERM 143)."""


def commands_page() -> str:
    """The page: a table of all commands, then each with its arguments."""
    functions = commands()
    table = ["| command | what it does |", "|---|---|"]
    details = []
    for title, group in verbs.GROUPS.items():
        table.append(f"| **{title}** | |")
        details.append(f"## {title}")
        for command in group:
            link = f"#hicm-{command.replace(' ', '-')}"
            table.append(f"| [`hicm {command}`]({link}) | {_cell(summary(functions[command]))} |")
            details.append(_section(command, functions[command]))
    return "\n\n".join([HEAD, "\n".join(table), *details]) + "\n"


def _section(command: str, function: Callable[..., Any]) -> str:
    parameters = inspect.signature(function).parameters.values()
    usage = " ".join(["hicm", command, *filter(None, map(_usage, parameters))])
    text = textwrap.fill(" ".join((inspect.getdoc(function) or "").split()), 120, break_on_hyphens=False)
    rows = list(_rows(parameters))
    table = ["\n".join(["| argument | meaning |", "|---|---|", *rows])] if rows else []
    return "\n\n".join([f"### hicm {command}", f"`{usage}`", text, *table])


def _usage(parameter: inspect.Parameter) -> str:
    """A positional argument as it stands in a usage line; empty for an option."""
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        return ""
    required, name = parameter.default is inspect.Parameter.empty, parameter.name.upper()
    more = " ..." if _several(parameter) else ""
    return f"{name}{more}" if required else f"[{name}{more}]"


def _rows(parameters: typing.Iterable[inspect.Parameter]) -> Iterator[str]:
    for parameter in parameters:
        kind, text = typing.get_args(parameter.annotation)
        name = parameter.name.upper()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            name = "--set KEY=VALUE" if parameter.name == "set_" else flag(parameter.name)
            shown = parameter.default if isinstance(parameter.default, str | int) else ""
            text += f" (default: {shown})" if shown != "" and kind is not bool else ""
        yield f"| `{name}` | {_cell(text)} |"


def _several(parameter: inspect.Parameter) -> bool:
    return typing.get_origin(typing.get_args(parameter.annotation)[0]) is not None


def _cell(text: str) -> str:
    """Text in a table cell: what looks like a tag or ends a cell is escaped."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


if __name__ == "__main__":
    print(write_text(PAGE, commands_page()))
