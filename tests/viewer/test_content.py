"""What the viewer is given: its form, odd times, addresses of videos."""

import os
import re
import urllib.parse

import pytest

from hicm.exports import Captioned, Picture, write
from hicm.exports.html import view_of
from hicm.types import Event, RecalledNode, RecalledPart, Span
from hicm.viewer.content import Lane, View, address, remark
from hicm.viewer.page import render
from tests.viewer.pages import views_in

EVENT = Event(Span(1, 3), "stir </script><!-- & \u2028", 0.5, 2)
TREE = RecalledNode(3, "cook", 0.25, lowest=2, below=(RecalledNode(1, "stir", None, "own words", "v1", (), 4),))
WHOLE = Captioned("a", "videos/a.mp4", 9, (EVENT,), {"device": "cpu"}, Picture(25.0, (64, 48), True),
                  (Event(Span(0, 1), "hello"),), (RecalledPart(Span(0, 9), (TREE,)),))


def test_the_json_of_a_view():
    assert view_of(WHOLE, "../a.mp4").to_json() == {
        "id": "a", "title": "a", "source": "videos/a.mp4", "duration": 9.0, "video": "../a.mp4",
        "picture": {"frame_rate": 25.0, "size": [64, 48], "sound": True}, "made_by": {"device": "cpu"},
        "lanes": [
            {"name": "captions", "kind": "prediction",
             "events": [{"start": 1.0, "end": 3.0, "text": EVENT.text, "score": 0.5, "level": 2, "remark": ""}],
             "recalled": [{"start": 0.0, "end": 9.0, "nodes": [
                 {"level": 3, "text": "cook", "score": 0.25, "source": "", "replaced": "", "more": 0, "lowest": 2,
                  "below": [{"level": 1, "text": "stir", "score": None, "source": "v1", "replaced": "own words",
                             "more": 4, "below": []}]}]}]},
            {"name": "speech", "kind": "speech", "recalled": [],
             "events": [{"start": 0.0, "end": 1.0, "text": "hello", "score": None, "level": None, "remark": ""}]}]}


def test_a_page_of_several_videos_links_to_each():
    views = [View(video, 9, ()).to_json() for video in ("a", "<b>")]
    page = render(views, "two & more")
    assert views_in(page) == views and "<h1>two &amp; more</h1>" in page
    assert re.findall('<a href="(.*?)">(.*?)</a>', page) == [("#view=1", "a"), ("#view=2", "&lt;b&gt;")]
    assert "<nav" not in render(views[:1], "one")


def test_what_is_not_known():
    found = View("a", 9, (Lane("captions", "prediction", ()),)).to_json()
    assert found["video"] is None and found["picture"] == {"frame_rate": None, "size": None, "sound": False}


def test_the_page_holds_it_all(tmp_path):
    page = write(WHOLE, tmp_path, "html").read_text(encoding="utf-8")
    assert views_in(page) == [view_of(WHOLE, address("videos/a.mp4", tmp_path)).to_json()]
    assert "stir </script>" not in page


@pytest.mark.parametrize(("span", "said"), [
    (Span(0, 10.4), ""), (Span(9, 4), "ends before it starts"), (Span(8, 30), "extends beyond the video"),
    (Span(-1, 2), "extends beyond the video"), (Span(12, -1), "ends before it starts, extends beyond the video")])
def test_odd_times_are_remarked(span, said):
    assert remark(Event(span, "x"), 10) == said


@pytest.mark.parametrize("name", ["a.mp4", "ä b.mp4", "100% #1?.mp4", "c:d.mp4", "a&b'\"<>.mp4", "x\udcff.mp4",
                                  "a\nb.mp4"])
def test_an_address_leads_to_its_file(tmp_path, name):
    for folder in ("videos", "out/deep", "."):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for place in ("videos", ".", "out/deep"):
        file = tmp_path / place / name
        found = address(file, tmp_path / "out" / "deep")
        assert urllib.parse.urlsplit(found)[:2] == ("", "") and found.isascii()
        path = urllib.parse.unquote_to_bytes(urllib.parse.urljoin("file:///" + str(tmp_path)[1:] + "/out/deep/x.html",
                                                                  found).removeprefix("file://"))
        assert path == os.fsencode(os.path.normpath(file))


def test_symbolic_links_are_not_resolved(tmp_path, monkeypatch):
    """A browser goes up by names: out/x.html and ../a.mp4, wherever out leads to."""
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "far" / "away")
    monkeypatch.chdir(tmp_path)
    assert address("a.mp4", "out") == "../a.mp4"
