"""What ffmpeg's library reads in a file."""

from pathlib import Path

import av


def read_cues(path: Path) -> set[tuple[int, int]]:
    """Start and end of every cue in milliseconds; equal cues count once."""
    with av.open(str(path)) as container:
        return {tuple(round(ticks * packet.time_base * 1000) for ticks in (packet.pts, packet.pts + packet.duration))
                for packet in container.demux(container.streams.subtitles[0]) if packet.size}


def read_chapters(path: Path) -> list[tuple[int, int, str]]:
    """Start and end in milliseconds, and title."""
    with av.open(str(path)) as container:
        return [(*(round(one[end] * one["time_base"] * 1000) for end in ("start", "end")),
                 one["metadata"]["title"].rstrip())
                for one in container.chapters()]
