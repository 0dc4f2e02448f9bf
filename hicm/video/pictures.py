"""Single frames of a video file, as small pictures for pages."""

import io
import itertools
from pathlib import Path

import numpy as np

from hicm.video.reader import VideoReader

WIDTH, HEIGHT = 320, 240  # pixels of a small picture, at most
QUALITY = 80  # of its JPEG


def frame_at(path: str | Path, seconds: float) -> np.ndarray:
    """The frame on screen at ``seconds``, uint8 [height, width, 3]; the last before it where the video ends earlier.

    Raises UserError when the file cannot be read as a video.
    """
    with VideoReader(path) as video:
        frames = video.frames(max(seconds, 0.001))  # the frames at 0 and at that time; what lies between is skipped
        *_, found = itertools.islice(frames, 2 if seconds > 0 else 1)
        return found.rgb


def small_jpeg(rgb: np.ndarray) -> bytes:
    """A picture uint8 [height, width, 3] as a JPEG file of at most WIDTH x HEIGHT pixels."""
    from PIL import Image

    image, stream = Image.fromarray(rgb), io.BytesIO()
    image.thumbnail((WIDTH, HEIGHT))
    image.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()
