"""Published numbers and measured ones: ``hicm reproduce``, ``hicm results``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hicm.verbs.common import Overrides

if TYPE_CHECKING:
    from hicm.recipes.reproduce import Reproduction


def reproduce(dataset: Annotated[str, "yc2 or vitt"], *,
              config: Annotated[str, "settings file; empty: configs/<data set>.yaml"] = "",
              from_: Annotated[str, "folder laid out as the hub repositories are; empty: the hub"] = "",
              out: Annotated[str, "folder written; empty: presave/reproduce/<data set>"] = "",
              modes: Annotated[bool, "also evaluate the checkpoint with the mended search, with zeros, and without "
                                     "memory"] = False,
              samples: Annotated[int, "bootstrap samples of the intervals"] = 1000,
              set_: Overrides = ()) -> "Reproduction":
    """Reproduce a paper's numbers from its released files: download, convert, caption, score, compare."""
    from hicm.recipes.reproduce import reproduce

    words = [f"hicm reproduce {dataset}", *(f"--set {one}" for one in set_), *(["--modes"] if modes else [])]
    return reproduce(dataset, config or f"configs/{dataset}.yaml", from_,
                     Path(out or f"presave/reproduce/{dataset}"), set_, modes, samples, " ".join(words))


def results(records: Annotated[Sequence[str], "records of measured results, as 'hicm reproduce' writes them"] = (), *,
            out: Annotated[str, "page written"] = "docs/results.md") -> Path:
    """Write the page of results: the papers' rows with their sources, and what was measured here."""
    from hicm.files import write_text
    from hicm.results.page import results_page
    from hicm.results.record import read_record

    return write_text(out, results_page([read_record(path) for path in records]))
