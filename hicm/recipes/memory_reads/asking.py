"""Queries made of annotated captions, in place of frames: what a memory recalls when it is asked for what was said."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hicm.data.features import write_features
from hicm.data.samples import SplitSamples
from hicm.encoders import Encoder
from hicm.provenance import Origin
from hicm.types import Video


def caption_queries(samples: SplitSamples, annotated: Mapping[str, Video], encoder: Encoder, folder: Path) -> Path:
    """A features file in ``folder``, one row per second; made once for equal content.

    Rows whose middle lies in an annotated event hold the embedding of its caption, of the shorter event where two
    overlap; an event without such a row has the row nearest to its middle.  The other rows are zero: a window of them
    has cosine 0 with every node, and recalls the first ones.  Windows that follow the frames follow these rows.  Raises
    UserError for a caption that cannot be embedded.
    """
    said = {video: repr([(event.span, event.text) for event in annotated[video].events]) for video in samples.ids}
    name = Origin({}, {"encoder": encoder.name, "features": samples.features.fingerprint(samples.ids), **said}).identity
    path = folder / f"caption_queries_{name}.h5"
    if path.exists():
        return path
    return write_features(path, {video: _rows(len(samples.features.read(video)), 1 / samples.features.clock.rate,
                                              annotated[video], encoder) for video in samples.ids})


def _rows(count: int, seconds: float, video: Video, encoder: Encoder) -> np.ndarray:
    """float16 [count, D]; each row lasts ``seconds``."""
    rows, middles = np.zeros((count, encoder.width), np.float32), (np.arange(count) + 0.5) * seconds
    events = sorted((event for event in video.events if event.text.strip()),
                    key=lambda event: event.span.start - event.span.end)  # the shortest last
    embeddings = encoder.encode([event.text for event in events]) if events else rows[:0]
    for event, embedding in zip(events, embeddings, strict=True):
        start, end = event.span.start, event.span.end
        inside = (middles >= start) & (middles < end)
        rows[inside if inside.any() else np.abs(middles - (start + end) / 2).argmin()] = embedding
    return rows.astype(np.float16)
