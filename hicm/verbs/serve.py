"""The local server: videos in through a page or an HTTP API, captions out."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from hicm.errors import UserError
from hicm.verbs.common import Overrides, model_path
from hicm.verbs.videos import check_window


def serve(*, model: Annotated[str, "run folder or hub:owner/name; empty: quote the memory bank of --memory"] = "",
          memory: Annotated[str, "memory bank; default: that of the model"] = "",
          encoder: Annotated[str, "image encoder; default: the one that belongs to the memory's text encoder"] = "",
          speech: Annotated[str, "recogniser such as whisper:base; default: whisper:small where the model reads "
                                 "speech"] = "",
          no_speech: Annotated[bool, "do not read speech"] = False,
          window: Annotated[float, "longest piece in seconds, longer videos are cut; 0: as the model says"] = 0.0,
          cache: Annotated[str, "folder that keeps features and transcripts; default: with each job, and removed with "
                                "it"] = "",
          set_: Overrides = (),
          host: Annotated[str, "address to listen on; any but loopback lets other machines in"] = "127.0.0.1",
          port: Annotated[int, "port to listen on; 0: any that is free"] = 8710,
          token: Annotated[str, "secret required of every request; for an address that others can reach"] = "",
          data: Annotated[str, "folder of videos and jobs"] = "presave/server",
          max_size: Annotated[str, "largest video, such as 500M or 4G"] = "4G",
          keep_days: Annotated[float, "days after which an ended job is removed with its files; saved corrections "
                              "begin them anew"] = 7.0,
          open_: Annotated[bool, "open the page in the web browser"] = False) -> None:
    """Caption videos on a local page.

    Drop a video on the page, watch its progress, and open the captions; or use the HTTP API, which /docs describes.
    One video is captioned at a time; the others wait in a queue that survives a restart.
    """
    from hicm.server.run import serve as run
    from hicm.server.settings import Settings, parse_size

    check_window(window)
    if not 0 < keep_days <= 36500:
        raise UserError(f"--keep-days {keep_days:g}: expected more than 0, at most 36500")
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: expected 0 to 65535")
    if token and not re.fullmatch("[!-~]{8,200}", token):
        raise UserError("--token: expected 8 to 200 ASCII letters, digits and punctuation, no spaces")
    if speech and Path(speech).exists():
        raise UserError(f"--speech {speech}: transcript files cannot be matched to uploads; give a recogniser, or use "
                        "hicm caption")
    captioner = {"model": model_path(model) if model else "", "memory": memory, "encoder": encoder,
                 "speech": "none" if no_speech else speech, "cache": cache or data, "window": window,
                 "overrides": list(set_)}
    run(Settings(captioner, Path(data), host, port, token, parse_size(max_size, "--max-size"),
                 timedelta(days=keep_days), bool(cache)), open_)
