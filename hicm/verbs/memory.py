"""``hicm memory ...``: build a memory bank, look at it, change it."""

from pathlib import Path
from typing import Annotated

from hicm.verbs.common import ConfigFile, DryRun, Overrides, load_settings, print_dry


def memory_build(config: ConfigFile, *, set_: Overrides = (),
                 overwrite: Annotated[bool, "replace a bank made with other settings"] = False,
                 dry_run: DryRun = False) -> Path | None:
    """Build the memory bank: captions -> embeddings -> FINCH tree -> a summary for every node."""
    settings = load_settings(config, set_)
    if dry_run:
        return print_dry(settings, f"memory of {', '.join(settings.memory.source)} -> {settings.bank}")
    from hicm.memory.build import build_memory

    return build_memory(settings, overwrite)


def memory_show(bank: Annotated[str, "bank folder"], *,
                depth: Annotated[int, "levels shown, from the top"] = 2,
                children: Annotated[int, "children shown of each node"] = 3,
                width: Annotated[int, "characters a line"] = 100,
                find: Annotated[str, "show only branches that hold this text"] = "") -> str:
    """Print a memory bank as a tree of summaries."""
    from hicm.memory.show import show_memory

    return show_memory(bank, depth, children, width, find)
