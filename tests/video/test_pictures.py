"""Single frames of a video, and windows that overlap."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from hicm.errors import UserError
from hicm.types import Span
from hicm.video.pictures import frame_at, small_jpeg
from hicm.video.windows import around, overlapping
from tests.video.videos import number_of, write_video


@pytest.mark.parametrize("options", [{}, {"g": "3"}, {"bf": "2"}])
def test_the_frame_on_screen_at_a_time(tmp_path, options):
    video = write_video(tmp_path / "v.mp4", [float(second) for second in range(12)], 12.0, **options)
    for seconds in (0, 0.5, 3.0, 7.25, 11.9):
        assert number_of(frame_at(video, seconds)) == int(seconds)
    assert number_of(frame_at(video, 100.0)) == 0, "there is none"


def test_no_video(tmp_path):
    (tmp_path / "v.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"v\.mp4"):
        frame_at(tmp_path / "v.mp4", 1.0)


def test_a_small_picture(tmp_path):
    picture = np.zeros((1080, 1920, 3), np.uint8)
    picture[:] = [200, 40, 40]
    image = Image.open(io.BytesIO(small_jpeg(picture)))
    assert image.size == (320, 180) and image.format == "JPEG"
    assert np.abs(np.asarray(image, int) - picture[0, 0]).max() < 10
    assert Image.open(io.BytesIO(small_jpeg(picture[:100, :50]))).size == (50, 100)


@pytest.mark.parametrize("duration, longest", [(100, 30), (100, 99.5), (31, 30), (3600, 47.3), (30, 30), (7, 30)])
def test_windows_that_overlap_by_half(duration, longest):
    spans = overlapping(duration, longest)
    assert (spans[0].start, spans[-1].end) == (0, pytest.approx(duration))
    assert {round(span.end - span.start, 6) for span in spans} == {min(duration, longest)}
    assert all(one.end - after.start >= longest / 2 - 1e-6 for one, after in itertools.pairwise(spans))
    rng = np.random.default_rng(0)
    for start in rng.uniform(0, max(0.0, duration - longest / 2), 50):
        moment = Span(start, start + min(longest, duration) / 2 - 1e-6)
        assert any(span.start <= moment.start and moment.end <= span.end for span in spans)


@pytest.mark.parametrize("span", [Span(0, 5), Span(40, 60), Span(95, 100), Span(10, 80), Span(0, 100)])
def test_a_moment_with_what_is_around_it(span):
    window = around(span, 100.0, 30.0)
    assert window.start >= 0 and window.end <= 100
    assert window.start <= span.start and span.end <= window.end
    assert window.end - window.start == pytest.approx(max(30.0, span.end - span.start))
