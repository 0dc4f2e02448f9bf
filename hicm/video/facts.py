"""Duration, frame rate, size and sound of a video file, read without decoding all of it if possible."""

from dataclasses import dataclass
from pathlib import Path

from hicm.video.reader import VideoReader


@dataclass(frozen=True)
class Facts:
    """``duration`` in seconds, ``frame_rate`` per second on average, ``size``: width and height as shown."""

    duration: float
    frame_rate: float | None
    size: tuple[int, int]
    sound: bool


def read_facts(path: str | Path) -> Facts:
    """The facts of a video file; one whose header has no duration is read to its end.

    Raises UserError when it cannot be read as a video.
    """
    with VideoReader(path) as video:
        frames = video.frames()
        height, width, _ = next(frames).rgb.shape
        duration = video.stated_duration
        if duration is None:
            for _ in frames:
                pass
            duration = video.duration
        return Facts(duration, video.frame_rate, (width, height), video.has_audio)
