"""Pages of the viewer from whatever holds predictions: lanes, names, videos, durations, and what is refused."""

import json
import re
from dataclasses import replace

import pytest

from hicm.cli import main
from hicm.errors import UserError
from hicm.exports import Captioned, Picture, write
from hicm.files import write_json
from hicm.stages.view import MOST, view
from hicm.types import Event, RecalledNode, RecalledPart, Span
from tests.video.videos import write_video
from tests.viewer.pages import views_in

STIR = Event(Span(1, 3), "stir", 0.5)
WHOLE = Captioned("talk", "nowhere/talk.mp4", 9.0, (STIR,), {"device": "cpu"}, Picture(25.0, (64, 48), True),
                  (Event(Span(0, 1), "hello"),), (RecalledPart(Span(0, 9), (RecalledNode(0, "stir", 0.5),)),))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    return tmp_path


def lanes(view):
    return [(lane["name"], lane["kind"], [event["text"] for event in lane["events"]]) for lane in view["lanes"]]


def shown(*predictions, **options):
    """The views of the page that is made of predictions."""
    said = view([str(one) for one in predictions], out="page.html", overwrite=True, **options)
    with open(said.rpartition(": ")[0], encoding="utf-8") as page:
        return views_in(page.read())


def test_captions_of_one_video(here, capsys):
    path = write(WHOLE, here / "captions", "json")
    assert main(["view", str(path)]) == 0
    page = here / "captions" / "talk.html"
    assert capsys.readouterr().out == f"{page}: 1 video\n"
    view, = views_in(page.read_text(encoding="utf-8"))
    assert lanes(view) == [("captions", "prediction", ["stir"]), ("speech", "speech", ["hello"])]
    assert (view["id"], view["duration"], view["video"], view["source"]) == ("talk", 9.0, None, "nowhere/talk.mp4")
    assert view["picture"] == {"frame_rate": 25.0, "size": [64, 48], "sound": True}
    assert view["made_by"] == {"device": "cpu"} and len(view["lanes"][0]["recalled"]) == 1


def test_the_video_is_found_or_given(here):
    write_video(here / "videos" / "talk.mp4", [0.0], 2.0)
    path = write(replace(WHOLE, source="videos/talk.mp4"), here / "captions", "json")
    assert [one["video"] for one in shown(path)] == ["videos/talk.mp4"]
    path = write(WHOLE, here / "captions", "json")
    for given in ("videos", "videos/talk.mp4"):
        assert [one["video"] for one in shown(path, video=given)] == ["videos/talk.mp4"]
    (here / "videos" / "talk.mp4").rename(here / "videos" / "100 %.mp4")
    assert [one["video"] for one in shown(path, video="videos/100 %.mp4")] == ["videos/100%20%25.mp4"]
    write_video(here / "videos" / "other.mp4", [0.0], 2.0)
    with pytest.raises(UserError, match=r"videos: no file is named like one of the videos \(talk\); choose one"):
        shown(path, video="videos")


def test_what_has_no_video_in_common_is_said(here, capsys):
    for name in ("a", "b"):
        write_json(f"{name}.json", {"results": {name: [{"sentence": "stir", "timestamp": [0, 1]}]}})
    write_json("ref.json", {"v_a": {"duration": 12, "timestamps": [[0, 11]], "sentences": ["annotated"]}})
    with pytest.raises(UserError, match=r"ref.json: no video of the predictions is annotated \(a\), but v_a; correct"):
        shown("a.json", reference=["ref.json"])
    assert len(shown("a.json", "b.json")) == 2
    assert "have no video in common" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["talk.mp4", "talk.MKV", "talk.wav"])
def test_a_video_is_not_taken_for_predictions(here, name):
    (here / name).write_bytes(b"\0\0\0\x18ftyp")
    with pytest.raises(UserError, match=r"expected predictions, found a video or sound file; .* with --video"):
        shown(name)


def test_facts_of_the_video_where_the_predictions_have_none(here):
    write_video(here / "videos" / "talk.mp4", [0.0], 2.0)
    write_json("p.json", {"results": {"talk": [{"sentence": "stir", "timestamp": [0, 1]}]}})
    view, = shown("p.json", video="videos")
    assert view["duration"] == pytest.approx(2.0, abs=0.1) and view["picture"]["size"] == [64, 48]
    view, = shown("p.json")
    assert (view["duration"], view["video"], view["picture"]["size"]) == (1.0, None, None)


def test_several_systems_and_annotators_are_lanes(here):
    write(WHOLE, here / "small", "json")
    write(replace(WHOLE, events=(Event(Span(4, 5), "serve"),), speech=()), here / "large", "json")
    write_json("mine.json", {"results": {"talk": [{"sentence": "mix", "timestamp": [0, 2]}]}})
    (here / "talk.en.srt").write_text("1\n00:00:02,000 --> 00:00:03,000\n<i>by hand</i>\n\n")
    for number in (1, 2):
        write_json(f"reference{number}.json", {"talk": {"duration": 12, "timestamps": [[0, 11]],
                                                        "sentences": [f"annotated {number}"]}})
    found, = shown("mine.json", "small", "large/talk.json", "talk.en.srt",
                   reference=["reference1.json", "reference2.json"])
    assert lanes(found) == [
        ("reference 1", "reference", ["annotated 1"]), ("reference 2", "reference", ["annotated 2"]),
        ("mine", "prediction", ["mix"]), ("small", "prediction", ["stir"]), ("large", "prediction", ["serve"]),
        ("talk.en", "prediction", ["by hand"]), ("speech", "speech", ["hello"])]
    assert found["duration"] == 9.0 and found["made_by"]["small"] == {"device": "cpu"}


def test_files_of_one_name_get_distinct_names(here):
    for folder in ("a", "b"):
        write_json(here / folder / "p.json", {"results": {"talk": [{"sentence": folder, "timestamp": [0, 2]}]}})
    assert [lane[0] for lane in lanes(*shown("a/p.json", "b/p.json"))] == ["a/p.json", "b/p.json"]


def test_scores_of_what_hicm_predict_wrote(here):
    event = {"sentence": "mix", "timestamp": [0, 2], "score": 0.25, "level": 2}
    write_json("p.json", {"results": {"talk": [event]}, "decided_by": {}})
    view, = shown("p.json")
    assert [(one["score"], one["level"]) for one in view["lanes"][0]["events"]] == [(0.25, 2)]


def test_names_of_files_and_hundredths_become_ids_and_seconds(here):
    """Forms of other projects: their ids are names of files, their times shares of the length."""
    answer = {"video_id": "talk", "task": "captioning", "answer": "stir, from 00 to 49."}
    (here / "vtime.txt").write_text(json.dumps(answer) + "\n" + json.dumps(answer | {"task": "grounding"}) + "\n")
    write_json("ref.json", {"talk": {"duration": 50, "timestamps": [[0, 11]], "sentences": ["a"]}})
    found, = shown("vtime.txt", reference=["ref.json"])
    assert found["lanes"][1]["events"][0]["end"] == pytest.approx(25.0)
    write_video(here / "talk.mp4", [0.0], 2.0)
    found, = shown("vtime.txt", video="talk.mp4")
    assert found["lanes"][0]["events"][0]["end"] == pytest.approx(1.0, abs=0.1)
    with pytest.raises(UserError, match="video talk: times are hundredths of its length"):
        shown("vtime.txt")
    (here / "one.txt").write_text(json.dumps(answer) + "\n")
    with pytest.raises(UserError, match="may be in the format answers or vtimellm; name the right one with --format"):
        shown("one.txt", reference=["ref.json"])
    assert shown("one.txt", reference=["ref.json"], format="vtimellm")


def test_odd_times_are_remarked(here):
    write_json("p.json", {"results": {"talk": [{"sentence": "a", "timestamp": [5, 2]},
                                               {"sentence": "b", "timestamp": [1, 99]}]}})
    write_json("ref.json", {"talk": {"duration": 50, "timestamps": [[0, 11]], "sentences": ["a"]}})
    found, = shown("p.json", reference=["ref.json"])
    assert [event["remark"] for event in found["lanes"][1]["events"]] == ["ends before it starts",
                                                                          "extends beyond the video"]


def test_many_videos(here):
    write_json("p.json", {"results": {f"v{number}": [{"sentence": "a", "timestamp": [0, 1]}]
                                      for number in range(MOST + 5)}})
    assert view(["p.json"], out="a.html") == "a.html: 50 of 55 videos; name others with --videos"
    assert view(["p.json"], out="b.html", videos=["v54", "v3"]) == "b.html: 2 of 55 videos"
    assert [one["id"] for one in views_in((here / "b.html").read_text())] == ["v54", "v3"]
    with pytest.raises(UserError, match=r"--videos v99: not among the predictions, which are of v0, v1, v2, \.\.\."):
        view(["p.json"], out="c.html", videos=["v99"])


def test_no_other_file_is_replaced(here, capsys):
    path = write(WHOLE, here, "json")
    assert main(["view", str(path), "--out", "page.html"]) == main(["view", str(path), "--out", "page.html"]) == 0
    before = (here / "page.html").read_bytes()
    write(replace(WHOLE, events=()), here, "json")
    assert main(["view", str(path), "--out", "page.html"]) == 2
    assert "page.html: exists and holds something else; choose another --out" in capsys.readouterr().err
    assert (here / "page.html").read_bytes() == before
    assert main(["view", str(path), "--out", "page.html", "--overwrite"]) == 0
    assert (here / "page.html").read_bytes() != before
    assert main(["view", str(path), "--out", "talk.json"]) == 2 and "ends in .html" in capsys.readouterr().err


def test_what_cannot_be_shown(here, capsys):
    (here / "empty").mkdir()
    (here / "none.json").write_text('{"results": {}}')
    (here / "odd.json").write_text('{"video": "a", "source": "a.mp4", "duration": -1e999, "events": []}')
    mistakes = {("gone.json",): "gone.json: predictions not found",
                ("empty",): "empty: neither a run folder nor one that hicm caption wrote to",
                ("none.json",): "nothing to show", ("odd.json",): r"odd\.json: expected captions",
                ("none.json", "--split", "val"): "--split val is for run folders",
                ("none.json", "--reference", "gone.json"): "gone.json: annotation file not found"}
    for arguments, message in mistakes.items():
        assert main(["view", *arguments]) == 2
        assert re.search(message, capsys.readouterr().err), arguments
    assert not list(here.glob("*.html"))
