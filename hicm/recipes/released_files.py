"""Where a reproduction finds what was released: on the hub, or in a clone of the authors' repository.

CM2 and PDVC keep annotations and words in their repositories; weights, features and memories are downloaded by hand
from the pages their README names, into the clone, where their programs expect them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hicm.data.hub.download import download
from hicm.data.hub.records import digest_file
from hicm.errors import UserError
from hicm.memory.imports import EMBEDDINGS, SENTENCES, VIDEOS

DRIVE = "https://drive.google.com"


@dataclass(frozen=True)
class Needed:
    """One file or folder in a clone; ``page``: where it is to be had, '' for what comes with the clone.

    ``git``: its git blob id in the last commit, where it comes with the clone.
    """

    path: str
    what: str
    page: str = ""
    git: str = ""


@dataclass(frozen=True)
class Clone:
    """What one model needs of a repository."""

    model: str
    repository: str  # on GitHub
    checkpoint: Needed
    features: Needed
    annotations: tuple[Needed, ...]  # of the validation split, one per annotator
    words: Needed
    bank: Needed | None = None  # folder of a flat bank
    overrides: tuple[str, ...] = ()  # beside preset=released

    @property
    def folder(self) -> str:
        """Its name after `git clone`."""
        return self.repository.rpartition("/")[2]

    def needed(self) -> Iterator[Needed]:
        """Every file and folder."""
        yield from (self.checkpoint, self.features, self.words, *self.annotations)
        if self.bank is not None:
            name = Path(self.bank.path).parent.name
            yield from (Needed(f"{self.bank.path}/{name}{suffix}", self.bank.what, self.bank.page)
                        for suffix in (EMBEDDINGS, SENTENCES, VIDEOS))


@dataclass(frozen=True)
class Inputs:
    """The files of a reproduction."""

    model: str
    checkpoint: str
    bank: str  # to import; '': the model reads no memory
    overrides: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what is not as released


_CM2, _PDVC = "ailab-kyunghee/CM2_DVC", "ttengwang/PDVC"
_VAL_1, _VAL_2 = "data/anet/captiondata/val_1.json", "data/anet/captiondata/val_2.json"

# Read in the READMEs of CM2 (last commit 2024-06-19) and PDVC (2024-01-03); blob ids: `git ls-tree` of these commits.
# No checksum of a file on Google Drive is published.
CLONES = {
    "cm2_yc2": Clone(
        "CM2", _CM2,
        Needed("save/yc2_clip_cm2_best/model-best.pth", "weights",
               f"{DRIVE}/file/d/1swQfs7f9G5RYgiHD2BKUGobpKZWjCIrr"),
        Needed("data/yc2/features/clipvitl14.pth", "features", f"{DRIVE}/file/d/17H_lxSKFve57kHpkAD7pcYS7ijHIy4-M"),
        (Needed("data/yc2/captiondata/val.json", "annotations", git="3f7251df2118371e1fbe51bcab3bc5d1c04635d8"),),
        Needed("data/yc2/vocabulary_youcook2.json", "words", git="38f96944c351d49d34281ffbb58bd8e8b4232d83"),
        Needed("bank/yc2/clip", "memory", f"{DRIVE}/drive/folders/1E8dMREMZZmzvyeFcyci2p0OmLkcIFKjg")),
    "cm2_anet": Clone(
        "CM2", _CM2,
        Needed("save/anet_clip_cm2_best/model-best.pth", "weights",
               f"{DRIVE}/file/d/1ZaqDBcRYgEgn_Y10tKNdvJwdyYr3mgID"),
        Needed("data/anet/features/clipvitl14.pth", "features", f"{DRIVE}/file/d/1v08rs9Hwqh3XIM-8u8rRcFZc3HWUtJo_"),
        (Needed(_VAL_1, "annotations", git="2c1f7a5f2358e14b3261444771b7d6b0df576c46"),
         Needed(_VAL_2, "annotations", git="041c7ccf11b7872138ae260d2052e434b3503141")),
        Needed("data/anet/vocabulary_activitynet_thres2.json", "words",
               git="a6530efb017a8ceb46de0ba0cdac125e8b9a443c"),
        Needed("bank/anet/clip", "memory", f"{DRIVE}/drive/folders/1HYkLWTO2qFdzl1P3pR7fW7nkE6eS-SbR")),
    "pdvc_anet": Clone(
        "PDVC on TSP features", _PDVC,
        Needed("save/anet_tsp_pdvc/model-best.pth", "weights",
               f"{DRIVE}/drive/folders/1Y34puRNE0lpbz3i38k1nh8d9E1i3S0i4"),
        Needed("data/anet/features/tsp", "features", "data/anet/features/download_tsp_features.sh in the clone"),
        (Needed(_VAL_1, "annotations", git="71006d3f4fbadf8221d0713511d0469391604430"),
         Needed(_VAL_2, "annotations", git="571e4ea8fda197a4c7bc42accc3d8b8ab1e45906")),
        Needed("data/anet/vocabulary_activitynet.json", "words", git="9a1436bf0aa4261175f4e0482fb103c2962396ab"),
        overrides=("retrieval.search=none", "data.frames=100")),
}


def find_inputs(dataset: str, source: str) -> Inputs:
    """The released files for a reproduction, fetched where that is possible.

    ``source``: of `CLONES`, the clone (default: in the current folder); else as of `download`.  Raises UserError that
    names every missing file and where it is to be had.
    """
    if dataset in CLONES:
        return _of_clone(CLONES[dataset], Path(source or CLONES[dataset].folder))
    print(download(dataset, ".", (), source, "main", False, False))
    return Inputs("HiCM2", f"presave/{dataset}/best_model.pth",
                  f"presave/{dataset}/hierarchical_clustering_results_{dataset}_70B.pkl")


def _of_clone(clone: Clone, folder: Path) -> Inputs:
    if not folder.is_dir():
        raise UserError(f"{folder}: no clone of {clone.model}'s repository; git clone "
                        f"https://github.com/{clone.repository}, download what its README names into it, and give the "
                        "folder with --from")
    missing = [one for one in clone.needed() if not (folder / one.path).exists()]
    if missing:
        told = ", ".join(f"{one.path} ({one.what}: {one.page or 'git checkout'})" for one in missing)
        raise UserError(f"{folder}: lacks {told}; download {'it' if len(missing) == 1 else 'them'} by hand, into the "
                        "clone")
    notes = tuple(f"{folder / one.path}: not the file of the repository's last commit" for one in clone.needed()
                  if one.git and not digest_file(folder / one.path).matches(one.git))
    files = ", ".join(str(folder / one.path) for one in clone.annotations)
    overrides = (f"data.annotations.val=[{files}]", "data.report=val", f"data.features={folder / clone.features.path}",
                 f"parallel.vocabulary={folder / clone.words.path}", *clone.overrides)
    return Inputs(clone.model, str(folder / clone.checkpoint.path),
                  "" if clone.bank is None else str(folder / clone.bank.path), overrides, notes)
