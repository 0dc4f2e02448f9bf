"""Warnings count captions and videos as a reader of the files would; numbers and ids as other programs write them."""

import json
import warnings
from typing import Any

import numpy as np
import pytest

from hicm.dvc_eval import evaluate
from hicm.dvc_eval.inputs.case import nearly_equal
from hicm.dvc_eval.metrics import scoring
from hicm.errors import UserError
from hicm.evaluation.output import system_warnings

LOCAL = ["CIDEr", "ROUGE_L", "F1"]


def predicted(videos: int, *texts: str) -> dict[str, Any]:
    return {f"v{at}": [{"sentence": text, "timestamp": [10 * place, 10 * place + 9]} for place, text in
                       enumerate(texts)] for at in range(videos)}


def annotated(videos: int, *texts: str) -> dict[str, Any]:
    spans = [[10 * place, 10 * place + 9] for place in range(len(texts))]
    return {f"v{at}": {"duration": 100, "timestamps": spans, "sentences": list(texts)} for at in range(videos)}


@pytest.mark.parametrize("events", [scoring.EVENTS, 10])
def test_every_caption_is_counted(monkeypatch: pytest.MonkeyPatch, events: int) -> None:
    """Equal captions too, whether they are scored at once or in parts, by one protocol or several."""
    monkeypatch.setattr(scoring, "EVENTS", events)
    content = predicted(7, "", "café", "stir\vit", "7 &eacute; 8", "")
    for result in evaluate(content, annotated(7, "add salt", "."), ["hicm", "vidchapters", "activitynet-2018"],
                           metrics=["CIDEr", "para_CIDEr"]):
        assert [warning.partition(",")[0] for warning in result.warnings if "captions" in warning][:5] == [
            "predictions: 7 captions contain a line break (CR",
            "predictions: 7 captions contain characters outside ASCII",
            "predictions: 14 captions have no words; they count as empty",
            "references: 7 captions have no words; they count as empty",
            "7 captions contain text that the tokeniser's rules were not verified on; compare with the jar: "
            "--check-with-java"]


def test_captions_that_only_paragraphs_lose_are_counted_there() -> None:
    content, references = predicted(3, "", "350", "stir"), annotated(3, "1 2", "stir")
    both, paragraphs = (evaluate(content, references, "hicm", metrics=metrics).warnings
                        for metrics in (["CIDEr", "para_CIDEr"], ["para_CIDEr"]))
    lost = ("predictions: 6 captions have no letters a to z; paragraphs leave them out",
            "references: 3 captions have no letters a to z; paragraphs leave them out")
    assert paragraphs == lost and both == ("predictions: 3 captions have no words; they count as empty", *lost)
    once = evaluate(predicted(3, "", "stir"), references, "hicm", metrics=["CIDEr", "para_CIDEr"]).warnings
    assert once == ("predictions: 3 captions have no words; they count as empty", lost[1])


@pytest.mark.parametrize("protocol", ["vidchapters-vc", "video-recap"])
def test_empty_captions_of_clips_are_counted(protocol: str) -> None:
    found = evaluate(predicted(3, "", "stir"), annotated(3, "add", " "), protocol, metrics=["CIDEr"]).warnings
    assert found == ("predictions: 3 captions have no words; they count as empty",
                     "references: 3 captions have no words; they count as empty")


@pytest.mark.parametrize(("files", "beyond"), [("per-file", 1), ("merged", 2), ("multi", 1)])
def test_a_video_of_two_annotators_is_one_video(files: str, beyond: int) -> None:
    """v0: 500 predictions and twice 495 events; v1: twice 300, which are 600 for SODA only where files are merged."""
    content = predicted(2, *["stir"] * 500)
    references = annotated(1, *["stir"] * 495) | {"v1": annotated(1, *["stir"] * 300)["v0"]}
    found = evaluate(content, [references, references], metrics=["soda_d"], rules={"soda_files": files}).warnings
    assert [line for line in found if line.startswith(f"{beyond} videos have more than 990")], found


def test_single_precision_gives_no_warning() -> None:
    content = {"a": [{"sentence": "add salt", "timestamp": np.array([0, 9.3], np.float32)},
                     {"sentence": "stir", "timestamp": [np.float16(10), np.float32(20)]}]}
    references = {"a": {"duration": np.float32(20), "timestamps": [[np.float32(0), np.float32(9.3)], [10, 20]],
                        "sentences": ["add salt", "stir"]}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate(content, references, metrics=["F1"])
    assert result.scores["F1"] == 1 and result.warnings == ()
    for number in (np.float32("inf"), np.float32("nan")):
        content["a"][1]["timestamp"] = [0, number]
        with pytest.raises(UserError, match=r"video a, event 1: timestamp .*expected finite seconds"):
            evaluate(content, references, metrics=["F1"])


@pytest.mark.parametrize(("ours", "theirs", "rule"), [
    ("v_a", "a", "the prefix 'v_'"), ("a", "v_a", "the prefix 'v_'"), ("aB", "Ab", "case"),
    ("a.mp4", "a", "a file ending"), ("a", "a.mkv", "a file ending"), ("a.mp4.npy", "a.mp4", "a file ending"),
    ("a.mp4", "a.webm", "a file ending"), ("v_A.MP4", "a", "the prefix 'v_' and case and a file ending"),
    ("V_a", "a", "the prefix 'v_'"), ("scene.01", "scene.02", ""), ("b", "a", ""), (".mp4", "a", "")])
def test_ids_that_differ_by_their_spelling(ours: str, theirs: str, rule: str) -> None:
    assert nearly_equal({ours, "x"}, {theirs, "y"}) == (rule, [ours] if rule else [])
    event = {"sentence": "stir", "timestamp": [0, 9]}
    entry = {"timestamps": [[0, 9]], "sentences": ["stir"]}
    with pytest.raises(UserError) as caught:
        evaluate({ours: [event]}, {theirs: entry}, metrics=["F1"])
    ids = f"predicted ids: {ours}; reference ids: {theirs}"
    hint = f"; 1 differ only by {rule}: rename them in one of the files" if rule else ""
    assert str(caught.value).endswith(ids + hint)
    beside = evaluate({ours: [event], "k": [event]}, {theirs: entry, "k": entry}, metrics=["F1"])
    assert beside.coverage["unknown_but_for_prefix"] == ([ours] if rule else [])
    line = f"1 predicted ids differ from missing ones only by {rule} (first: {ours}); they are not scored"
    assert any(warning.startswith(line) for warning in beside.warnings) == bool(rule)


def test_counts_of_compared_systems(tmp_path: Any) -> None:
    systems = {name: evaluate(predicted(4, text), annotated(4, "stir"), metrics=["CIDEr"])
               for name, text in (("one", ""), ("two", "stir"))}
    assert "one: predictions: 4 captions have no words; they count as empty" in system_warnings(systems)
    json.dumps(systems["one"].to_json())
