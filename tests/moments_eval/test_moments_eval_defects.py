"""What published evaluations of moments get wrong or cannot do, each as a test in plain words."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hicm.errors import UserError
from hicm.moments_eval import PROTOCOLS, evaluate


def annotated(*windows: list[float], query: int = 1, duration: float = 60, **more: Any) -> dict[str, Any]:
    return {"qid": query, "query": "a dog runs", "vid": f"v{query}", "duration": duration,
            "relevant_windows": list(windows), **more}


def predicted(*windows: list[float], query: int = 1, **more: Any) -> dict[str, Any]:
    return {"qid": query, "pred_relevant_windows": list(windows), **more}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_true_window_without_length_is_never_found(protocol: str) -> None:
    """Published: 0 / 0 makes mIoU NaN, mAP counts a hit where R1 counts a miss."""
    with np.errstate(all="raise"):
        empty = evaluate([predicted([8, 8, 0.9])], [annotated([8, 8])], protocol)
        both = evaluate([predicted([8, 8, 0.9], [20, 30, 0.5])], [annotated([8, 8], [20, 30])], protocol)
    assert set(empty.scores.values()) == {0.0}
    assert np.isfinite(list(both.scores.values())).all() and both.scores["mAP@0.5"] == pytest.approx(0.25)
    assert "annotations: 1 windows of zero length; scored by the formula" in empty.warnings


def test_highlights_are_scored() -> None:
    """Published by MESM: windows only.  Clip 1 is the best, and the only one that all annotators rate 4."""
    rated = {"relevant_clip_ids": [0, 1], "saliency_scores": [[2, 1, 0], [4, 4, 4]]}
    found = evaluate([predicted([0, 4, 0.9], pred_saliency_scores=[0.5, 0.9, *[0.1] * 28])],
                     [annotated([0, 4], **rated)], "qvhighlights")
    assert found.scores["HL-Hit1-VeryGood"] == 1 and found.scores["HL-mAP-VeryGood"] == 1


def test_a_split_without_labels_is_refused_in_one_line(tmp_path: Path) -> None:
    """Published: a KeyError."""
    rows = [{key: value for key, value in annotated(query=at).items() if key != "relevant_windows"} for at in (1, 2)]
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(UserError, match="no query has a true window; a test split without labels cannot be scored"):
        evaluate([predicted([0, 4, 0.9])], str(tmp_path / "test.jsonl"))


def test_several_splits_are_scored() -> None:
    """Published: one split is asserted, so Charades-CG with its two novel ones cannot be evaluated."""
    def split(sentence: str) -> dict[str, Any]:
        return {sentence: {"duration": 30, "timestamps": [[0, 10]], "sentences": [sentence]}}
    composition, word = (evaluate({"1": [window]}, split(sentence), metrics=["mIoU"])
                         for sentence, window in (("novel composition", [0, 5, 1]), ("novel word", [0, 10, 1])))
    assert (composition.protocol, composition.scores, word.scores) == ("charades", {"mIoU": 0.5}, {"mIoU": 1.0})


def test_windows_are_cut_to_the_video_not_to_150_seconds() -> None:
    """Published: all windows are clamped to 150 s, and rounded to whole seconds on Charades-STA."""
    windows, true = [predicted([40.4, 150, 0.9])], [annotated([40.4, 60])]
    assert evaluate(windows, true, "hicm", metrics=["mIoU"]).scores["mIoU"] == 1.0
    assert evaluate(windows, true, "mesm-charades", metrics=["mIoU"]).scores["mIoU"] == pytest.approx(19.6 / 110)


def test_the_best_window_need_not_be_the_first_listed() -> None:
    """Published: R1 takes the first listed, and the first ten are cut out before they are sorted by score."""
    listed = [predicted(*[[30, 31, 0.1]] * 10, [0, 10, 0.9])]
    assert evaluate(listed, [annotated([0, 10])], "charades", metrics=["R1@0.5", "mAP"]).scores == {
        "R1@0.5": 0, "mAP": 0}
    assert evaluate(listed, [annotated([0, 10])], "hicm", metrics=["R1@0.5", "mAP"]).scores == {"R1@0.5": 1, "mAP": 1}


def test_queries_that_are_left_out_count() -> None:
    """Published: an assertion without names."""
    true = [annotated([0, 10]), annotated([0, 10], query=2)]
    with pytest.raises(UserError, match=r"1 queries are not predicted \(2\)"):
        evaluate([predicted([0, 10, 0.9])], true, "charades")
    assert evaluate([predicted([0, 10, 0.9])], true, "hicm", metrics=["mIoU"]).scores["mIoU"] == 0.5


def test_an_iou_that_equals_the_threshold_counts() -> None:
    found = evaluate([predicted([0, 7, 0.9])], [annotated([0, 10])], "charades").scores
    assert (found["R1@0.7"], found["R1@0.75"], found["mAP@0.7"], found["mAP@0.75"]) == (1, 0, 1, 0)
