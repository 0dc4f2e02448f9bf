"""Find moments in video files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hicm.errors import UserError
from hicm.outputs import output_folder
from hicm.verbs.common import Json, Overrides, model_path
from hicm.verbs.videos import Cache, Offline, Videos, check_window

if TYPE_CHECKING:
    from hicm.stages.search import Describe, Search
    from hicm.stages.searchers import Searcher

PLAIN = "openclip:ViT-L-14/openai"  # the encoder where no run is given


def search(videos: Videos, question: Annotated[str, "a sentence that describes what to find"], *,
           model: Annotated[str, "run folder of the system moments, or hub:owner/name; empty: the encoder alone, a "
                                 "plain baseline"] = "",
           top: Annotated[int, "moments shown, of all videos together"] = 5,
           out: Annotated[str, "folder to write to"] = "search",
           caption: Annotated[str, "run folder of a captioner that describes the moments that are found"] = "",
           encoder: Annotated[str, "image encoder; default: that of the features of the model, or "
                                   f"{PLAIN} without one"] = "",
           caption_encoder: Annotated[str, "image encoder of the captioner; default: the one that belongs to its "
                                           "memory"] = "",
           speech: Annotated[str, "what the captioner hears: a recogniser, a file or folder of transcripts, or none; "
                                  "default: whisper:small where it was trained with speech"] = "",
           window: Annotated[float, "seconds searched at a time, longer videos in overlapping windows; 0: as "
                                    "long as nearly all training videos"] = 0.0,
           overlap: Annotated[float, "a moment that overlaps a better one of its video more than this (intersection "
                                     "over union) is left out"] = 0.5,
           cache: Cache = "presave/videos", offline: Offline = False, set_: Overrides = (),
           overwrite: Annotated[bool, "replace results of another search"] = False, json: Json = False) -> "Search":
    """Find the moments that a sentence describes in videos.

    The moments of all videos are ranked by score, and printed and written as json and as a page with pictures that
    link into the viewer.  Features are cached, so further questions are answered quickly.  A video that cannot be read
    is recorded in failed.jsonl, and the others are searched.
    """
    from hicm.stages.each_video import find_videos
    from hicm.stages.search import search_files, sentence_of

    check_window(window)
    if top < 1:
        raise UserError(f"--top {top}: expected 1 or more")
    if not 0 <= overlap <= 1:
        raise UserError(f"--overlap {overlap:g}: expected 0 to 1")
    question = sentence_of(question)
    if os.path.exists(question):  # False where a long one cannot be a path, which Path.exists() raises
        raise UserError(f"{question}: is a file or folder, expected the question; it comes after the videos, e.g. "
                        f"hicm search {question} \"a dog jumps into the water\"")
    folder, kept = output_folder(out), output_folder(cache, "--cache")  # checked before a model is loaded
    files = find_videos(videos)
    settings = [*set_, *(["offline=true"] if offline else [])]
    if not model and (window or set_):
        raise UserError("search: --window and --set are for a run; give one (--model), or leave them out")
    describe, about = _captioner(caption, caption_encoder, speech, kept, files, offline)
    return search_files(files, _searcher(model, encoder, kept, overlap, window, settings, offline), question, top,
                        folder, describe, about, overwrite, json)


def _searcher(model: str, encoder: str, cache: Path, overlap: float, window: float, settings: Sequence[str],
              offline: bool) -> "Searcher":
    from hicm.stages.searchers import PlainSearcher, RunSearcher

    if model:
        return RunSearcher(model_path(model), encoder, cache, overlap, window, settings)
    return PlainSearcher(encoder or PLAIN, cache, overlap, offline)


def _captioner(model: str, encoder: str, speech: str, cache: Path, videos: Sequence[Path],
               offline: bool) -> "tuple[Describe | None, dict[str, str]]":
    """What describes moments, if a captioner is given, and what decides how it does."""
    if not model:
        return None, {}
    from hicm.provenance import Origin
    from hicm.stages.video_captioner import VideoCaptioner

    found = VideoCaptioner(model_path(model), encoder=encoder, speech=speech, cache=cache,
                           overrides=["offline=true"] if offline else [])
    found.check_given()
    decided = Origin({}, {video.stem: found.origin(video).identity for video in videos})
    return found.caption_moments, {"captioner": decided.identity}
