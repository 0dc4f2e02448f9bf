"""hicm predict --events with predicted moments: the best window of each query gets a caption."""

import json

import pytest

from hicm import verbs
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.moments.of_videos import best_windows
from hicm.source import open_source
from hicm.stages.predict import predict
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the recall system."""
    folder = tmp_path_factory.mktemp("tiny")
    return verbs.train(str(make_tiny(folder, videos=4, system="recall")), out=str(folder / "mine"))


@pytest.fixture(scope="module")
def videos(run):
    return list(read_json(run.parent / "data" / "val.json"))


def times(path):
    return {video: [event["timestamp"] for event in events] for video, events in read_json(path)["results"].items()}


def test_the_best_window_of_each_query_is_captioned(run, videos, tmp_path):
    first, second, third = videos
    rows = {first: [{"qid": "1", "query": "a", "windows": [[5, 9.5, 0.9], [1, 2, 0.4]]},
                    {"qid": "2", "query": "b", "windows": [[0, 3, 0.2]]}],
            second: [{"qid": "3", "query": "c", "windows": []}], third: []}
    write_json(tmp_path / "moments.json", {"task": "moments", "results": rows})
    made = predict(run, events=str(tmp_path / "moments.json"))
    assert times(made) == {first: [[5.0, 9.5], [0.0, 3.0]], second: [], third: []}
    assert all(event["sentence"] for event in read_json(made)["results"][first])


def test_a_submission_that_names_its_videos(run, videos, tmp_path):
    rows = [{"qid": 1, "vid": videos[1], "pred_relevant_windows": [[2, 4, 0.1], [5, 6, 0.9]]},
            {"qid": 2, "vid": videos[0], "pred_relevant_windows": [[1, 3, 0.5]]}]
    file = tmp_path / "submission.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.warns(UserWarning, match=f"no events of 1 of 3 videos .*{videos[2]}"):
        made = predict(run, events=str(file))
    assert times(made) == {videos[0]: [[1.0, 3.0]], videos[1]: [[2.0, 4.0]]}


@pytest.mark.parametrize("content, message", [
    ([{"qid": 7, "pred_relevant_windows": [[1, 2, 0.5]]}], "query 7: does not name its video"),
    ({"results": {"v": [{"qid": "7", "windows": [[1, 2]]}]}}, r"video v, query 7.*expected \[start, end, score\]"),
])
def test_moments_that_cannot_be_captioned(content, message):
    with pytest.raises(UserError, match=message):
        best_windows(open_source(content, "events", []))


@pytest.mark.parametrize("content", [{"results": {"v": [{"sentence": "a", "timestamp": [1, 2]}]}}, {"results": {}},
                                     {"v": {"timestamps": [], "sentences": []}}, [], [{"qid": 1, "query": "a"}]])
def test_other_content_is_left_to_other_readers(content):
    assert best_windows(open_source(content, "events", [])) is None
