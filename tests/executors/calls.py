"""Calls of stages with an executor; apart from `work`, which workers import as well."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hicm.executors import Executor, find_executor
from hicm.interrupts import Interrupted, handled
from hicm.stages.each_video import Summary, each_video
from hicm.stages.extract import extract_speech
from tests.executors import work


def make(kind: str, files: Sequence[Path], out: Path, cache: Path, bank: Path, executor: Executor) -> Summary:
    """Transcripts, or captions with the recall system."""
    if kind == "transcripts":
        return extract_speech(files, partial(work.Ears), out, cache, executor)
    from hicm.stages.caption import caption_files  # imports torch
    from hicm.stages.video_captioner import VideoCaptioner

    captioner = partial(VideoCaptioner, memory=str(bank), cache=str(cache),
                        overrides=["recall.threshold=-1", "recall.penalty=0.5"])
    return caption_files(files, captioner, out, executor=executor)


if __name__ == "__main__":  # work in two workers, to be interrupted
    folder, executor, *names = sys.argv[1:]
    try:
        with handled():
            each_video(work.videos(*names), partial(work.load, Path(folder)), Path(folder), "worked",
                       executor=find_executor(executor, 2))
    except Interrupted as interrupted:
        sys.exit(128 + interrupted.number)
