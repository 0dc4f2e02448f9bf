"""A held-out part of the training videos that selects the checkpoint, so that the reported split need not.

Whether a video is held out depends only on its YouTube id and ``data.holdout_seed``: not on the order of the file, nor
on which other videos a copy of the data has.  All annotations of a video stay together.  Held-out videos neither train
the captioner nor enter its memory.
"""

import hashlib
from collections.abc import Mapping

from hicm.config import HOLDOUT, Config, DataConfig
from hicm.data.ids import youtube_id
from hicm.errors import UserError
from hicm.types import Video


def is_held_out(config: DataConfig, video_id: str) -> bool:
    """Whether a video of the training split is held out."""
    name = f"{config.holdout_seed} {youtube_id(video_id)}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") < config.holdout * 2**64


def part_of(config: DataConfig, split: str, videos: Mapping[str, Video]) -> dict[str, Video]:
    """The videos that belong to ``split``, in file order, out of ``videos``, the content of its file.

    Raises UserError when nothing is held out, or nothing is left to train on.
    """
    if not config.holdout or split not in (config.train, HOLDOUT):
        return dict(videos)
    part = {name: video for name, video in videos.items() if is_held_out(config, name) == (split == HOLDOUT)}
    if not part:
        does = "holds out" if split == HOLDOUT else "leaves"
        raise UserError(f"data.holdout={config.holdout:g}: {does} none of the {len(videos)} videos of split "
                        f"{config.train}; choose another share or data.holdout_seed")
    return part


def describe_split(config: DataConfig, split: str) -> str:
    """A split, described in words.

    >>> describe_split(DataConfig(holdout=0.1), "holdout"), describe_split(DataConfig(), "val")
    ('10 % of train held out', 'split val')
    """
    if config.holdout and split == HOLDOUT:
        return f"{100 * config.holdout:g} % of {config.train} held out"
    if config.holdout and split == config.train:
        return f"split {split} without the {100 * config.holdout:g} % held out"
    return f"split {split}"


def describe_selection(config: Config) -> str:
    """How the best checkpoint is chosen, in words."""
    data = config.data
    if not config.train.evaluates:
        return "last checkpoint: nothing is evaluated while training"
    same = data.select == data.report
    return (f"best {config.train.select_on} on {describe_split(data, data.select)}"
            + (", which is also the reported split" if same else ""))
