"""Watch and correct captions, and write them in other formats."""

from collections.abc import Sequence
from typing import Annotated

Overwrite = Annotated[bool, "replace files with other content"]


def view(predictions: Annotated[Sequence[str], "what hicm caption or hicm predict wrote, run folders, or predictions "
                                               "in any known format; .srt and .vtt too; several are compared"], *,
         video: Annotated[str, "video file, or folder of them; default: where the captions say"] = "",
         reference: Annotated[Sequence[str], "annotation files, one per annotator; default: those of a run"] = (),
         out: Annotated[str, "page to write; default: beside the predictions"] = "",
         videos: Annotated[Sequence[str], "ids of the videos to show; default: the first 50"] = (),
         split: Annotated[str, "split of a run folder; default: data.report of the run"] = "",
         format_: Annotated[str, "format of prediction files of other programs, e.g. timechat; default: told by the "
                                 "content"] = "",
         overwrite: Overwrite = False) -> str:
    """Write a page to watch and correct captions.

    It plays the videos beside a time line of events, and needs no network.  Corrections are exported from the page.
    """
    from hicm.stages.view import view
    from hicm.verbs.common import model_path

    return view([model_path(one) for one in predictions], video, reference, out, videos, split, format_,
                overwrite)


def export(files: Annotated[Sequence[str], "captions as hicm caption or its viewer writes them, .json"], *,
           format_: Annotated[Sequence[str], "formats, as hicm caption has them; default: srt vtt txt html"] = (),
           out: Annotated[str, "folder to write to; default: that of each file"] = "",
           overwrite: Overwrite = False) -> str:
    """Write captions in other formats.

    After they were corrected in the viewer, say.  A video is named by the file's content, not by its name.
    """
    from hicm.stages.export import export_files

    return export_files(files, format_, out, overwrite)
