"""Watch and correct captions, and write them in other formats."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from hicm.stages.export import Exported

Overwrite = Annotated[bool, "replace files with other content"]


def view(predictions: Annotated[Sequence[str], "output of hicm caption or hicm predict, run folders, or predictions "
                                               "in any known format, also .srt and .vtt; several are compared"], *,
         video: Annotated[str, "video file, or folder of them; default: where the captions say"] = "",
         reference: Annotated[Sequence[str], "annotation files, one per annotator; default: those of a run"] = (),
         out: Annotated[str, "page to write; default: beside the predictions"] = "",
         videos: Annotated[Sequence[str], "ids of the videos to show; default: the first 50"] = (),
         split: Annotated[str, "split of a run folder; default: data.report of the run"] = "",
         format_: Annotated[str, "format of prediction files of other programs, e.g. timechat; default: detected "
                                 "from the content"] = "",
         overwrite: Overwrite = False) -> str:
    """Write a page to watch and correct captions.

    It plays the videos beside a timeline of events, and needs no network.  Corrections are exported from the page.
    """
    from hicm.stages.view import view
    from hicm.verbs.common import model_path

    return view([model_path(one) for one in predictions], video, reference, out, videos, split, format_,
                overwrite)


def export(files: Annotated[Sequence[str], "captions as hicm caption or its viewer writes them, .json"], *,
           format_: Annotated[Sequence[str], "formats, as hicm caption has them; default: srt vtt txt html"] = (),
           out: Annotated[str, "folder to write to; default: that of each file"] = "",
           overwrite: Overwrite = False) -> "Exported":
    """Write captions in other formats.

    For instance after correcting them in the viewer.  The files are named by the video in the captions, not by FILE.
    Formats that cannot hold the events are named with the reason, and the others are written; the exit status is 1.
    """
    from hicm.stages.export import export_files

    return export_files(files, format_, out, overwrite)
