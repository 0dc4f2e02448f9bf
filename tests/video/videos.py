"""Made-up videos, encoded with PyAV: every frame is of one colour, which tells when it was shown."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CLOCK = 1000  # ticks per second


def colour(number: int) -> np.ndarray:
    """The colour of frame ``number``: steps of 40 in three channels tell 216 frames apart, compression included."""
    return np.array([number % 6 * 40 + 20, number // 6 % 6 * 40 + 20, number // 36 * 40 + 20], np.uint8)


def number_of(rgb: np.ndarray) -> int:
    """Which frame a picture is."""
    red, green, blue = (round((channel - 20) / 40) for channel in rgb.reshape(-1, 3).mean(axis=0))
    return int(red + 6 * green + 36 * blue)


def write_video(path: Path, times: list[float], end: float, size: tuple[int, int] = (64, 48), rotation: int = 0,
                picture: np.ndarray | None = None, codec: str = "libx264", **options: str) -> Path:
    """A video whose frames appear at ``times`` (seconds, ascending from 0) and which lasts until ``end``.

    ``size``: width, height.  ``picture`` uint8 [height, width, 3]: shown in every frame instead of its colour.
    ``options``: of the encoder; without B-frames (bf=0) unless they say otherwise.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"bf": "0"} | options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, CLOCK)
        if rotation:
            stream.set_display_rotation(rotation)
        lasting = {round(time * CLOCK): round((after - time) * CLOCK)
                   for time, after in zip(times, [*times[1:], end], strict=True)}
        for number, time in enumerate(times):
            shown = np.broadcast_to(colour(number), (size[1], size[0], 3)) if picture is None else picture
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")
            frame.pts, frame.time_base = round(time * CLOCK), Fraction(1, CLOCK)
            _mux(container, stream.encode(frame), lasting)
        _mux(container, stream.encode(None), lasting)
    return path


def write_three_and_a_broken_one(folder: Path) -> Path:
    """Videos a, b and c of 3, 5 and 2 seconds, and broken.mp4, which is none."""
    for name, seconds in (("a", 3.0), ("b", 5.0), ("c", 2.0)):
        write_video(folder / f"{name}.mp4", [0.0, 1.0], seconds)
    (folder / "broken.mp4").write_bytes(b"\0" * 999)
    return folder


def _mux(container: "av.container.OutputContainer", packets: list[av.Packet], lasting: dict[int, int]) -> None:
    for packet in packets:
        packet.duration = lasting[packet.pts]
        container.mux(packet)
