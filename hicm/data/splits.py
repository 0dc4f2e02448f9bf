"""The videos of a split that can be worked with: annotated and with features."""

from hicm.config import DataConfig
from hicm.data.annotations import read_split
from hicm.data.features import Features, open_features
from hicm.errors import UserError
from hicm.types import Video


def split_with_features(config: DataConfig, split: str) -> tuple[dict[str, Video], Features]:
    """Videos of a split in file order, and the feature store that holds them all.

    Videos without features raise UserError, or are left out under ``data.missing_features: skip``; never zero-filled.
    """
    videos = read_split(config, split)
    features = open_features(config.features, config.feature_fps)
    missing = features.missing(videos)
    if missing and config.missing_features == "refuse":
        raise UserError(f"{config.features}: no features for {len(missing)} of {len(videos)} videos of split "
                        f"{split} ({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}); add them, or set "
                        "data.missing_features=skip to leave these videos out")
    gone = set(missing)
    kept = {name: video for name, video in videos.items() if name not in gone}
    if not kept:
        raise UserError(f"{config.features}: no video of split {split} has features; is it the right file?")
    return kept, features
