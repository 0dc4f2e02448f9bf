"""hicm: hierarchical-memory dense video captioning.

Data flows one way, and stages meet in files:
annotations/features -> memory -> retrieval -> captioner -> predictions -> evaluation -> report.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hicm.types import Event

__version__ = "0.2.0"


def caption(video: str, **options: Any) -> "tuple[Event, ...]":
    """What happens in a video file: events in order of time, with ``span.start``, ``span.end`` (seconds) and ``text``.

    >>> import hicm
    >>> for event in hicm.caption("video.mp4", model="presave/runs/yc2-xxxxxxxx"):  # doctest: +SKIP
    ...     print(event.span.start, event.span.end, event.text)

    ``options`` are those of `hicm.stages.video_captioner.VideoCaptioner`: model, memory, encoder, speech, cache,
    overrides.  Models stay loaded for the next call, and features are kept.  Raises UserError as that class does.
    """
    from hicm.stages.video_captioner import shared_captioner

    return shared_captioner(**options).events(video)
