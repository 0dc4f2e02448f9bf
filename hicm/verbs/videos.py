"""Video files: caption them, or make features and transcripts of them."""

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

from hicm.errors import UserError
from hicm.outputs import output_file, output_folder
from hicm.verbs.common import Overrides, model_path

if TYPE_CHECKING:
    from hicm.stages.each_video import Summary

Videos = Annotated[Sequence[str], "video files, or folders of them"]
Cache = Annotated[str, "folder that caches features and transcripts of each video"]
Shard = Annotated[str, "i/n: only the i-th of n shares of the videos"]
Workers = Annotated[int, "workers that share the videos, each with its own copy of the models"]
Executor = Annotated[str, "where the workers run: processes (this machine) or ray (a Ray cluster)"]
Offline = Annotated[bool, "never contact the hub"]


def caption(videos: Videos, *,
            model: Annotated[str, "run folder or hub:owner/name; empty: quote the memory bank of --memory"] = "",
            memory: Annotated[str, "memory bank; default: that of the model"] = "",
            out: Annotated[str, "folder to write to"] = "captions",
            format_: Annotated[Sequence[str], "what to write, of: activitynet audacity csv edl elan fcpxml ffmetadata "
                                              "html json labelstudio matroska otio srt txt vtt vtt_chapters youtube; "
                                              "json is always written; default: json srt vtt txt html"] = (),
            encoder: Annotated[str, "image encoder; default: the one that belongs to the memory's text encoder"] = "",
            speech: Annotated[str, "recogniser such as whisper:base, or a file or folder of transcripts; default: "
                                   "whisper:small where the model was trained with speech"] = "",
            no_speech: Annotated[bool, "do not read speech"] = False,
            window: Annotated[float, "longest piece in seconds, longer videos are cut; 0: as the model says"] = 0.0,
            cache: Cache = "presave/videos", shard: Shard = "", workers: Workers = 1, executor: Executor = "processes",
            offline: Offline = False, set_: Overrides = (),
            overwrite: Annotated[bool, "replace captions made in another way, and files of other "
                                       "programs"] = False) -> "Summary":
    """Caption your own videos.

    Videos that are captioned already are skipped; one that cannot be read is recorded in failed.jsonl, and the others
    continue.  Files that you have corrected are kept.
    """
    from hicm.executors import find_executor
    from hicm.exports import check_formats
    from hicm.stages.caption import FORMATS, caption_files
    from hicm.stages.each_video import find_videos
    from hicm.stages.video_captioner import NONE, VideoCaptioner

    check_window(window)
    if no_speech and speech not in ("", NONE):
        raise UserError(f"--speech {speech}: contradicts --no-speech; give one of them")
    folder, kept = output_folder(out), output_folder(cache, "--cache")  # checked before a model is loaded
    files = find_videos(videos, shard)
    check_formats(tuple(format_))
    found = find_executor(executor, workers)
    captioner = partial(VideoCaptioner, model_path(model) if model else "", memory, encoder,
                        NONE if no_speech else speech, kept, window,
                        [*set_, *(["offline=true"] if offline else [])])
    return caption_files(files, captioner, folder, format_ or FORMATS, overwrite, found)


def check_window(window: float) -> None:
    """UserError unless a window is at least a second, or 0 for the model's own."""
    if not (window == 0 or 1 <= window < math.inf):
        raise UserError(f"--window {window:g}: expected 1 second or more, or 0")


def features(videos: Videos, *, out: Annotated[str, "HDF5 file to write"] = "features.h5",
             encoder: Annotated[str, "image encoder"] = "openclip:ViT-L-14/openai",
             step: Annotated[float, "seconds per row"] = 1.0, cache: Cache = "presave/videos", shard: Shard = "",
             workers: Workers = 1, executor: Executor = "processes", offline: Offline = False) -> "Summary":
    """Extract frame features of video files.

    For data.features.  Cached videos are not embedded again.  With --shard only the cache is filled; the same
    command without it then writes the file.
    """
    from hicm.encoders import make_image_encoder
    from hicm.executors import find_executor
    from hicm.stages.each_video import find_videos
    from hicm.stages.extract import extract_features

    if not 0.01 <= step <= 3600:
        raise UserError(f"--step {step:g}: expected 0.01 to 3600 seconds")
    file, kept = output_file(out), output_folder(cache, "--cache")
    files = find_videos(videos, shard)
    return extract_features(files, partial(make_image_encoder, encoder, offline), file, kept, step,
                            not shard, find_executor(executor, workers))


def speech(videos: Annotated[Sequence[str], "video or sound files, or folders of them"], *,
           out: Annotated[str, "folder to write to, a file per video"] = "speech",
           recogniser: Annotated[str, "what recognises speech: whisper:<size or folder> or "
                                      "transformers:<name or folder>"] = "whisper:small",
           cache: Cache = "presave/videos", shard: Shard = "", workers: Workers = 1,
           executor: Executor = "processes", offline: Offline = False) -> "Summary":
    """Transcribe the speech of video and sound files.

    For data.speech.  Videos that are transcribed already are skipped.
    """
    from hicm.executors import find_executor
    from hicm.recognisers import make_recogniser
    from hicm.stages.each_video import SOUND_SUFFIXES, SUFFIXES, find_videos
    from hicm.stages.extract import extract_speech

    folder, kept = output_folder(out), output_folder(cache, "--cache")
    files = find_videos(videos, shard, (*SUFFIXES, *SOUND_SUFFIXES))
    return extract_speech(files, partial(make_recogniser, recogniser, offline), folder, kept,
                          find_executor(executor, workers))
