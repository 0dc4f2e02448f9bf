"""Caption video files into a folder; videos that have captions made in the same way are skipped."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hicm.errors import UserError, during, printable
from hicm.executors import Executor, Work, build, in_process
from hicm.exports import OWN, check_formats, path_of, write_all
from hicm.exports.json import read
from hicm.files import read_json
from hicm.progress import progress_line
from hicm.stages.each_video import Summary, each_video
from hicm.stages.video_captioner import VideoCaptioner

FORMATS = ("json", "srt", "vtt", "txt", "html")


def caption_files(videos: Sequence[Path], captioner: VideoCaptioner | partial[VideoCaptioner], out: Path,
                  formats: Sequence[str] = FORMATS, overwrite: bool = False,
                  executor: Executor = in_process) -> Summary:
    """Write ``out/<name of the video>.<format>`` for every video; ``json`` is always written.

    A format that is missing is written from the existing ``.json``; the other files, which may have been corrected,
    are not changed.  A file without a ``.json`` beside it is not ours and is replaced with ``overwrite`` only; a
    ``.json`` that holds no captions is never replaced.  A video that cannot be captioned, or not written in one of the
    formats, is recorded in ``out/failed.jsonl``, and the others continue.  Raises UserError for an unknown format.

    ``captioner``: a partial if it is to be built in the workers of ``executor``.
    """
    check_formats(formats)
    return each_video(videos, partial(_load, captioner, out, tuple(formats), overwrite), out, "captioned",
                      executor=executor)


def _load(captioner: VideoCaptioner | partial[VideoCaptioner], out: Path, formats: Sequence[str],
          overwrite: bool) -> Work:
    captioner = build(captioner)
    others = [name for name in dict.fromkeys(formats) if name != OWN]
    # The .json is written first, so that a killed call leaves no file without it; but last when files are replaced, as
    # the old one says until then that they were made in another way.
    names = [*others, OWN] if overwrite else [OWN, *others]

    @during("files")
    def work(video: Path) -> bool:
        paths = {name: path_of(video.stem, out, name) for name in names}
        there = _captions(paths[OWN])
        if there is None and not overwrite:
            _refuse_files(paths)
        if there is None or overwrite:
            with progress_line(printable(video.name)) as progress:
                captioned = captioner.caption(video, progress)
                progress("files", 0, len(names))
                write_all(captioned, out, names)
            return True
        _refuse_other_captions(paths[OWN], there, captioner, video)
        missing = [name for name in names if not os.path.lexists(paths[name])]
        if missing:
            write_all(replace(read(paths[OWN]), id=video.stem, source=str(video)), out, missing)
        return bool(missing)

    return work


def _captions(path: Path) -> dict[str, Any] | None:
    """The content of a file of captions; None if it does not exist.  Raises UserError for any other content."""
    if not path.exists():
        return None
    try:
        content = read_json(path, "captions")
    except UserError:
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("events"), list):
        raise UserError(f"{path}: exists and holds no captions; choose another --out, or remove it")
    return content


def _refuse_files(paths: dict[str, Path]) -> None:
    """UserError when one of them exists: hicm caption did not write it, as it writes the .json first."""
    for path in paths.values():
        if os.path.lexists(path):
            raise UserError(f"{path}: exists without {paths[OWN].name}, so hicm caption did not write it; choose "
                            "another --out, or replace it with --overwrite")


def _refuse_other_captions(path: Path, there: dict[str, Any], captioner: VideoCaptioner, video: Path) -> None:
    """UserError when the existing captions were made in another way."""
    made_by = there.get("made_by")
    other = captioner.origin(video).differences(made_by.get("decided_by") if isinstance(made_by, dict) else None)
    if other:
        raise UserError(f"{path}: holds other captions ({'; '.join(other)}); choose another --out, or replace "
                        "them with --overwrite")
