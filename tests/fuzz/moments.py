"""Annotations and predictions of moments, each scored against a sound other side."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hicm.errors import UserError
from hicm.moments.read import read_annotations, read_submission
from hicm.moments.records import Submission
from hicm.moments_eval import evaluate
from tests.fuzz.damage import Damage, damage_bytes, damage_json, damage_lines

TRUE = [{"qid": 1, "query": "a", "vid": "v_0.0_20.0", "duration": 20, "relevant_windows": [[2, 6], [10, 12.5]],
         "relevant_clip_ids": [1, 2, 5], "saliency_scores": [[4, 3, 2], [1, 1, 1], [0, 2, 4]]},
        {"qid": 2, "query": "b", "vid": "w_0.0_9.0", "duration": 9, "relevant_windows": [[2, 6]],
         "relevant_clip_ids": [1], "saliency_scores": [[4, 3, 2]]}]
PREDICTED = [{"qid": query, "pred_relevant_windows": [[0, 5, 0.5], [9, 13.0, 0.9]],
              "pred_saliency_scores": [0.5, -1, 2]} for query in (1, 2)]
TACOS = {"s1.avi": {"timestamps": [[5, 50], [80, 170]], "sentences": ["a", "b"], "fps": 29.4, "num_frames": 200}}
STA = "v 1.0 4.5##a.\nw 12 29##b.\n"


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


class MomentFile(NamedTuple):
    """``side``: "predictions" or "annotations"."""

    side: str
    name: str
    text: str
    damage: Damage


MOMENTS = (
    MomentFile("predictions", "submission.jsonl", lines(PREDICTED), damage_lines),
    MomentFile("predictions", "timechat.json", json.dumps({"1": {"timestamp": [[0, 4.5], [5, 8]]}, "2": [[1, 2, 0.5]]}),
               damage_json),
    MomentFile("predictions", "run.json", json.dumps({"run": "r", "results": {
        "v_0.0_20.0": [{"qid": 1, "query": "a", "windows": [[0, 5, 0.5]], "saliency": [0.5, -1, 2]}],
        "w_0.0_9.0": [{"qid": 2, "query": "b", "windows": [[1, 2, 0.5]], "saliency": [1]}]}}), damage_json),
    MomentFile("predictions", "submission.csv", "query_id,start,end,score\n1,0,4.5,0.9\n2,1,2,0.5\n", damage_bytes),
    MomentFile("annotations", "val.jsonl", lines(TRUE), damage_lines),
    MomentFile("annotations", "tacos.json", json.dumps(TACOS), damage_json),
    MomentFile("annotations", "sta.txt", STA, damage_bytes),
    MomentFile("annotations", "windows.csv", "query_id,start,end,video,duration,sentence\n1,0,4.5,v,9,a\n"
               "1,5,6,v,9.0,a\n2,1,2,w,,\n", damage_bytes),
)


def read_moments(side: str, file: Path) -> None:
    """All of a file, scored."""
    submission = read_submission(PREDICTED if side == "annotations" else file, [])
    annotations = read_annotations(file if side == "annotations" else TRUE, [])
    if side == "annotations":
        one = next(iter(submission.predictions.values()))
        submission = Submission({query.id: one for query in annotations.queries}, "")
    try:
        result = evaluate(submission, annotations, "hicm")
    except UserError as error:
        assert "\n" not in str(error)
        raise
    assert all(np.isfinite(value) and 0 <= value <= 1 for value in result.scores.values())
    str(result.to_json())
