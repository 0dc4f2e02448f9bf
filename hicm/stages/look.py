"""A quick look at training data before the first step: what `hicm data check` counts, over some of the videos."""

import warnings
from pathlib import Path

import numpy as np

from hicm.config import Config
from hicm.data.findings import look_at, of_features
from hicm.data.samples import SplitSamples
from hicm.rooms import room_findings

VIDEOS = 200  # looked at, spread over the split


def warn_of_findings(config: Config, samples: SplitSamples, folder: Path) -> None:
    """Warn, a line each, of what the system does not get from the training samples; ``folder`` is that of the run."""
    some = samples.take(np.unique(np.linspace(0, len(samples) - 1, VIDEOS).astype(int)).tolist())
    videos = {video.id: video for video in some.videos}
    looks = {name: look_at(some.features, name) for name in videos}
    found = [*filter(None, of_features(looks, videos, some.features.clock, some.features.stores)),
             *room_findings(config, config.data.train, list(videos.values()), some.speech, some.width, folder)]
    where = f"split {config.data.train}" + (f", {len(some)} of {len(samples):,} videos looked at"
                                            if len(some) < len(samples) else "")
    for finding in found:
        warnings.warn(f"{where}: {finding}", stacklevel=2)
