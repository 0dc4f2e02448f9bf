"""The floor of the parallel benchmark and its tables: what is chosen, what is counted, what is refused."""

import json

import pytest

from hicm.config import load_config
from hicm.errors import UserError
from hicm.types import Event, Span, Video
from tests.scripts import load_script
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def constants():
    return load_script("constant_events")


@pytest.fixture(scope="module")
def tables():
    return load_script("tabulate_runs")


def video(name, duration, *texts):
    """Events that fill a video evenly."""
    length = duration / len(texts)
    return Video(name, duration, tuple(Event(Span(place * length, (place + 1) * length), text)
                                       for place, text in enumerate(texts)))


def test_the_windows_and_the_sentence_that_fit_the_training_videos_are_chosen(constants, monkeypatch):
    for name, values in (("NUMBERS", (3, 4, 5)), ("MARGINS", (0.0, 0.1)), ("LENGTHS", (0.8, 1.0, 1.5))):
        monkeypatch.setattr(constants, name, values)
    videos = {name: video(name, duration, "add the salt", "stir the pan", "add the salt", "add the salt")
              for name, duration in (("a", 40.0), ("b", 100.0))}
    windows, score = constants.choose_windows(videos, "activitynet-2018")
    assert windows == constants.Windows(4, 0.0, 1.0) and score == pytest.approx(1)
    assert constants.choose_sentence(videos, windows, "activitynet-2018", "CIDEr")[0] == "add the salt"
    assert constants.constant(videos.values(), windows, "x")["b"][1] == {"timestamp": [25.0, 50.0], "sentence": "x"}


def test_other_predictions_are_not_replaced(constants, monkeypatch, tmp_path):
    for name, values in (("NUMBERS", (2,)), ("MARGINS", (0.0,)), ("LENGTHS", (1.0,)), ("FREQUENT", 2)):
        monkeypatch.setattr(constants, name, values)
    config = load_config(make_tiny(tmp_path, videos=8), ["train.select_on=CIDEr"])
    out = tmp_path / "predictions_constant.json"
    constants.write(config, out)
    before = out.read_bytes()
    constants.write(config, out)
    assert out.read_bytes() == before and len(json.loads(before)["results"]) == 3
    monkeypatch.setattr(constants, "NUMBERS", (3,))
    with pytest.raises(UserError, match="holds other predictions"):
        constants.write(config, out)
    constants.write(config, out, overwrite=True)
    assert len(next(iter(json.loads(out.read_bytes())["results"].values()))) == 3


def test_windows_stay_within_the_video_and_leave_its_ends_free(constants):
    for windows, expected in (((2, 0.1, 2.0), [0, 70, 30, 100]), ((2, 0.1, 1.0), [10, 50, 50, 90])):
        spans = constants.Windows(*windows).spans(100)
        assert [end for span in spans for end in span] == pytest.approx(expected)


def written(folder, name, sentences, f1):
    """Predictions of one video and their scores."""
    events = [{"timestamp": [place, place + 1.0], "sentence": text} for place, text in enumerate(sentences)]
    path = folder / f"predictions_{name}.json"
    path.write_text(json.dumps({"results": {"a": events}}))
    scores = dict.fromkeys(("CIDEr", "METEOR", "soda_c", "Recall", "Precision"), 0.25) | {"F1_of_means": f1}
    (folder / f"metrics_{name}.json").write_text(json.dumps({"scores": scores, "intervals": {"CIDEr": [0.2, 0.3]}}))
    return path


def test_the_table_has_the_mean_both_seeds_and_how_much_the_sentences_vary(tables, tmp_path):
    runs = [tables.read_scored(written(tmp_path, "one", ["x", "x", "x", "y"], 0.5)),
            tables.read_scored(written(tmp_path, "two", ["x", "z"], 0.25))]
    row = tables.score_table({"system": runs}).splitlines()[-1]
    assert row == ("| system | 25.00 (25.00, 25.00) | 25.00 (25.00, 25.00) | 25.00 (25.00, 25.00) | "
                   "25.00 (25.00, 25.00) | 25.00 (25.00, 25.00) | 37.50 (50.00, 25.00) | 75.0 (50.0, 100.0) | "
                   "62.5 (75.0, 50.0) | 3.0 (4.0, 2.0) |")
    assert tables.interval_table({"system": runs}).splitlines()[-1] == (
        "| system, run 2 | 25.00 [20.00, 30.00] | 25.00 | 25.00 | 25.00 |")


def test_the_events_of_a_video_stand_below_its_reference_but_for_a_constant(tables, tmp_path):
    systems = {"one": [tables.read_scored(written(tmp_path, "one", ["x", "y"], 0.5))],
               "constant": [tables.read_scored(written(tmp_path, "two", ["x", "x"], 0.5))]}
    text = tables.video_text(video("a", 10.0, "z"), systems)
    assert text == "**a**, 10 s\n\n- reference: 0-10 z\n- one: 0-1 x; 1-2 y"


def test_videos_are_taken_in_the_order_of_their_ids(tables):
    videos = {name: video(name, 10.0, "x") for name in "edcba"}
    assert [one.id for one in tables.sample(videos, every=2, most=2)] == ["a", "c"]


def test_scores_of_another_protocol_are_refused(tables, tmp_path):
    path = written(tmp_path, "one", ["x"], 0.5)
    (tmp_path / "metrics_one.json").write_text(json.dumps({"scores": {"CIDEr": 0.1}}))
    with pytest.raises(UserError, match=r"predictions_one.json: its scores lack METEOR, .*activitynet-2018"):
        tables.read_scored(path)
