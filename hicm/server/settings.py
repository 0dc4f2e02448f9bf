"""The options of ``hicm serve``."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from hicm.errors import UserError

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True)
class Settings:
    """``captioner``: the arguments of `hicm.stages.video_captioner.VideoCaptioner`, as json holds them."""

    captioner: dict[str, Any] = field(default_factory=dict)
    data: Path = Path("presave/server")
    host: str = "127.0.0.1"
    port: int = 8710  # 0: any that is free
    token: str = ""  # required of every request; empty: none
    max_size: int = 4 << 30  # bytes of a video
    keep: timedelta = timedelta(days=7)  # how long a job is kept after its end
    keep_cache: bool = False  # features and transcripts outlive the job: the cache is the user's own
    queue: int = 100  # jobs that may wait
    uploads: int = 4  # at one time
    idle: float = 60.0  # seconds without data after which an upload, or without a request a connection, is closed
    rate: int = 10 << 10  # bytes per second that an upload must bring on average, in every `rate_period`
    rate_period: float = 60.0  # seconds; an upload that ends within them may be as slow as it likes
    stall: float = 6 * 3600.0  # seconds without a report of the worker after which its job fails; some report rarely
    check: float = 60.0  # seconds between two searches for expired jobs
    probe: float = 30.0  # seconds in which the first picture of an upload has to be decoded
    worker: str = "hicm.server.worker"  # module of the process that captions


def parse_size(text: str, option: str) -> int:
    """Bytes of a size such as ``500M`` or ``4G``.  Raises UserError naming ``option`` for anything else.

    >>> parse_size("1.5k", "--max-size")
    1536
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    size = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if size < 1:
        raise UserError(f"{option} {text}: expected a size such as 500M or 4G")
    return size
