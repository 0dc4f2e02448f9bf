"""Annotations from files of other programs."""

from collections.abc import Sequence
from typing import Annotated

from hicm.verbs.common import Overwrite

Out = Annotated[str, "annotation file to write"]
Durations = Annotated[str, "csv file with columns video and duration, json file {id: seconds}, or a folder that hicm "
                           "caption wrote"]
Videos = Annotated[str, "folder of the video files, whose durations are read"]


def data_from_subtitles(files: Annotated[Sequence[str], "subtitles, .srt or .vtt, one file per video"], *,
                        out: Out = "annotations.json", durations: Durations = "", videos: Videos = "",
                        overwrite: Overwrite = False) -> str:
    """Write annotations from subtitles.

    An event per cue.  A video is named by its file; talk.en.srt is of the video talk if that one is known.
    """
    return _import("subtitles", files, out, durations, videos, overwrite)


def data_from_label_studio(files: Annotated[Sequence[str], "exports of Label Studio, as JSON"], *,
                           out: Out = "annotations.json", durations: Durations = "", videos: Videos = "",
                           overwrite: Overwrite = False) -> str:
    """Write annotations from exports of Label Studio.

    An event per region of a timeline, with the text of the region.  Every task needs data.fps, the frame rate.
    """
    return _import("label_studio", files, out, durations, videos, overwrite)


def data_from_elan(files: Annotated[Sequence[str], "annotation files of ELAN, .eaf, one per video"], *,
                   out: Out = "annotations.json", durations: Durations = "", videos: Videos = "",
                   overwrite: Overwrite = False) -> str:
    """Write annotations from files of ELAN.

    An event per annotation with times, of all tiers.  A video is named by its file.
    """
    return _import("elan", files, out, durations, videos, overwrite)


def data_from_csv(files: Annotated[Sequence[str], "tables with columns start, end, sentence, and video for several "
                                                  "videos in one"], *,
                  out: Out = "annotations.json", durations: Durations = "", videos: Videos = "",
                  overwrite: Overwrite = False) -> str:
    """Write annotations from tables.

    A line per event, in seconds, as hicm caption --format csv writes them.  A column duration is read too.
    """
    return _import("csv", files, out, durations, videos, overwrite)


def _import(form: str, files: Sequence[str], out: str, durations: str, videos: str, overwrite: bool) -> str:
    from hicm.stages.import_annotations import import_files

    return import_files(form, files, out, durations, videos, overwrite)
