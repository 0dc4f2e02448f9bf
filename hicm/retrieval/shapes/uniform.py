"""Windows of equal length, as HiCM2 cuts them."""

import numpy as np

from hicm.config import RetrievalConfig
from hicm.retrieval.windows import window_rows


def windows(frames: np.ndarray, counted: np.ndarray, settings: RetrievalConfig) -> np.ndarray:
    """bool [W, T]: `window_rows`, whatever the frames show and whether they are real."""
    return window_rows(len(frames), settings.windows, settings.tail)
