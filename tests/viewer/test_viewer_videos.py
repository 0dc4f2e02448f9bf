"""The viewer in a browser on real videos: what plays, what does not, and the captions that go with it."""

from pathlib import Path
from urllib.parse import quote

import pytest

from hicm.viewer.page import render
from tests.viewer.browser import choose, seconds, until
from tests.viewer.views import event, lane, several, view

pytestmark = pytest.mark.browser

TEXT = ".editor textarea"


def test_a_real_video_plays_and_its_captions_follow(jump):
    assert jump.evaluate("document.querySelector('video').videoWidth") > 0
    jump.keyboard.press("Space")
    until(jump, "document.querySelector('video').currentTime > 0.6")
    jump.keyboard.press("Space")
    assert jump.evaluate("document.querySelector('video').paused")
    assert "A woman jumps." in jump.locator(".captions").inner_text()
    for key, place in [("ArrowRight", 5.0), ("ArrowLeft", -5.0)]:
        before = seconds(jump)
        jump.keyboard.press(key)
        assert seconds(jump) == pytest.approx(max(before + place, 0), abs=0.02)
    jump.keyboard.press("]")
    assert seconds(jump) == 1.0 and jump.locator(TEXT).input_value() == "She gets ready"
    jump.keyboard.press("]")
    assert seconds(jump) == 6.0
    until(jump, "Math.abs(document.querySelector('video').currentTime - 6) < 0.01")
    jump.keyboard.press("[")
    assert seconds(jump) == 1.0
    jump.keyboard.press("Shift+ArrowRight")
    assert seconds(jump) == pytest.approx(1.04, abs=0.005)
    assert jump.locator(".captions .line").first.locator("p").all_inner_texts() == ["A long jump", "She gets ready"]


def test_space_plays_the_event_that_was_clicked(jump):
    choose(jump, "She runs and jumps")
    jump.keyboard.press("Space")
    until(jump, "document.querySelector('video').currentTime > 6.4")
    jump.keyboard.press("Space")
    assert jump.evaluate("document.querySelector('video').paused")
    jump.keyboard.press("ArrowDown")
    jump.keyboard.press("Space")
    assert jump.locator(TEXT).input_value() == "She lands in the sand", "another event is chosen first"


def test_a_page_opens_at_the_time_of_its_address(jump):
    jump.goto(jump.url + "#t=12.5")
    jump.reload()
    until(jump, "document.querySelector('video').readyState >= 2")
    until(jump, "Math.abs(document.querySelector('video').currentTime - 12.5) < 0.05")
    assert seconds(jump) == 12.5


def test_an_event_is_looped(jump):
    choose(jump, "here she comes")
    jump.get_by_label("Speed").select_option("4")
    jump.keyboard.press("Escape")
    jump.keyboard.press("l")
    jump.evaluate("""() => {
        const video = document.querySelector('video');
        window.most = 0;
        window.back = 0;
        video.addEventListener('seeking', () => window.back++);
        video.addEventListener('timeupdate', () => window.most = Math.max(window.most, video.currentTime));
    }""")
    jump.keyboard.press("Space")
    until(jump, "window.back >= 2")
    assert jump.evaluate("window.most") < 5.8, "it never goes far beyond the end of the event"
    jump.keyboard.press("l")
    until(jump, "document.querySelector('video').currentTime > 6")


def test_the_caption_after_a_seek_is_shown(jump):
    """Browsers round the time of a video down, mostly to microseconds."""
    start = 14.1234567
    found = view([lane([event(0.0, start, "before"), event(start, 35.0, "after")])], 35.155,
                 jump.evaluate("document.querySelector('video').src"), "rounded")
    path = Path(jump.url.split("#")[0].removeprefix("file://"))
    path.write_text(render([found], "made up"), encoding="utf-8")
    jump.goto(path.as_uri())
    until(jump, "document.querySelector('video').readyState >= 2")
    jump.evaluate("document.querySelector('video').addEventListener('seeked', () => window.sought = true)")
    choose(jump, "after")
    until(jump, "window.sought")
    assert jump.evaluate("document.querySelector('video').currentTime") < start, "or this tests nothing"
    assert jump.locator(".captions p").all_inner_texts() == ["after"]
    until(jump, "document.querySelector('.events .here')?.textContent.includes('after')")


def test_without_a_video_time_runs_by_the_clock(window):
    page = window.open(window.write([several("no such file.mp4")]))
    page.locator(".without").wait_for()
    assert "cannot be played" in page.locator(".without").inner_text()
    page.keyboard.press("Space")
    until(page, "parseFloat(document.querySelector('.transport .now').textContent.slice(2)) > 0.5")
    page.keyboard.press("Space")
    window.complaints = [text for text in window.complaints if "ERR_FILE_NOT_FOUND" not in text]


def test_a_lost_video_is_opened_by_hand(window, shared):
    video = shared / "real" / "videos" / "women_long_jump.mp4"
    if not video.exists():
        pytest.skip("needs shared/real/videos")
    page = window.open(window.write([several()]))
    page.locator("input[type=file]").set_input_files(video)
    until(page, "document.querySelector('video').readyState >= 2")
    page.keyboard.press("Space")
    until(page, "document.querySelector('video').currentTime > 0.3")


def test_a_picture_or_a_file_that_does_not_play_is_explained(window, shared):
    odd = shared / "real" / "videos" / "odd"
    if not odd.exists():
        pytest.skip("needs shared/real/videos")
    page = window.open(window.write([several(quote(str(odd / "mb_video-h265.mp4")), 10.0)]))
    until(page, "document.querySelector('video').readyState >= 2")
    without = page.locator(".without")
    if page.evaluate("document.querySelector('video').videoWidth") == 0:  # a browser without this codec
        assert "cannot show the picture of /videos/women_long_jump.mp4" in without.inner_text()
        page.keyboard.press("Space")
        until(page, "document.querySelector('video').currentTime > 0.3")
        page.keyboard.press("Space")
    page.locator("input[type=file]").set_input_files(odd / "decord_corrupted.mp4")
    until(page, "document.querySelector('video').readyState >= 2")
    assert without.is_hidden()
    page.keyboard.press("Space")
    without.wait_for()
    assert "decord_corrupted.mp4 cannot be played from 0:0" in without.inner_text()
    assert "the file is damaged" in without.inner_text()
