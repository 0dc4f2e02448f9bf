"""Equal to the reference implementations: MESM's evaluation, Moment-DETR's standalone evaluation, their windows.

The golden file is read from HICM_MESM_EVAL (default: the one beside the checkout), so that another file of the same
form can be checked.
"""

from typing import Any

import numpy as np
import pytest

from hicm.moments.postprocess import post_process, suppress
from hicm.moments_eval import Result, evaluate
from hicm.moments_eval.metrics.highlights import rank_quality

EXACT = 1e-9
BLOCKS = ("charades", "charades_vgg", "tacos", "qvhighlights")


def rules_of(block: dict[str, Any], processed: bool) -> tuple[str, dict[str, Any]]:
    """The protocol of a block, and the rules by which raw windows become those that are scored."""
    settings = block["settings"]
    long = settings["max_ts_val"] > 150
    rules = {"clamp": settings["max_ts_val"], "round": max(settings["clip_len"], 0)} if processed else {}
    return "tacos" if long else "charades", {**rules, "highlights": "highlight" in block}


def score(block: dict[str, Any], processed: bool = True) -> Result:
    protocol, rules = rules_of(block, processed)
    return evaluate(block["predictions_raw"], block["ground_truth"], protocol, rules=rules)


@pytest.fixture(scope="module", params=BLOCKS)
def block(request: pytest.FixtureRequest, moments_golden: dict[str, Any]) -> dict[str, Any]:
    if request.param not in moments_golden["blocks"]:
        pytest.skip(f"this golden file has no block {request.param}")
    return moments_golden["blocks"][request.param]


def test_tables_are_equal_to_the_printed_digit(block: dict[str, Any]) -> None:
    official = score(block).official
    expected = {part: table for part, table in block["metrics"].items() if part != "brief"}
    assert len(expected) >= 3
    assert {part: official[part] for part in expected} == expected
    assert {part for part in official if "HL" not in part} == set(expected), "ranges without queries are absent"


def test_the_named_protocols_process_windows_as_these_rules_do(block: dict[str, Any]) -> None:
    settings = block["settings"]
    names = {(1, 150): "mesm-charades", (0.17, 150): "mesm-charades-vgg", (-1, 1000): "mesm-tacos",
             (2, 150): "mesm-qvhighlights"}
    name = names[settings["clip_len"], settings["max_ts_val"]]
    named = evaluate(block["predictions_raw"], block["ground_truth"], name)
    assert named.official == {part: table for part, table in score(block).official.items() if "HL" not in part}


def test_unprocessed_windows(block: dict[str, Any]) -> None:
    scores = score(block, processed=False).scores
    checked = 0
    for name, value in block["metrics_unprocessed"].items():
        part, metric = name.removeprefix("MR-").split("-")
        metric = "mIoU" if metric == "miou" else metric
        ours = scores.get(metric if part == "full" else f"{part}-{metric}")
        assert value == (None if ours is None else float(f"{100 * ours:.2f}")), name
        checked += 1
    assert checked >= 10


def test_every_query(block: dict[str, Any]) -> None:
    result = score(block)
    assert set(result.queries) == set(block["per_query"])
    for query, expected in block["per_query"].items():
        own = result.per_query[query]
        assert own["mIoU"] == pytest.approx(expected["first_window_iou"], abs=EXACT), query
        assert [own[f"mAP@{tiou:g}"] for tiou in result.rules.tious] == pytest.approx(expected["ap"], abs=EXACT), query


def test_how_many_queries_a_range_has(block: dict[str, Any]) -> None:
    result = score(block)
    for line in block["range_log"]:
        part, count = line.partition(":")[0], int(line.rpartition(" ")[0].rpartition(" ")[2].partition("/")[0])
        assert count == result.ranges.get(part, len(result.queries)), line


def test_windows_are_processed_alike(block: dict[str, Any]) -> None:
    settings = block["settings"]
    for row in block["predictions_raw"]:
        windows = np.array(row["pred_relevant_windows"])
        made = post_process(windows, settings["max_ts_val"], max(settings["clip_len"], 0))
        assert np.abs(made - np.array(block["windows_processed"][str(row["qid"])])).max() <= 1e-5


def test_highlights(moments_golden: dict[str, Any]) -> None:
    block = moments_golden["blocks"]["qvhighlights"]
    result = score(block)
    assert {level: result.official[level] for level in block["highlight"]} == block["highlight"]
    for query, levels in block["highlight_per_query_ap"].items():
        place = result.place_of(query)
        for level, values in levels.items():
            assert result.measures[f"HL-mAP-{level}"].statistics[place, :3] == pytest.approx(values, abs=EXACT)


def test_moment_detr_itself(moments_golden: dict[str, Any]) -> None:
    block = moments_golden["blocks"]["qvhighlights"]
    settings = block["settings"]
    result = evaluate(block["predictions_raw"], block["ground_truth"], "qvhighlights",
                      rules={"clamp": settings["max_ts_val"], "round": settings["clip_len"]})
    official = {f"{part}": table for part, table in result.official.items()}
    for name, value in block["moment_detr_brief"].items():
        if name.startswith("HL"):
            level, metric = name.rpartition("-")[::2]
            assert official[level][f"HL-{metric}"] == value, name
            continue
        part, metric = name.removeprefix("MR-").split("-")
        kind, _, threshold = metric.partition("@")
        assert official[part][f"MR-{kind}"][threshold or "average"] == value, name


def test_small_cases(moments_golden: dict[str, Any]) -> None:
    assert len(moments_golden["small_cases"]) >= 10
    for case in moments_golden["small_cases"]:
        predictions = [{"qid": 1, "pred_relevant_windows": case["pred"]}]
        annotations = [{"qid": 1, "query": "", "duration": 150, "relevant_windows": case["true"]}]
        table = evaluate(predictions, annotations, "charades").official["full"]
        assert table == {"MR-mAP": case["mAP"], "MR-R1": case["R1"]}, case["name"]


def test_post_processing(moments_golden: dict[str, Any]) -> None:
    content = moments_golden["post_processing"]
    windows = np.concatenate([np.array(content["input"]), np.array(content["scores"])[:, None]], axis=1)
    for case in content["outputs"]:
        settings = case["settings"]
        made = post_process(windows, settings["max_ts_val"], max(settings["clip_len"], 0))
        assert np.abs(made - np.array(case["output"])).max() <= 1e-5, settings
        assert made[:, 2].tolist() == [row[2] for row in case["output"]]


def test_suppression(moments_golden: dict[str, Any]) -> None:
    assert len(moments_golden["nms"]) >= 5
    for case in moments_golden["nms"]:
        made = suppress(np.array(case["input"]), case["threshold"], case["max_after"])
        assert made.tolist() == case["output"]


def test_average_precision_of_highlights(moments_golden: dict[str, Any]) -> None:
    for case in moments_golden["highlight_ap_cases"]:
        labels = np.array(case["labels"], dtype=bool)
        scores = np.zeros(len(labels))
        given = np.array(case["scores"])[:len(labels)]
        scores[:len(given)] = given
        found = rank_quality(scores[None], labels[None], np.array([len(labels)]))
        assert found.tolist() == pytest.approx([case["ap"]], abs=EXACT), case["name"]
