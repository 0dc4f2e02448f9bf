"""Caption video files into a folder; what is there, made the same way, is skipped."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hicm.errors import UserError
from hicm.exports import OWN, check_formats, path_of, write_all
from hicm.exports.json import read
from hicm.files import read_json
from hicm.stages.each_video import Summary, each_video
from hicm.stages.video_captioner import VideoCaptioner

FORMATS = ("json", "srt", "vtt", "txt", "html")


def caption_files(videos: Sequence[Path], captioner: VideoCaptioner, out: Path, formats: Sequence[str] = FORMATS,
                  overwrite: bool = False) -> Summary:
    """Write ``out/<name of the video>.<format>`` for every video; ``json`` is always written.

    A format that is new is written from the ``.json`` that is there.  A video that cannot be captioned, or not written
    in one of the formats, is recorded in ``out/failed.jsonl``, and the others go on.  Raises UserError for an unknown
    format.
    """
    check_formats(formats)
    names = list(dict.fromkeys([*formats, OWN]))

    def work(video: Path) -> bool:
        kept = path_of(video.stem, out, OWN)
        if overwrite or not _is_there(kept, captioner, video):
            write_all(captioner.caption(video), out, names)
            return True
        missing = [name for name in names if not path_of(video.stem, out, name).exists()]
        if missing:
            write_all(replace(read(kept), source=str(video)), out, missing)
        return bool(missing)

    return each_video(videos, work, out, "captioned")


def _is_there(path: Path, captioner: VideoCaptioner, video: Path) -> bool:
    """Whether captions made the same way are there; UserError when they were made in another way."""
    if not path.exists():
        return False
    content = read_json(path, "captions")
    made_by = content.get("made_by") if isinstance(content, dict) else None
    other = captioner.origin(video).differences(made_by.get("decided_by") if isinstance(made_by, dict) else None)
    if other:
        raise UserError(f"{path}: holds other captions ({'; '.join(other)}); choose another --out, or replace "
                        "them with --overwrite")
    return True
