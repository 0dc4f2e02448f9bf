"""What the verbs share: the words of their arguments, and how settings are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from hicm.config import Config

ConfigFile = Annotated[str, "settings file, e.g. configs/yc2.yaml"]
Overrides = Annotated[Sequence[str], "section.key=value over the settings file; repeat for more"]
DryRun = Annotated[bool, "print what would run, with the resolved settings, and stop"]


def load_settings(path: str | Path, overrides: Sequence[str] = ()) -> "Config":
    """`hicm.config.load_config`, imported when a stage asks: scoring a file needs no settings."""
    from hicm.config import load_config

    return load_config(path, overrides)


def model_path(name: str) -> str:
    """The folder of a model: of ``hub:owner/name`` (or ``hub:owner/name@revision``) a copy that is fetched once."""
    if not name.startswith("hub:"):
        return name
    from hicm.data.hub.share import pull_once

    return str(pull_once(name.removeprefix("hub:")))


def print_dry(settings: "Config", what: str) -> None:
    from hicm.config import config_text

    print(f"would run: {what}\n\n{config_text(settings)}", end="")
