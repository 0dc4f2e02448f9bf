"""Real predictions have the scores that their authors published; real annotations have the known sizes and ceilings."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moment_files import read_packed

from hicm.moments.postprocess import round_to_grid
from hicm.moments.read import read_annotations
from hicm.moments.records import Annotations, Prediction, Submission
from hicm.moments_eval import evaluate

# R1@0.5, R1@0.7, mAP and highlights that the official script prints for UniVTG's file, which came without metrics.
UNIVTG = {"R1@0.5": 68.39, "R1@0.7": 54.0, "mAP": 45.99}
# MESM's reading of these files: videos, queries, and what its cleaning rules did.
SIZES = {
    "charades/charades_sta_train.txt.gz": (5336, 12405, [3, 1, 1802]),
    "charades/charades_sta_test.txt.gz": (1334, 3720, [562]),
    "tacos/train.json.gz": (75, 9790, [43]), "tacos/val.json.gz": (27, 4436, []), "tacos/test.json.gz": (25, 4001, [5]),
    "qvhighlights/highlight_val_release.jsonl.gz": (1519, 1550, []),
}


def percent(scores: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{100 * value:.2f}") for name, value in scores.items()}


@pytest.mark.parametrize("system", ["moment_detr", "qd_detr"])
def test_published_scores_to_the_printed_digit(system: str, qvhighlights: Path) -> None:
    result = evaluate(qvhighlights / f"{system}_val.jsonl.gz", qvhighlights / "highlight_val_release.jsonl.gz")
    published = read_packed(qvhighlights / f"{system}_val_metrics.json.gz")
    brief = published.pop("brief")
    assert result.protocol == "qvhighlights" and result.official == published
    assert sum(len(numbers) for table in published.values() for numbers in table.values() if isinstance(numbers, dict)
               ) >= 80
    assert brief["MR-full-mAP"] == percent(result.scores)["mAP"]


def test_univtg(qvhighlights: Path) -> None:
    result = evaluate(qvhighlights / "univtg_val.jsonl.gz", qvhighlights / "highlight_val_release.jsonl.gz")
    assert {name: percent(result.scores)[name] for name in UNIVTG} == UNIVTG


def test_moment_detrs_own_sample(qvhighlights: Path) -> None:
    """The sample in Moment-DETR's repository, a checkout of which HICM_MOMENT_DETR names."""
    folder = os.environ.get("HICM_MOMENT_DETR")
    if not folder:
        pytest.skip("needs HICM_MOMENT_DETR, a folder with a checkout of Moment-DETR")
    result = evaluate(Path(folder) / "standalone_eval" / "sample_val_preds.jsonl",
                      qvhighlights / "highlight_val_release.jsonl.gz", "charades", rules={"highlights": True})
    assert result.ranges == {"short": 429, "middle": 957, "long": 574}
    names = ("R1@0.3", "R1@0.5", "R1@0.7", "mIoU", "mAP", "mAP@0.5", "mAP@0.75", "short-mAP", "middle-mAP", "long-mAP",
             *(f"HL-{kind}-{level}" for level in ("VeryGood", "Good", "Fair") for kind in ("mAP", "Hit1")))
    assert [percent(result.scores)[name] for name in names] == [
        67.48, 53.94, 34.84, 49.21, 32.20, 54.96, 31.01, 3.28, 32.30, 41.11, 35.65, 55.55, 58.09, 64.45, 67.77, 66.45]


def read(folder: Path, name: str) -> tuple[Annotations, list[str]]:
    warnings: list[str] = []
    files: Any = folder / name
    if "charades_sta" in name:
        files = [files, folder / name.replace("charades_sta", "Charades_v1").replace(".txt", ".csv")]
    return read_annotations(files, warnings), warnings


@pytest.mark.parametrize("name", SIZES)
def test_sizes_after_cleaning(name: str, annotated: Path) -> None:
    videos, queries, counts = SIZES[name]
    annotations, warnings = read(annotated, name)
    assert len(annotations.queries) == queries and len({query.video for query in annotations.queries}) == videos
    assert sorted(annotations.counts.values()) == sorted(counts) and len(warnings) == len(counts)
    assert all(query.windows.shape[1] == 2 and (np.diff(query.windows) >= 0).all() for query in annotations.queries)
    if "train" not in name and "tacos" in name:
        assert [query.id for query in annotations.queries] == [str(at) for at in range(1, queries + 1)]


def whole_videos(annotations: Annotations) -> Submission:
    whole = {query.id: Prediction(np.array([[0.0, query.duration, 1.0]])) for query in annotations.queries}
    return Submission(whole, "")


@pytest.mark.parametrize(("name", "protocol", "expected"), [
    ("charades/charades_sta_test.txt.gz", "charades", {"R1@0.3": 35.0, "R1@0.5": 0.43, "R1@0.7": 0.0, "mIoU": 27.13}),
    ("tacos/test.json.gz", "tacos", {"R1@0.3": 5.9, "R1@0.5": 1.55, "R1@0.7": 0.77, "mIoU": 8.76}),
    ("qvhighlights/highlight_val_release.jsonl.gz", "charades",
     {"R1@0.3": 20.06, "R1@0.5": 9.03, "R1@0.7": 6.06, "mIoU": 23.89, "mAP": 5.58}),
])
def test_the_whole_video_as_prediction(name: str, protocol: str, expected: dict[str, float], annotated: Path) -> None:
    annotations, _ = read(annotated, name)
    scores = percent(evaluate(whole_videos(annotations), annotations, protocol).scores)
    assert {metric: scores[metric] for metric in expected} == expected


@pytest.mark.parametrize(("step", "expected"), [(1.0, {"mIoU": 93.77, "R1@0.7": 99.81, "mAP": 92.70}),
                                                (0.17, {"mIoU": 98.87, "mAP": 99.98})])
def test_what_the_grid_costs(step: float, expected: dict[str, float], annotated: Path) -> None:
    annotations, _ = read(annotated, "charades/charades_sta_test.txt.gz")
    rounded = {query.id: Prediction(np.concatenate([round_to_grid(query.windows, step), [[1.0]]], axis=1))
               for query in annotations.queries}
    scores = percent(evaluate(Submission(rounded, ""), annotations, "charades").scores)
    assert {metric: scores[metric] for metric in expected} == expected


def test_the_ceiling_on_qvhighlights(annotated: Path) -> None:
    annotations, _ = read(annotated, "qvhighlights/highlight_val_release.jsonl.gz")
    true = {query.id: Prediction(np.concatenate([query.windows, np.ones((len(query.windows), 1))], axis=1))
            for query in annotations.queries}
    scores = percent(evaluate(Submission(true, ""), annotations, "mesm-qvhighlights").scores)
    assert [scores[name] for name in ("mAP", "short-mAP", "middle-mAP", "long-mAP")] == [99.76, 79.75, 89.80, 92.73]
