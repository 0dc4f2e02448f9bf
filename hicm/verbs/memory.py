"""``hicm memory ...``: build a memory bank, look at it, change it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hicm.verbs.common import ConfigFile, Overrides, load_settings

if TYPE_CHECKING:
    from hicm.memory.plan import Plan


def memory_build(config: ConfigFile, *, set_: Overrides = (),
                 source: Annotated[Sequence[str], "captions: splits, <data set>/<split>, .json or .txt files; none: "
                                                  "memory.source"] = (),
                 overwrite: Annotated[bool, "replace a bank made with other settings"] = False,
                 dry_run: Annotated[bool, "embed and cluster, print nodes a level, calls and tokens, and stop"] = False,
                 ) -> "Path | Plan":
    """Build the memory bank: captions -> embeddings -> tree -> a summary for every node; continues a killed build."""
    from hicm.memory.build import build_memory
    from hicm.memory.plan import plan_memory

    settings = load_settings(config, [*set_, *([f"memory.source={list(source)}"] if source else [])])
    return plan_memory(settings) if dry_run else build_memory(settings, overwrite)


def memory_show(bank: Annotated[str, "bank folder"], *,
                depth: Annotated[int, "levels shown, from the top"] = 2,
                children: Annotated[int, "children shown of each node"] = 3,
                width: Annotated[int, "characters a line"] = 100,
                find: Annotated[str, "show only branches that hold this text"] = "") -> str:
    """Print a memory bank as a tree of summaries."""
    from hicm.memory.show import show_memory

    return show_memory(bank, depth, children, width, find)
