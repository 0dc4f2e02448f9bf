"""The usable videos of a split: those with annotations and features."""

from hicm.config import DataConfig
from hicm.data.annotations import is_listing, read_split, split_files
from hicm.data.features import Features
from hicm.data.ids import no_match
from hicm.data.joined import open_all
from hicm.data.pretraining import read_listing
from hicm.errors import UserError
from hicm.types import Video


def split_with_features(config: DataConfig, split: str, captions: bool = True) -> tuple[dict[str, Video], Features]:
    """The videos of a split in file order, and the feature store that holds them all.

    Without ``captions`` the split need not have any.  Raises UserError for videos without features, or leaves them out
    under ``data.missing_features: skip``; they are never filled with zeros.
    """
    videos, file = read_split(config, split, captions), split_files(config, split)[0]
    listed = read_listing(file) if is_listing(file) else None
    features = open_all(config, listed)
    missing = features.missing(videos)
    store = features.lacking(missing)
    if len(missing) == len(videos):
        raise UserError(f"{store.path}: no video of split {split} has features: "
                        + no_match(videos, store.keys(), store.path.name))
    if missing and config.missing_features == "refuse":
        raise UserError(f"{store.path}: no features for {len(missing)} of {len(videos)} videos of split "
                        f"{split} ({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}); add them, or set "
                        "data.missing_features=skip to leave these videos out")
    gone = set(missing)
    kept = {name: video for name, video in videos.items() if name not in gone}
    return kept, features
