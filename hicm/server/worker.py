"""The process that holds the models and captions one video after the other.

JSON lines.  In: the arguments of `VideoCaptioner`, then {"video", "name", "out", "cache"} for each job.  Out: {"ready"}
or {"refused"}; then for each job {"stage", "done", "total"} as it progresses, and at its end {"finished", "warnings"},
the number of events, or {"failed"}, the reason.  The process ends when its input ends, and after an unexpected error,
which may have left the models unusable ("broken").
"""

import json
import os
import queue
import sys
import threading
import time
import traceback
import warnings
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TextIO

from hicm.errors import UserError, reason

if TYPE_CHECKING:
    from hicm.stages.video_captioner import VideoCaptioner

OFTEN = 0.2  # seconds between two reports of one stage


class Reports:
    """Writes reports to the server; it is also a `hicm.progress.Progress`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage, self._time = "", 0.0

    def send(self, **report: Any) -> None:
        self._stream.write(json.dumps(report) + "\n")
        self._stream.flush()

    def begin(self) -> None:
        """Another job: its first stage is reported, even if the one before just ended in the same."""
        self._stage = ""

    def __call__(self, stage: str, done: float, total: float) -> None:
        if stage != self._stage or time.monotonic() - self._time >= OFTEN:
            self._stage, self._time = stage, time.monotonic()
            self.send(stage=stage, done=done, total=total)


def main() -> int:
    """Serve requests from standard input until it ends."""
    reports = Reports(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # keeps what libraries print out of the reports
    warnings.formatwarning = lambda message, *_, **__: f"hicm: warning: {message}\n"
    requests = _requests(sys.stdin)
    options = requests.get()
    try:
        from hicm.stages.video_captioner import VideoCaptioner

        captioner = VideoCaptioner(**options)
    except UserError as error:
        reports.send(refused=str(error))
        return 0
    except ModuleNotFoundError as error:
        reports.send(refused=f"the package {error.name} is not installed; pip install 'hicm[all]'")
        return 0
    reports.send(ready=True)
    while True:
        request = requests.get()
        try:
            reports.send(**_caption(captioner, request, reports))
        except UserError as error:
            reports.send(failed=str(error).replace(request["video"], request["name"]))
        except Exception as error:
            traceback.print_exc()
            reports.send(failed=f"an error in hicm ({type(error).__name__}: {reason(error)}); the server's output has "
                                "more", broken=True)
            return 1


def _requests(stream: TextIO) -> "queue.SimpleQueue[dict[str, Any]]":
    """The requests as they arrive; when the server has gone, the process exits, even in the middle of a job."""
    found: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def read() -> None:
        for line in stream:
            found.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return found


def _caption(captioner: "VideoCaptioner", request: dict[str, Any], progress: Reports) -> dict[str, Any]:
    """Caption one video under the name of the uploaded file; returns the last report."""
    from hicm.exports import OWN, text_of
    from hicm.files import write_text

    video, name = request["video"], request["name"]
    captioner.cache = Path(request["cache"])
    progress.begin()
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        found = captioner.caption(video, progress)
    said = [str(one.message).replace(video, name) for one in noted if str(one.message).startswith(video)]
    progress("writing", 0, 1)
    named = replace(found, id=PurePosixPath(name).stem or name, source=name)
    write_text(Path(request["out"]), text_of(named, Path(), OWN))
    return {"finished": len(found.events), "warnings": list(dict.fromkeys(said))}


if __name__ == "__main__":
    sys.exit(main())
