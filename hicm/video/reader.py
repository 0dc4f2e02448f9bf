"""Frames of a video file at regular times, through PyAV (FFmpeg).

The file is read once from start to end and only the frames that are asked for are kept, so memory does not grow with
its length.  Times are seconds from the start of the file, as a player shows them.
"""

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hicm.errors import UserError
from hicm.files import refuse_special, require

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

LEAST = 0.5  # share of a damaged video's stated duration that must be readable
END = 1.0  # seconds by which a stream may end before its stated duration without counting as cut off


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture as it is meant to be seen: rotated upright, square pixels."""

    time: float  # seconds: when it appears on screen
    rgb: np.ndarray  # uint8 [height, width, 3]


class VideoReader:
    """An open video file; use it as a context manager.

    Raises UserError when the file is missing, is no video (a named pipe is none), or has no video track that can be
    decoded.
    """

    def __init__(self, path: str | Path) -> None:
        refuse_special(path, "a video file")
        self.path = require(path, "video", "give a video file")
        self._container = _open(self.path)
        self._stream = stream = _video_stream(self._container, self.path)
        self._origin = (self._container.start_time or 0) / 1_000_000
        self._end = 0.0  # of the last decoded frame
        self._wanted = 0.0  # time of the next frame to return
        self._pictures_end = _track_duration(stream)
        self.unreadable = 0  # packets that could not be decoded so far
        self.frame_rate = float(stream.average_rate) if stream.average_rate else None  # average, by the header
        self.has_audio = bool(self._container.streams.audio)
        self.stated_duration = self._container.duration / 1_000_000 if self._container.duration else self._pictures_end

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_: Any) -> None:
        self._container.close()

    @property
    def duration(self) -> float:
        """Seconds, once `frames` has been read to its end.

        That of the header, which may end later than the pictures when the sound does; the end of the last frame where
        the header states none or the file is cut off.
        """
        stated = self.stated_duration
        return self._end if stated is None or self.cut_off else max(stated, self._end)

    @property
    def cut_off(self) -> bool:
        """Whether the pictures end before the header says so; once `frames` has been read to its end."""
        stated = self._pictures_end or self.stated_duration
        return stated is not None and self._end < stated - END

    def frames(self, step: float = 1.0) -> Iterator[Frame]:
        """The frame on screen at 0, step, 2 * step, ... seconds, up to the end.

        Before the first frame appears, that is the first one.  Raises UserError when nothing can be decoded, or less
        than half of the stated duration.
        """
        number, shown = 0, None
        self._wanted = 0.0
        for time, frame in self._decoded(step):
            while shown is not None and self._wanted < time:
                yield _upright(*shown, self._stream.sample_aspect_ratio)
                number += 1
                self._wanted = number * step
            shown = time, frame
            self._end = max(self._end, time + self._length(frame))
        if shown is None:
            raise UserError(f"{self.path}: no frame can be decoded; the file is empty or damaged")
        if self.stated_duration and self._end < LEAST * self.stated_duration and self.cut_off:
            raise UserError(f"{self.path}: only {self._end:.1f} of {self.stated_duration:.1f} seconds can be decoded; "
                            "the file is damaged or cut off, get it again")
        while self._wanted < self.duration:
            yield _upright(*shown, self._stream.sample_aspect_ratio)
            number += 1
            self._wanted = number * step

    def _decoded(self, step: float) -> Iterator[tuple[float, "VideoFrame"]]:
        """Frames with their times, in order of time, of the groups of pictures that hold a wanted time."""
        import av

        last = -math.inf
        context = self._stream.codec_context
        for packet, needed in self._needed_packets(step):
            context.skip_frame = "DEFAULT" if needed else "NONREF"
            try:
                frames = context.decode(packet)
            except av.error.FFmpegError:
                self.unreadable += 1
                continue
            for frame in frames:
                time = self._seconds(frame.pts)
                if time is not None and time > last:  # a damaged file may repeat or go back
                    last = time
                    yield max(time, 0.0), frame

    def _needed_packets(self, step: float) -> Iterator[tuple["Packet | None", bool]]:
        """Packets of the video track, each with whether its frame itself is needed, not only by others.

        Packets are held back, undecoded, until one reaches the next multiple of ``step``, and a group of pictures is
        dropped when the next one begins before that.
        """
        held: list[Packet] = []
        number, reached = 0, -math.inf  # the next multiple, and the latest time among the packets that were passed on
        for packet in self._packets():
            time, wanted = self._seconds(packet.pts), number * step
            if packet.is_keyframe and time is not None and reached < time <= wanted and self._may_skip:
                held = []
            held.append(packet)
            if time is None or not reached < time < wanted:  # earlier: a frame that is coded after later ones
                yield from self._marked(held, wanted)
                held = []
                reached = max(reached, wanted if time is None else time)
                number = max(number, math.floor(reached / step) + 1)
        yield from self._marked(held, math.inf)
        yield None, True  # what the decoder still holds

    def _marked(self, held: list["Packet"], wanted: float) -> Iterator[tuple["Packet", bool]]:
        """The packets, each with whether its frame may be on screen at ``wanted`` or later."""
        times = [self._seconds(packet.pts) for packet in held]
        shown = max((time for time in times if time is not None and time <= wanted), default=-math.inf)
        for packet, time in zip(held, times, strict=True):
            yield packet, time is None or time >= shown

    def _packets(self) -> Iterator["Packet"]:
        import av

        packets = self._container.demux(self._stream)
        try:
            yield from itertools.takewhile(lambda packet: packet.size, packets)
        except av.error.FFmpegError:  # the file ends in the middle
            self.unreadable += 1

    @property
    def _may_skip(self) -> bool:
        return self._stream.codec_context.name in KEYFRAMES_ARE_ENTRIES

    def _seconds(self, pts: int | None) -> float | None:
        """From the track's clock to seconds from the start of the file."""
        base = self._stream.time_base
        return None if pts is None or base is None else float(pts * base) - self._origin

    def _length(self, frame: "VideoFrame") -> float:
        """Seconds a frame stays on screen."""
        if frame.duration and self._stream.time_base:
            return float(frame.duration * self._stream.time_base)
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(1 / rate) if rate else 0.0


def has_sound(path: str | Path) -> bool:
    """Whether a file of video or sound has a sound track.  Raises UserError when it has neither, or is no such file."""
    path = require(path, "video", "give a video or sound file")
    with _open(path) as container:
        if not container.streams.audio and not container.streams.video:
            raise UserError(f"{path}: has neither video nor sound; give a video or sound file")
        return bool(container.streams.audio)


# Codecs whose keyframes can be decoded without what comes before.
KEYFRAMES_ARE_ENTRIES = {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mjpeg", "mpeg2video", "mpeg1video",
                         "prores"}


def _open(path: Path) -> "InputContainer":
    try:
        import av
    except ImportError as error:
        raise UserError("reading videos needs PyAV; install it: pip install 'hicm[video]'") from error
    if path.is_dir() or not path.stat().st_size:
        raise UserError(f"{path}: expected a video file, found {'a folder' if path.is_dir() else 'an empty file'}")
    try:
        return av.open(str(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a video ({_reason(error)}); is it a complete video?") from error


def _video_stream(container: "InputContainer", path: Path) -> "VideoStream":
    """The track that a player shows: not a cover picture."""
    import av

    tracks = [stream for stream in container.streams.video
              if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None]
    if not tracks:
        sound = ", only sound" if container.streams.audio else ""
        raise UserError(f"{path}: has no video track{sound}; give a video file")
    best = container.streams.best("video")
    stream = best if best in tracks else tracks[0]
    stream.thread_type = "AUTO"
    return stream


def _track_duration(stream: "VideoStream") -> float | None:
    """Seconds of the video track by the header; Matroska's writers keep it in a tag."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)\0*", stream.metadata.get("DURATION", ""))
    return None if found is None else int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


def _upright(time: float, frame: "VideoFrame", pixel: Fraction | None) -> Frame:
    """The picture with square pixels (``pixel``: their width per height in the file), rotated as the file asks."""
    width = max(round(frame.width * pixel), 1) if pixel else frame.width
    rgb = frame.to_ndarray(format="rgb24", width=width, height=frame.height)
    return Frame(time, np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90))))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
