"""The demo: every stage on made-up data."""

from pathlib import Path
from typing import Annotated


def demo(*, out: Annotated[str, "folder for data, memory, runs and report"] = "presave/demo",
         seed: Annotated[int, "seed of the made-up data and of training"] = 0,
         system: Annotated[str, "what is trained: captioner (without and with memory) or parallel"] = "captioner",
         ) -> Path:
    """Run every stage on a made-up data set.

    Data, memory, training, captions, scores and a report that compares systems; minutes on a CPU.
    """
    from hicm.recipes.demo.side_by_side import begin_imports

    begin_imports()  # they take seconds; what this process needs is imported meanwhile
    from hicm.recipes.demo.run import run_demo

    return run_demo(Path(out), seed, system)
