"""Look at one uploaded file: ``python -m hicm.server.probe FILE`` prints {"duration", "media_type"} or {"error"}.

A process of its own, because a damaged file can crash the decoder.  FFmpeg is restricted to containers: a playlist
would make it open other files and addresses.
"""

import json
import sys
from pathlib import Path

from hicm.errors import UserError
from hicm.video.reader import VideoReader

# FFmpeg's name of each accepted container -> media type
CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2": "video/mp4", "matroska,webm": "video/webm", "avi": "video/x-msvideo",
              "mpeg": "video/mpeg", "mpegts": "video/mp2t", "asf": "video/x-ms-asf", "flv": "video/x-flv",
              "ogg": "video/ogg", "mxf": "application/mxf"}


def probe(path: Path) -> dict[str, object]:
    """Length in seconds, if the file states it, and media type; the first picture is decoded.

    Raises UserError when the file is not a video, or in a container that is not accepted.
    """
    import av

    try:
        with av.open(str(path), options={"format_whitelist": ",".join(CONTAINERS)}) as container:
            media_type = CONTAINERS[container.format.name]
    except (av.error.FFmpegError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a video, or incomplete; expected MP4, MOV, MKV, WebM, AVI, MPEG, WMV, FLV, OGV "
                        "or MXF") from error
    with VideoReader(path) as video:
        next(video.frames())
        return {"duration": video.stated_duration, "media_type": media_type}


def main(path: Path) -> None:
    """Print what `probe` finds, as JSON."""
    try:
        found = probe(path)
    except UserError as error:
        found = {"error": str(error)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
