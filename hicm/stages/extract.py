"""Frame features and transcripts of video files, in the formats that ``data.features`` and ``data.speech`` read."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from hicm.data.ids import refuse_unusable_id
from hicm.encoders import ImageEncoder
from hicm.errors import UserError, during, printable
from hicm.executors import Executor, Work, build, in_process
from hicm.files import read_json, write_json
from hicm.new_hdf5 import new_hdf5
from hicm.progress import progress_line
from hicm.recognisers import Recogniser
from hicm.stages.each_video import Summary, each_video
from hicm.video.features import kept_features, video_features
from hicm.video.identity import content_digest
from hicm.video.speech import video_speech


def extract_features(videos: Sequence[Path], encoder: ImageEncoder | partial[ImageEncoder], out: Path, cache: Path,
                     step: float = 1.0, write: bool = True, executor: Executor = in_process) -> Summary:
    """One HDF5 file: float16 [T, D] per video, with attributes that say how it was made.

    Finished videos are kept in ``cache``, so an interrupted call continues, and several calls (shards) may share the
    work: ``write`` False stops there, and a call over all videos writes the file.  A video that cannot be read is
    recorded in ``<out>.failed.jsonl`` and left out.  Raises UserError when ``out`` holds other videos or features.

    ``encoder``: a partial if it is to be built in the workers of ``executor``.
    """
    if write and out.exists():
        _refuse_others(out, {video.stem for video in videos}, build(encoder).name, step)
    summary = each_video(videos, partial(_load_encoder, encoder, cache, step), out if write else cache, "extracted",
                         out.with_name(f"{out.name}.failed.jsonl"), executor)
    if write and summary.results:
        if out.exists():
            _refuse_loss(out, summary.results)
        _write_store(out, summary.results, cache, step)
    return summary


def _load_encoder(encoder: ImageEncoder | partial[ImageEncoder], cache: Path, step: float) -> Work:
    encoder = build(encoder)

    def work(video: Path) -> tuple[str, str]:
        """Cache the features; returns their key: the digest of the video's content, and the encoder's name."""
        with during("files"):
            refuse_unusable_id(video.stem, str(video))
        with during("frames"), progress_line(printable(video.name)) as progress:
            video_features(video, encoder, cache, step, progress)
            return content_digest(video), encoder.name

    return work


def _refuse_others(out: Path, names: set[str], encoder: str, step: float) -> None:
    """UserError unless all that ``out`` holds would be written again: the same videos, or fewer, made the same way."""
    import h5py

    try:
        with h5py.File(out, "r", locking=False) as file:
            there = {name: (item.attrs.get("encoder"), item.attrs.get("seconds_per_row"))
                     for name, item in file.items()}
    except OSError as error:
        raise UserError(f"{out}: exists and holds no features; choose another --out") from error
    other = sorted(name for name, made_by in there.items() if made_by != (encoder, step))
    if other:
        raise UserError(f"{out}: the features of {other[0]} were not made by {encoder} at {step:g} seconds per row; "
                        "choose another --out, or remove it")
    lost = sorted(set(there) - names)
    if lost:
        raise UserError(f"{out}: also holds {lost[0]}, which is not among the videos; name all videos, or choose "
                        "another --out")


def _refuse_loss(out: Path, made_of: Mapping[Path, tuple[str, str]]) -> None:
    """UserError when ``out`` holds features that cannot be made again: of a video that failed, or of another file."""
    import h5py

    contents = {video.stem: (content, video) for video, (content, _) in made_of.items()}
    with h5py.File(out, "r", locking=False) as file:
        there = {name: item.attrs.get("source_sha256") for name, item in file.items()}
    for name, content in there.items():
        if name not in contents:
            raise UserError(f"{out}: not changed: it holds {name}, which cannot be read any more; get that video "
                            "again, or choose another --out")
        if content != contents[name][0]:
            raise UserError(f"{out}: the features of {name} are those of another file than {contents[name][1]}; "
                            "choose another --out, or remove it")


def _write_store(out: Path, made_of: Mapping[Path, tuple[str, str]], cache: Path, step: float) -> None:
    """Write the cached features of all videos; ``made_of``: content digest and encoder of each."""
    with new_hdf5(out) as (file, check):
        for video, (content, encoder) in made_of.items():
            features = kept_features(video, content, encoder, cache, step)
            item = file.create_dataset(video.stem, data=features.rows)
            item.attrs.update({"encoder": encoder, "seconds_per_row": features.step, "duration": features.duration,
                               "source": printable(video.name), "source_sha256": content}
                              | ({"weights_sha256": features.weights} if features.weights else {}))
            check()


def extract_speech(videos: Sequence[Path], recogniser: Recogniser | partial[Recogniser], out: Path, cache: Path,
                   executor: Executor = in_process) -> Summary:
    """``out/<name of the video>.json`` with the segments of every video, as ``data.speech`` reads them.

    Transcripts of the same recogniser are skipped.  A video that cannot be read is recorded in ``out/failed.jsonl``.
    Raises UserError when a transcript of another recogniser exists.

    ``recogniser``: a partial if it is to be built in the workers of ``executor``.
    """
    return each_video(videos, partial(_load_recogniser, recogniser, out, cache), out, "transcribed", executor=executor)


def _load_recogniser(recogniser: Recogniser | partial[Recogniser], out: Path, cache: Path) -> Work:
    recogniser = build(recogniser)

    def work(video: Path) -> bool:
        path = out / f"{video.stem}.json"
        with during("files"):
            if _transcribed(path, recogniser.name):
                return False
        with during("speech"), progress_line(printable(video.name)) as progress:
            found = video_speech(video, recogniser, cache, progress)
        write_json(path, found)
        return True

    return work


def _transcribed(path: Path, recogniser: str) -> bool:
    """Whether the transcript is there.  Raises UserError when it is one of another recogniser."""
    if not path.exists():
        return False
    found = read_json(path, "speech")
    there = found.get("recogniser") if isinstance(found, dict) else None
    if there != recogniser:
        raise UserError(f"{path}: was not made by {recogniser} but by {there or 'something else'}; choose another "
                        "--out, or remove it")
    return True
