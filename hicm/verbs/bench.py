"""Measurements on the machine at hand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from hicm.recipes.bench.run import Bench


def bench(parts: Annotated[Sequence[str], "loading, step, generation, retrieval, evaluation, memory; default: "
                                          "all"] = (), *,
          size: Annotated[str, "tiny (seconds), small (t5-small) or base (t5-base; needs 16 GB of free "
                                "memory)"] = "small",
          repeat: Annotated[int, "how often each run is repeated; runs take turns"] = 3,
          reference: Annotated[str, "clone of the HiCM2 authors' repository; step and generation run its code"] = "",
          greedy: Annotated[bool, "generation: greedy search alone, without beams"] = False,
          device: Annotated[str, "cpu, cuda or cuda:N; auto: a GPU if there is one"] = "auto",
          out: Annotated[str, "json file to write; it is written after every part"] = "presave/bench.json",
          overwrite: Annotated[bool, "replace earlier measurements in --out, of all parts"] = False) -> "Bench":
    """Measure the speed of this machine, part by part.

    How long each part of the work takes, and where the time goes.  Data are made up.  Each part is timed as hicm does
    it, in a straightforward way and, with --reference, as the authors' code does it, taking turns in one process, so
    that the ratios can be compared.  --reference executes the code in that folder.
    """
    from hicm.recipes.bench.run import bench

    return bench(parts, size, repeat, reference, device, out, overwrite, greedy)
