"""A worker whose captioner needs no models: what it does with a video is written at the end of the file."""

import os
import signal
import sys
import time
import types
from pathlib import Path

from hicm.errors import UserError
from hicm.exports import Captioned
from hicm.types import Event, Span

MARK = 16  # bytes at the end of a video


def marked(video: bytes, what: str) -> bytes:
    """A video that ``what`` is to happen to, in an atom that decoders pass over."""
    return video + (8 + MARK).to_bytes(4, "big") + b"free" + what.encode().ljust(MARK, b"\0")


class VideoCaptioner:
    def __init__(self, **options) -> None:
        if options["model"]:
            raise UserError(f"{options['model']}: run not found; give a run folder")
        self.cache = None

    def caption(self, video, progress):
        path = Path(video)
        what = path.read_bytes()[-MARK:].rstrip(b"\0").decode("ascii", "ignore")
        self.cache.mkdir(exist_ok=True)
        (self.cache / "features").write_text("kept")
        progress("frames", 1.0, 2.0)
        if what == "wait":
            time.sleep(60)
        if what.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, what))
        if what == "bug":
            raise ZeroDivisionError("division by zero")
        if what == "disk":
            raise UserError(f"{path}: cannot be written (No space left on device); free space or choose another output "
                            "folder")
        if what == "slow":
            time.sleep(0.5)
        progress("captions", 1, 1)
        return Captioned("video", str(path), 2.0, (Event(Span(0.0, 1.0), f"seen by {os.getpid()}"),
                                                   Event(Span(1.0, 2.0), "<b>salt & pepper</b>")))


if __name__ == "__main__":
    sys.modules["hicm.stages.video_captioner"] = fake = types.ModuleType("hicm.stages.video_captioner")
    fake.VideoCaptioner = VideoCaptioner

    from hicm.server.worker import main

    sys.exit(main())
