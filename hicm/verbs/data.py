"""Released data and models, and model folders of ours to and from the hub."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from hicm.data.hub.download import Report


def download(dataset: Annotated[str, "yc2 or vitt"], *,
             out: Annotated[str, "folder that gets data/ and presave/"] = ".",
             only: Annotated[Sequence[str], "kinds fetched, of annotations features speech model memory; none: "
                                            "all"] = (),
             from_: Annotated[str, "folder or URL laid out like the authors' repositories (data/, presave/); empty: "
                                   "these"] = "",
             revision: Annotated[str, "branch, tag or commit of the hub's repositories"] = "main",
             dry_run: Annotated[bool, "print files, sizes and disk space, and stop"] = False,
             accept_changes: Annotated[bool, "record files anew that changed since they were fetched"] = False,
             ) -> "Report":
    """Get the released files of a data set that are not here, and verify those that are; continues what broke off."""
    from hicm.data.hub.download import download

    return download(dataset, out, only, from_, revision, dry_run, accept_changes)


def data_chapters(chapters: Annotated[str, "chapters.pkl or .json of VidChapters-7M"],
                  split: Annotated[str, "json list of the split's video ids"],
                  out: Annotated[str, "annotation file written"]) -> str:
    """Write the annotations of a split of VidChapters-7M: each chapter is an event that lasts until the next."""
    from hicm.data.pretraining import convert_chapters

    counts = convert_chapters(chapters, split, out)
    return "\n".join([*(f"{count:>9,} {what}" for what, count in counts.items() if count), out])


def pull(repository: Annotated[str, "model repository of the Hugging Face hub, as owner/name"],
         out: Annotated[str, "run folder written"], *,
         revision: Annotated[str, "branch, tag or commit"] = "main") -> Path:
    """Get a trained captioner of ours from the Hugging Face hub; a file that could run code is not fetched."""
    from hicm.data.hub.share import pull

    return pull(repository, out, revision)


def push(run: Annotated[str, "run folder, as 'hicm train' printed it"],
         repository: Annotated[str, "model repository of the Hugging Face hub, as owner/name"], *,
         revision: Annotated[str, "branch written, made if it is not there"] = "main",
         private: Annotated[bool, "a repository that is made now is private"] = False,
         dry_run: Annotated[bool, "list what would go, and stop"] = False) -> str:
    """Put the captioner of a run on the Hugging Face hub; only settings, manifest, weights, tokenizer and card go."""
    from hicm.data.hub.share import push

    return push(run, repository, revision, private, dry_run)
