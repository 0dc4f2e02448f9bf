"""A held-out part of the training videos as files of its own, by the rule of ``data.holdout``."""

from pathlib import Path

from hicm.config import HOLDOUT, DataConfig
from hicm.data.annotations import read_annotations
from hicm.data.holdout import part_of
from hicm.errors import UserError
from hicm.files import read_json, write_json

FILES = {"train": "train_part.json", HOLDOUT: "held.json"}


def write_parts(annotations: str | Path, out: str | Path, share: float = 0.1, seed: int = 0) -> dict[str, Path]:
    """Write ``train_part.json`` and ``held.json`` into ``out``: entries as in ``annotations``, in its order.

    The parts are those of ``data.holdout=share`` and ``data.holdout_seed=seed``: by a hash of the YouTube id, so that
    all annotations of a video are in one part.  Nothing is written where the files hold these parts already.  Raises
    UserError for a share outside (0, 0.5], for a part without videos, and for files that hold something else.
    """
    if not 0 < share <= 0.5:
        raise UserError(f"share is {share}, expected a share of the videos above 0, at most 0.5")
    config = DataConfig(annotations={"train": [str(annotations)]}, holdout=share, holdout_seed=seed)
    videos, entries = read_annotations(annotations), read_json(annotations, "annotation file")
    parts = {split: {name: entries[name] for name in part_of(config, split, videos)} for split in FILES}
    paths = {split: Path(out) / name for split, name in FILES.items()}
    for split, path in paths.items():
        if path.exists() and read_json(path, "annotation file") != parts[split]:
            raise UserError(f"{path}: holds other videos or captions; choose another folder, or remove it")
    for split, path in paths.items():
        if not path.exists():
            write_json(path, parts[split])
    return paths
