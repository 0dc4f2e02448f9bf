"""F1 of each video, averaged over videos: the rule of TimeChat, VTG-LLM and Vid2Seq in JAX."""

from typing import Any

import pytest

from hicm.dvc_eval import Result, evaluate

# Video one: one of two predictions is right, three events: P 1/2, R 1/3 at every threshold, so F1 is 2/5.
# Video two: one prediction that covers 6 of 10 s: P = R = 1 at 0.3 and 0.5, else 0; means of 1/2, so F1 is 1/2.
REFERENCES = {"one": {"duration": 90, "timestamps": [[0, 10], [20, 30], [40, 50]], "sentences": ["a", "b", "c"]},
              "two": {"duration": 90, "timestamps": [[0, 10]], "sentences": ["d"]},
              "none": {"duration": 90, "timestamps": [[0, 10]], "sentences": ["e"]}}
PREDICTIONS = {"one": [{"sentence": "a", "timestamp": [0, 10]}, {"sentence": "b", "timestamp": [70, 80]}],
               "two": [{"sentence": "d", "timestamp": [0, 6]}], "none": []}


def score(protocol: str = "vidchapters", predictions: Any = PREDICTIONS, **settings: Any) -> Result:
    return evaluate(predictions, REFERENCES, protocol, metrics=["F1_per_video", "Recall"],
                    rules={"f1": "per-video"}, **settings)


def test_by_hand() -> None:
    result = score()
    assert result.scores["F1_per_video"] == pytest.approx((2 / 5 + 1 / 2 + 0) / 3, abs=1e-12)
    assert [result.per_video[video]["F1_per_video"] for video in ("one", "two", "none")] == pytest.approx([0.4, 0.5, 0])
    assert "|f1:per-video|" in result.signature
    assert score(result.signature).scores == result.scores
    assert "F1_per_video" in str(result) and "F1 per video" in result.to_markdown()


def test_missing_videos_count_as_the_protocol_says() -> None:
    some = {"one": PREDICTIONS["one"], "two": PREDICTIONS["two"]}
    assert score(predictions=some).scores["F1_per_video"] == pytest.approx(0.45, abs=1e-12)
    assert score(predictions=some).missing_as_zero["F1_per_video"] == pytest.approx(0.3, abs=1e-12)
    assert score("hicm", some).scores["F1_per_video"] == pytest.approx(0.3, abs=1e-12)


def test_halves_add_up() -> None:
    whole = score()
    halves = [evaluate(PREDICTIONS, {video: REFERENCES[video] for video in videos}, metrics=["F1_per_video", "Recall"],
                       rules={"f1": "per-video"}) for videos in (["one"], ["two", "none"])]
    assert (halves[0] + halves[1]).scores == pytest.approx(whole.scores, abs=1e-12)
