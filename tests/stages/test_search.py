"""hicm search: from video files and a sentence to ranked moments, by the encoder alone."""

import html.parser
import json
import re
import urllib.parse
from pathlib import Path

import numpy as np
import pytest

from hicm import verbs
from hicm.cli import main
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.files import read_json
from hicm.moments.read import read_submission
from hicm.recipes.demo.film import write_film
from hicm.stages import searchers
from hicm.stages.search import ranked
from hicm.stages.searchers import Answer
from tests.video.videos import write_video
from tests.viewer.pages import views_in

WIDTH = 64
QUESTION = "A dog jumps into the <b>water</b>"
SHOWN = {"beach": {"a cat sleeps": (0, 20), QUESTION: (20, 30)}, "lake": {QUESTION: (0, 8), "a dog eats": (8, 30)}}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Films that show what the encoder of texts makes of sentences, and noise."""
    folder, encoder = tmp_path_factory.mktemp("videos"), make_encoder(f"hashing:{WIDTH}")
    rng = np.random.default_rng(0)
    for name, parts in SHOWN.items():
        rows = rng.standard_normal((40, WIDTH)) * 0.05
        for sentence, (start, end) in parts.items():
            rows[start:end] += encoder.encode([sentence])[0]
        write_film(folder / f"{name}.mp4", rows)
    return folder


@pytest.fixture(autouse=True)
def clip_like(monkeypatch):
    """`blocks` reads what the films show; as if it embedded texts too."""
    monkeypatch.setattr(searchers, "make_encoder", lambda spec, offline=False: make_encoder(f"hashing:{WIDTH}"))


@pytest.fixture
def search(videos, tmp_path):
    def run(*given, question=QUESTION, **options):
        return verbs.search([str(one) for one in given or [videos]], question, **{
            "encoder": f"blocks:{WIDTH}", "out": str(tmp_path / "out"), "cache": str(tmp_path / "cache")} | options)

    return run


class Links(html.parser.HTMLParser):
    """The links and pictures of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        fields = dict(attrs)
        if tag == "a":
            self.links.append(fields["href"])
        if tag == "img":
            self.pictures.append(fields["src"])


def test_moments_of_all_videos_are_ranked(search, tmp_path):
    found = search()
    assert found.ok
    first, second = found.content["moments"][:2]
    assert {first["video"], second["video"]} == {"beach", "lake"} and first["score"] >= second["score"] > 0.9
    times = {one["video"]: (one["start"], one["end"]) for one in (first, second)}
    assert times["beach"] == pytest.approx((20, 30), abs=2) and times["lake"] == pytest.approx((0, 8), abs=2)
    lines = str(found).splitlines()
    assert "plain baseline: no model was trained" in lines[0] and "in 2 videos" in lines[0]
    assert re.fullmatch(r"  1  (beach|lake ) +00:00:\d\d-00:00:\d\d +0.\d{3}", lines[2])
    assert lines[-1] == str(tmp_path / "out" / "a-dog-jumps-into-the-b-water-b.html")
    assert "score  caption" not in lines[1]


def test_the_results_are_predictions_of_moments(search, tmp_path):
    search()
    file = tmp_path / "out" / "a-dog-jumps-into-the-b-water-b.json"
    content = read_json(file)
    assert content["task"] == "moments" and set(content["results"]) == {"beach", "lake"}
    assert {row["query"] for rows in content["results"].values() for row in rows} == {QUESTION}
    assert content["videos"]["beach"]["duration"] == pytest.approx(40.0, abs=0.1)
    windows = content["results"]["beach"][0]["windows"]
    assert windows[0][:2] == pytest.approx((20, 30), abs=2) and [row[2] for row in windows] == sorted(
        (row[2] for row in windows), reverse=True)
    assert read_submission(str(file), []).format == "hicm_run"


def test_the_page_leads_into_the_viewer(search, tmp_path):
    found = search()
    page = found.page.read_text()
    seen = Links(page)
    assert len(seen.links) == len(seen.pictures) == len(found.content["moments"]) == 2
    assert "<b>water" not in page and "&lt;b&gt;water" in page
    assert all(one.startswith("data:image/jpeg;base64,/9j/") for one in seen.pictures)
    for moment, link in zip(found.content["moments"], seen.links, strict=True):
        address, _, fragment = link.partition("#")
        fields = dict(urllib.parse.parse_qsl(fragment))
        views = views_in((tmp_path / "out" / urllib.parse.unquote(address)).read_text())
        view = views[int(fields["view"]) - 1]
        assert view["id"] == moment["video"] and float(fields["t"]) == moment["start"]
        assert moment["start"] in [event["start"] for event in view["lanes"][0]["events"]]
        assert (tmp_path / "out" / urllib.parse.unquote(view["video"])).exists()


def test_a_second_question_reads_no_video_again(search, monkeypatch):
    search()
    monkeypatch.setattr("hicm.encoders.blocks.BlocksEncoder.encode_images", None)
    other = search(question="a cat sleeps")
    assert other.content["moments"][0]["video"] == "beach" and other.content["moments"][0]["start"] <= 2


def test_results_are_kept_and_those_of_another_search_are_not_replaced(search, videos, tmp_path, monkeypatch):
    found = search()
    files = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with monkeypatch.context() as kept:
        kept.setattr(searchers.Searcher, "find", None)
        assert search().content == found.content
    with pytest.raises(UserError, match=r"another search \(top is 5 there and 2 here\).*--overwrite"):
        search(top=2)
    with pytest.raises(UserError, match=r"video lake was not read there|video lake is not read here"):
        search(videos / "beach.mp4")
    assert files == {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert len(search(top=1, overwrite=True).content["moments"]) == 1
    found.page.with_suffix(".json").write_text('{"mine": 1}')
    with pytest.raises(UserError, match="holds no results of a search"):
        search(overwrite=True)
    found.page.with_suffix(".json").unlink()
    with pytest.raises(UserError, match="hicm search did not write it"):
        search()


def test_videos_that_moved_are_linked_where_they_are(search, videos, tmp_path):
    search()
    moved = tmp_path / "moved"
    moved.mkdir()
    for video in videos.iterdir():
        (moved / video.name).write_bytes(video.read_bytes())
    found = search(moved)
    assert found.content["videos"]["lake"]["source"] == str(moved / "lake.mp4")
    assert "moved" in views_in(found.page.with_suffix(".view.html").read_text())[0]["video"]


def test_a_broken_video_is_recorded_and_the_others_are_searched(search, videos, tmp_path, capsys):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    found = search(videos, broken)
    assert not found.ok and found.failed == ("broken",) and set(found.content["results"]) == {"beach", "lake"}
    assert "not searched, as they cannot be read: broken" in str(found)
    assert read_json(tmp_path / "out" / "failed.jsonl")["stage"] == "frames"
    broken.write_bytes((videos / "lake.mp4").read_bytes())
    with pytest.raises(UserError, match="video broken has other content"):
        search(videos, broken)
    broken.write_text("no video")
    assert search(videos, broken).failed == ("broken",), "tried again"
    with pytest.raises(UserError, match="none of the videos can be read"):
        search(broken, question="else")


@pytest.mark.parametrize("question, name", [
    ("?!", "question"), ("Wo ist der Ärger? " * 50, "wo-ist-der-ärger-" * 5 + "wo-ist-der"),
    ("犬" * 500, "犬" * 33), ("a\udce9 b\x00c", "a-b-c"), ("../../etc/x", "etc-x")])
def test_files_are_named_by_the_question(search, videos, question, name):
    found = search(videos / "beach.mp4", question=question)
    assert found.page.name == f"{name}.html" and found.page.exists()


def test_json(search, videos, tmp_path, capsys):
    assert main(["search", str(videos), QUESTION, "--encoder", f"blocks:{WIDTH}", "--out", str(tmp_path / "out"),
                 "--cache", str(tmp_path / "cache"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["question"] == QUESTION


@pytest.mark.parametrize("given, options, message", [
    (["nowhere.mp4"], {}, "nowhere.mp4: video not found"),
    ([], {"question": "  ", "model": "nowhere"}, "the question is empty"),
    ([], {"question": ""}, "the question is empty"),
    ([], {"top": 0}, "--top 0: expected 1 or more"),
    ([], {"overlap": 1.5}, "--overlap 1.5: expected 0 to 1"),
    ([], {"window": 60.0}, "--window and --set are for a run"),
    ([], {"window": 0.5}, "--window 0.5: expected 1 second or more"),
    ([], {"encoder": "hashing:32"}, "hashing:32 embeds pictures and sentences in different spaces"),
    ([], {"model": "nowhere"}, "nowhere.*give a folder that 'hicm train' wrote"),
])
def test_errors(search, given, options, message):
    with pytest.raises(UserError, match=message):
        search(*given, **options)


def test_an_encoder_without_texts(search, monkeypatch):
    monkeypatch.setattr(searchers, "make_encoder", make_encoder)
    with pytest.raises(UserError, match=r"without --model the encoder embeds the sentence, too: .*blocks:64"):
        search()


def test_a_forgotten_question(videos, tmp_path):
    video = write_video(tmp_path / "v.mp4", [0.0], 2.0)
    with pytest.raises(UserError, match=r"v.mp4: is a file or folder, expected the question"):
        verbs.search([str(videos)], str(video))


def test_a_question_longer_than_a_path(search):
    """It is no file, and asking the file system for it is an error of its own."""
    question = "a dog jumps " * 40
    assert search(question=question).content["question"] == question.strip()


def test_moments_of_several_videos_are_ordered_by_score_and_cosine():
    """A run's scores say little of which video holds what is asked for; those within a video stay in their order."""
    likely = Answer(Path("a.mp4"), 20.0, np.array([[0, 5, 0.9], [10, 15, 0.5]]), np.array([0.1, 0.1]))
    like = Answer(Path("b.mp4"), 20.0, np.array([[1, 4, 0.8], [6, 9, 0.7]]), np.array([0.6, -0.2]))
    assert [(one.video, one.start) for one in ranked([likely, like], 9)] == [("b", 1), ("a", 0), ("a", 10), ("b", 6)]
    assert [one.score for one in ranked([like], 9)] == [0.8, 0.7]
    plain = [Answer(one.video, one.duration, one.windows) for one in (likely, like)]
    assert [one.score for one in ranked(plain, 3)] == [0.9, 0.8, 0.7]
