"""What the authors of HiCM2 released, file by file: where it is, and where the settings files expect it.

The names are those in the published scripts (args.py, train_ret_*_hier.sh, util/ret_util.py) and the README of
ailab-kyunghee/HiCM2-DVC at `MEMORY_REVISION`; those of YouCook2 are also in the download script of a fork.  The host
may no longer have all of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hicm.errors import UserError
from hicm.files import MissingFile

KINDS = ("annotations", "features", "speech", "model", "memory")

HUB = "Geppa/HiCM2"  # a dataset repository and a model repository of this name
MEMORY_REPOSITORY = "ailab-kyunghee/HiCM2-DVC"
MEMORY_REVISION = "9ec33d55048580f419b7e88c053c4b066058a92b"  # the last commit, 2025-05-08


@dataclass(frozen=True)
class Item:
    """One released file.

    ``path`` is its path in the repository, ``target`` its path here; ``gigabytes`` is approximate, None where no source
    gives a size; ``git`` is its git blob id where that is known (then it can be verified).
    """

    kind: str
    host: str  # dataset, model (of the Hugging Face hub) or git
    path: str
    target: str
    needed: bool
    gigabytes: float | None = None
    git: str = ""

    @property
    def name(self) -> str:
        return PurePosixPath(self.target).name

    @property
    def repository(self) -> str:
        return MEMORY_REPOSITORY if self.host == "git" else HUB

    @property
    def page(self) -> str:
        """A web page that shows it."""
        if self.host == "git":
            return f"https://github.com/{MEMORY_REPOSITORY}"
        return f"https://huggingface.co/{'datasets/' if self.host == 'dataset' else ''}{HUB}/tree/main"


def _hub(kind: str, host: str, path: str, needed: bool = True, gigabytes: float | None = None) -> Item:
    return Item(kind, host, path, path, needed, gigabytes)


def _memory(name: str, git: str) -> Item:
    file = f"hierarchical_clustering_results_{name}_70B.pkl"
    return Item("memory", "git", file, f"presave/{name}/{file}", False, None, git)


_START = _hub("model", "model", "presave/vid2seq_htmchapters.pth", False, 1.1)  # as VidChapters' files

# Sizes: released YC2 model + data are about 4.4 GB (a fork's README); its split into 0.9 and 3.5 GB, and the size of
# the ViTT model, are inferred from the number of parameters, float16 features and Adam's moments.
# Blob ids: `git ls-tree` of MEMORY_REVISION.
CATALOGUE: dict[str, tuple[Item, ...]] = {
    "yc2": (
        _hub("annotations", "dataset", "data/yc2/train.json"),
        _hub("annotations", "dataset", "data/yc2/val.json"),
        _hub("features", "dataset", "data/yc2/clipvitl14.pth", True, 0.9),
        _hub("speech", "dataset", "data/yc2/youcook2_asr_align_proc.pkl"),
        _hub("model", "model", "presave/yc2/best_model.pth", True, 3.5),
        _START,
        _memory("yc2", "248fb02dac76b0bdfdc1939cdc3343c45737bfb1"),
    ),
    "vitt": (
        _hub("annotations", "dataset", "data/vitt/train.json"),
        _hub("annotations", "dataset", "data/vitt/dev.json"),
        _hub("annotations", "dataset", "data/vitt/test.json"),
        _hub("features", "dataset", "data/vitt/clipvitl14.pth"),
        _hub("speech", "dataset", "data/vitt/subtitles_align_proc.pkl"),
        _hub("model", "model", "presave/vitt/best_model.pth", True, 3.5),
        _START,
        _memory("vitt", "7d8215cd30b762cb375e75ea488c2975c9798ff5"),
    ),
}

# Videos and sentences of the official files, by data set and annotation file (without .json).  YouCook2: counted in
# PDVC's copy; ActivityNet: counted; sentences of YouCook2's val: data/README.md.  ViTT: about 8,000 videos in all.  The
# recipes of CM2 and PDVC use CM2's lists of YouCook2, counted in its repository: the videos that have features.  MESM:
# queries, after the rules of cleaning (`hicm.moments.cleaning`).
_YC2_WITH_FEATURES = {"train": (1237, 9586), "val": (436, 3350)}
_ANET = {"train": (10009, 37421), "val_1": (4917, 17505), "val_2": (4885, 17031)}
_CHARADES_STA = {"train": (5336, 12405), "test": (1334, 3720)}
OFFICIAL: dict[str, dict[str, tuple[int, int]]] = {
    "yc2": {"train": (1333, 10337), "val": (457, 3492)}, "anet": _ANET,
    "cm2_yc2": _YC2_WITH_FEATURES, "pdvc_yc2": _YC2_WITH_FEATURES, "cm2_anet": _ANET, "pdvc_anet": _ANET,
    "mesm_charades_csf": _CHARADES_STA, "mesm_charades_vgg": _CHARADES_STA,
    "mesm_charades_cd": {"train": (4564, 11071), "val": (333, 859), "test_iid": (333, 823), "test_ood": (1442, 3372)},
    "mesm_charades_cg": {"train": (3555, 8281), "novel_composition": (2480, 3442), "novel_word": (580, 695)},
    "mesm_tacos": {"train": (75, 9790), "val": (27, 4436), "test": (25, 4001)},
    "mesm_qvhighlights": {"train": (7100, 7218), "val": (1519, 1550)},
}
OFFICIAL_TOTAL = {"vitt": 8000}  # videos, approximately


def compare_counts(name: str, counts: Iterable[tuple[str, str, int, int]], videos: int) -> list[str]:
    """Lines that compare a copy with the official counts of the data set ``name``; empty if there are none.

    ``counts``: split, annotation file, videos and captions of each file; ``videos``: those of all splits together.
    """
    notes = []
    if name in OFFICIAL_TOTAL:
        notes.append(f"official: about {OFFICIAL_TOTAL[name]:,} videos in all splits; {videos:,} here")
    for split, file, *here in counts:
        key = next((key for key in (Path(file).stem, split) if key in OFFICIAL.get(name, {})), None)
        if key is not None:
            pairs = zip(OFFICIAL[name][key], here, (f"{key} videos", "captions"), strict=True)
            notes.append("official: " + "; ".join(f"{count:,} {what}, {_lacking(count - found)}"
                                                  for count, found, what in pairs))
    return notes


def _lacking(difference: int) -> str:
    if not difference:
        return "all here"
    return f"{abs(difference):,} {'not' if difference > 0 else 'more'} here"


def command_for(path: str | Path) -> str:
    """The command that gets the file at ``path``, '' if it is not in the catalogue.

    >>> command_for("data/yc2/train.json"), command_for("elsewhere/data/vitt/dev.json"), command_for("own.json")
    ('hicm download yc2', 'hicm download vitt --out elsewhere', '')
    """
    parts = Path(path).parts
    for name, items in CATALOGUE.items():
        for item in items:
            tail = PurePosixPath(item.target).parts
            if parts[-len(tail):] == tail:
                base = Path(*parts[:-len(tail)])
                return f"hicm download {name}" + (f" --out {base}" if base != Path() else "")
    return ""


def with_command(path: str | Path, remedy: str) -> str:
    """``remedy`` for the missing file at ``path``, preceded by the command that gets it where there is one."""
    command = command_for(path)
    return f"get it with '{command}', or {remedy}" if command and command not in remedy else remedy


def message_of(error: UserError) -> str:
    """The error in one line; that of a missing file names the command that gets the file where there is one."""
    if not isinstance(error, MissingFile):
        return str(error)
    return str(MissingFile(error.path, error.what, with_command(error.path, error.remedy)))
