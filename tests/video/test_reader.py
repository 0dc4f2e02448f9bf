"""Frames by time: which frame is on screen, how long a video lasts, which way is up, what is refused."""

import bisect
import math
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hicm.errors import UserError
from hicm.video.reader import VideoReader
from tests.video.videos import number_of, write_video

REAL = Path(__file__).resolve().parents[3] / "shared" / "real" / "videos"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the real videos of the shared folder")


def read(path: Path, step: float = 1.0) -> tuple[list[int], list[float], float]:
    """Numbers and times of the frames, and the duration."""
    with VideoReader(path) as video:
        frames = list(video.frames(step))
        return [number_of(frame.rgb) for frame in frames], [frame.time for frame in frames], video.duration


def shown_at(times: list[float], seconds: float) -> int:
    """Which of the frames that appear at ``times`` is on screen."""
    return max(bisect.bisect_right(times, seconds + 1e-9) - 1, 0)


@pytest.mark.parametrize("rate", [1, 2, 10, 25])
def test_constant_rate(tmp_path, rate):
    times = [number / rate for number in range(8 * rate)]
    numbers, found, duration = read(write_video(tmp_path / "a.mp4", times, 8.0))
    assert numbers == [second * rate for second in range(8)]
    assert found == pytest.approx(range(8), abs=1e-3)
    assert duration == pytest.approx(8.0, abs=0.05)


@settings(max_examples=15, deadline=None)
@example(gaps=[0.04, 0.5, 0.04, 0.04, 0.1, 0.04, 0.04, 0.04], step=0.25, keys="3", bidirectional=True)
@given(gaps=st.lists(st.sampled_from([0.04, 0.1, 0.5, 1.0, 3.7]), min_size=1, max_size=40),
       step=st.sampled_from([0.25, 1.0, 2.5]), keys=st.sampled_from(["1", "3", "250"]), bidirectional=st.booleans())
def test_variable_rate(tmp_path_factory, gaps, step, keys, bidirectional):
    """The frame on screen at k * step is returned, whatever the gaps, the keyframes and the order of coding.

    MP4 stores the durations of frames in the order of coding, so that where the orders differ, that of the last one is
    lost, or even the last frame: no decoder returns it.
    """
    times = np.cumsum([0.0, *gaps]).round(3).tolist()
    path = write_video(tmp_path_factory.mktemp("video") / "a.mp4", times[:-1], times[-1], g=keys,
                       bf="3" if bidirectional else "0")
    numbers, found, duration = read(path, step)
    with av.open(str(path)) as container:
        stored = sum(1 for _ in container.decode(video=0))
    assert stored == len(gaps) or (bidirectional and stored == len(gaps) - 1)
    expected = [shown_at(times[:stored], second * step) for second in range(len(numbers))]
    assert numbers == expected
    assert found == pytest.approx([times[number] for number in expected], abs=2e-3)
    assert len(numbers) == math.ceil(round(duration / step, 3))
    assert bidirectional or duration == pytest.approx(times[-1], abs=0.01)


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_upright(tmp_path, rotation):
    """What a player shows: the file's picture turned by its rotation, counter-clockwise."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 250  # top left
    path = write_video(tmp_path / "a.mp4", [0.0], 0.1, rotation=rotation, picture=picture)
    with VideoReader(path) as video:
        [frame] = video.frames()
    assert np.abs(frame.rgb.astype(int) - np.rot90(picture, rotation // 90).astype(int)).mean() < 5


def test_a_late_start_and_a_short_video(tmp_path):
    numbers, _, duration = read(write_video(tmp_path / "a.mp4", [0.0], 0.04))
    assert (numbers, duration) == ([0], pytest.approx(0.04, abs=0.01))


def test_half_of_a_file_is_refused_most_of_it_is_read(tmp_path):
    """WebM keeps no index that would be lost with the end of the file."""
    times = [number / 10 for number in range(200)]
    data = write_video(tmp_path / "a.webm", times, 20.0, codec="libvpx", g="10").read_bytes()
    for share, name in ((0.3, "little.webm"), (0.9, "most.webm")):
        (tmp_path / name).write_bytes(data[:int(len(data) * share)])
    with pytest.raises(UserError, match=r"little\.webm: only [\d.]+ of 20\.\d seconds can be decoded"):
        read(tmp_path / "little.webm")
    numbers, _, duration = read(tmp_path / "most.webm")
    assert 15 < duration < 19 and len(numbers) == pytest.approx(duration, abs=1)


@pytest.mark.parametrize("content", [b"", b"not a video\n" * 50, b"\0" * 5000, b"RIFF\x24\0\0\0WAVEfmt "])
def test_no_video(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.mp4: (expected a video file, found an empty|cannot be read as a video)"):
        VideoReader(tmp_path / "a.mp4")


def test_only_sound(tmp_path):
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(UserError, match=r"a\.wav: has no video track, only sound"):
        VideoReader(tmp_path / "a.wav")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UserError, match="video not found"):
        VideoReader(tmp_path / "none.mp4")
    with pytest.raises(UserError, match="found a folder"):
        VideoReader(tmp_path)


@pytest.mark.slow
@needs_real
@pytest.mark.parametrize("name", sorted(str(path.relative_to(REAL)) for path in REAL.rglob("*") if REAL.is_dir()
                                        and path.suffix in (".mp4", ".mkv", ".mov", ".webm")
                                        and "multiple-aac" not in path.name and "corrupted" not in path.name))
def test_real_videos(name):
    """Equal to choosing among all frames, decoded one after the other."""
    with av.open(str(REAL / name)) as container:
        stream = container.streams.best("video")
        stream.thread_type = "AUTO"
        start = (container.start_time or 0) / 1e6
        times = [frame.time - start for frame in container.decode(stream)]
    with VideoReader(REAL / name) as video:
        found = [frame.time for frame in video.frames()]
        assert abs(video.duration - len(found)) <= 1 and video.duration >= times[-1]
    assert found == pytest.approx([times[shown_at(times, second)] for second in range(len(found))], abs=1e-6)


@needs_real
def test_real_rotations_show_the_same_scene():
    pictures = []
    for turn in (0, 90, 180, 270):
        with VideoReader(REAL / "odd" / f"decord_video_{turn}.mov") as video:
            pictures.append(next(iter(video.frames())).rgb)
    assert [picture.shape for picture in pictures] == [(320, 568, 3), (568, 320, 3), (320, 568, 3), (568, 320, 3)]
