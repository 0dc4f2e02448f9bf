"""What the verbs share: their common arguments, and how settings and models are found."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hicm.errors import UserError

if TYPE_CHECKING:
    from hicm.config import Config

ConfigFile = Annotated[str, "settings file, or the name of a recipe that comes with hicm, e.g. yc2"]
Overrides = Annotated[Sequence[str], "change one setting, as section.key=value; repeat for more"]
Overwrite = Annotated[bool, "replace what is there"]
Json = Annotated[bool, "print json instead of a table"]
Markdown = Annotated[bool, "print a Markdown table"]
Latex = Annotated[bool, "print a LaTeX table (booktabs)"]
DryRun = Annotated[bool, "print what would run, with all settings, and stop"]


def load_settings(path: str | Path, overrides: Sequence[str] = ()) -> "Config":
    """`hicm.config.load_config`, imported only when a verb needs it: scoring a file needs no settings."""
    from hicm.config import load_config

    return load_config(path, overrides)


def model_path(name: str) -> str:
    """The folder of a model; ``hub:owner/name`` and ``hub:owner/name@revision`` are downloaded once, to presave/hub."""
    if not name.startswith("hub:"):
        return name
    from hicm.data.hub.share import pull_once

    return str(pull_once(name.removeprefix("hub:")))


def print_dry(settings: "Config", what: str) -> None:
    """Print what a dry run would do, and its settings."""
    from hicm.config import config_text

    print(f"would run: {what}\n\n{config_text(settings)}", end="")


def rules_of(pairs: Sequence[str]) -> dict[str, str]:
    """Rules that are given as name=value.  Raises UserError for one without a value, or given twice."""
    for pair in pairs:
        if "=" not in pair:
            raise UserError(f"rule {pair!r}: expected name=value, e.g. missing=zero")
    found = dict(pair.split("=", 1) for pair in pairs)
    if len(found) < len(pairs):
        names = [pair.partition("=")[0] for pair in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"rule {twice} is given twice; keep one")
    return found
