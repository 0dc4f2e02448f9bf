"""A made-up video as a video file: every second shows its row of features, which the encoder ``blocks`` reads back."""

from pathlib import Path

import numpy as np

from hicm.encoders.blocks import draw
from hicm.files import atomic

RATE = 5  # frames per second


def write_film(path: Path, rows: np.ndarray) -> Path:
    """Write ``rows`` [seconds, D] as an H.264 video that lasts as many seconds; returns the path.

    Raises UserError when it cannot be written.
    """
    import av

    pictures = [draw(row.astype(np.float64)) for row in rows]
    with atomic(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "18", "bf": "0"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            for _ in range(RATE):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path
