"""Published results and models: reproduce them, list them, share models of ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hicm.verbs.common import Overrides, model_path

if TYPE_CHECKING:
    from hicm.recipes.reproduce import Reproduction

Repository = Annotated[str, "model repository of the Hugging Face hub, as owner/name"]


def reproduce(dataset: Annotated[str, "yc2 or vitt (HiCM2), cm2_yc2, cm2_anet or pdvc_anet"], *,
              config: Annotated[str, "settings file; default: configs/<data set>.yaml"] = "",
              from_: Annotated[str, "folder laid out like the authors' repositories; default: those repositories; for "
                                    "CM2 and PDVC a clone with the downloads in it, by default CM2_DVC or PDVC"] = "",
              out: Annotated[str, "folder to write; default: presave/reproduce/<data set>"] = "",
              modes: Annotated[bool, "also evaluate with the search that walks down the tree (HiCM2), with zeros, and "
                                     "without memory"] = False,
              samples: Annotated[int, "bootstrap samples of the intervals"] = 1000,
              set_: Overrides = ()) -> "Reproduction":
    """Reproduce a paper's numbers from its released files.

    Download, convert, caption, score and compare with the published numbers.  Run again, it continues.
    """
    from hicm.recipes.reproduce import reproduce

    words = [f"hicm reproduce {dataset}", *(f"--set {one}" for one in set_), *(["--modes"] if modes else [])]
    return reproduce(dataset, config or f"configs/{dataset}.yaml", from_,
                     Path(out or f"presave/reproduce/{dataset}"), set_, modes, samples, " ".join(words))


def results(records: Annotated[Sequence[str], "records of measured results, as 'hicm reproduce' writes them"] = (), *,
            out: Annotated[str, "page to write"] = "docs/results.md") -> Path:
    """Write the page of published and measured results.

    The papers' rows with their sources, and what was measured here.
    """
    from hicm.files import write_text
    from hicm.results.page import results_page
    from hicm.results.record import read_record

    return write_text(out, results_page([read_record(path) for path in records]))


def pull(repository: Repository, out: Annotated[str, "run folder to write"], *,
         revision: Annotated[str, "branch, tag or commit"] = "main") -> Path:
    """Download a trained model from the Hugging Face hub.

    Files that could run code are not fetched.
    """
    from hicm.data.hub.share import pull

    return pull(repository, out, revision)


def push(run: Annotated[str, "run folder, as 'hicm train' printed it, or hub:owner/name"], repository: Repository, *,
         revision: Annotated[str, "branch to write; made if it does not exist"] = "main",
         private: Annotated[bool, "make a new repository private"] = False,
         dry_run: Annotated[bool, "list the files that would be uploaded, and stop"] = False) -> str:
    """Upload a trained model to the Hugging Face hub.

    Settings, manifest, memory bank, weights, tokenizer and card; nothing else.
    """
    from hicm.data.hub.share import push

    return push(model_path(run), repository, revision, private, dry_run)
