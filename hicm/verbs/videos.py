"""Videos of one's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hicm.verbs.common import Overrides, model_path

if TYPE_CHECKING:
    from hicm.stages.caption import Summary


def caption(videos: Annotated[Sequence[str], "video files, or folders of them"], *,
            model: Annotated[str, "run folder or hub:owner/name; empty: quote the memory bank of --memory"] = "",
            memory: Annotated[str, "memory bank; default: that of the model"] = "",
            out: Annotated[str, "folder to write to"] = "captions",
            format_: Annotated[Sequence[str], "what to write, of: activitynet audacity csv edl elan fcpxml ffmetadata "
                                              "json labelstudio matroska otio srt txt vtt vtt_chapters youtube; json "
                                              "is always written; default: json srt vtt txt"] = (),
            encoder: Annotated[str, "image encoder; default: the one that belongs to the memory's text encoder"] = "",
            cache: Annotated[str, "folder that keeps frame features"] = "presave/videos",
            set_: Overrides = (),
            overwrite: Annotated[bool, "replace captions made with another model or memory"] = False) -> "Summary":
    """Caption your own videos.

    Videos that are captioned already are skipped; one that cannot be read is recorded in failed.jsonl, and the others
    go on.
    """
    from hicm.exports import check_formats
    from hicm.stages.caption import FORMATS, VideoCaptioner, caption_files, find_videos

    find_videos(videos)  # what is wrong is said before a model is loaded
    check_formats(format_)
    captioner = VideoCaptioner(model_path(model) if model else "", memory, encoder, cache, set_)
    formats = dict.fromkeys([*(format_ or FORMATS), "json"])
    return caption_files(videos, captioner, Path(out), tuple(formats), overwrite)
