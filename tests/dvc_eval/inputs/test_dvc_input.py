"""Every kind of bad or odd input: one clear line, or the stated value."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from hicm.dvc_eval import Result, available_metrics, evaluate
from hicm.dvc_eval.inputs.read import read_references
from hicm.dvc_eval.results.signature import references_digest
from hicm.errors import UserError
from hicm.types import Event, Span, Video

LOCAL = ["CIDEr", "Rouge-L", "Bleu_4", "Recall", "Precision", "F1", "soda_d"]
REFERENCE = {
    "one": {"duration": 40, "timestamps": [[0, 10], [10, 20], [25, 40]],
            "sentences": ["add the salt", "stir the hot pot", "serve it with bread"]},
    "two": {"duration": 20.5, "timestamps": [[2, 8], [9, 20]], "sentences": ["wash the rice", "boil the rice"]},
}


def predicted(reference: dict[str, Any] | None = None) -> dict[str, Any]:
    """Predictions that repeat the reference."""
    return {"results": {video: [{"sentence": text, "timestamp": span} for text, span in
                                zip(entry["sentences"], entry["timestamps"], strict=True)]
                        for video, entry in (reference or REFERENCE).items()}}


def score(predictions: Any, references: Any = None, **settings: Any) -> Result:
    return evaluate(predictions, references or REFERENCE, metrics=settings.pop("metrics", LOCAL), **settings)


def changed(value: Any, *path: Any) -> dict[str, Any]:
    """The predictions with one place set to ``value``."""
    content = copy.deepcopy(predicted())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return content


@pytest.mark.parametrize(("predictions", "message"), [
    (changed("soon", "results", "one", 1, "timestamp", 0), "video one, event 1: timestamp .*expected numbers"),
    (changed(float("nan"), "results", "one", 1, "timestamp", 0), "video one, event 1: timestamp .*finite"),
    (changed(float("inf"), "results", "two", 0, "timestamp", 1), "video two, event 0: timestamp .*finite"),
    (changed(10**400, "results", "two", 0, "timestamp", 1), "video two, event 0: timestamp .*finite"),
    (changed(True, "results", "two", 0, "timestamp", 1), "video two, event 0: .*found true/false"),
    (changed(None, "results", "two", 0, "timestamp"), r"video two, event 0: timestamp None, expected \[start, end\]"),
    (changed([1, 2, 3], "results", "two", 0, "timestamp"), r"event 0: timestamp \[1, 2, 3\], expected"),
    (changed(7, "results", "two", 0, "sentence"), "video two, event 0: sentence is a number, expected text"),
    (changed(None, "results", "two", 0, "sentence"), "video two, event 0: sentence is null"),
    (changed({"caption": "x"}, "results", "two", 0), "video two, event 0: no key 'sentence'; found 'caption'"),
    (changed("stir", "results", "two", 0), "video two, event 0: expected .*found text"),
    (changed("stir", "results", "two"), "video two: expected a list of events, found text"),
    (changed([], "results"), "'results' is a list, expected a mapping"),
    ({"version": "1.0"}, "no key 'results'"),
    (REFERENCE, "this is an annotation file"),
    ([], "expected a json object by video id, found a list"),
    ({"results": {}}, "none of the 2 reference videos is predicted"),
    ({"results": {"v_one": [], "v_two": []}}, "none of the 2 .*; 2 differ only by the prefix 'v_': rename them"),
])
def test_bad_predictions(predictions: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        score(predictions)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("references", "message"), [
    ({"one": {"timestamps": [], "sentences": []}}, "video one: no events.*remove the video"),
    ({"one": {"timestamps": [[0, 1]], "sentences": []}}, "video one: 1 timestamps but 0 sentences"),
    ({"one": {"sentences": ["a"]}}, "video one: 'timestamps' is missing, expected a list"),
    ({"one": {"timestamps": "0 1", "sentences": ["a"]}}, "video one: 'timestamps' is text, expected a list"),
    ({"one": {"timestamps": [[0, "1"]], "sentences": ["a"]}}, "video one, event 0: timestamp"),
    ({"one": {"timestamps": [[0, 1]], "sentences": [None]}}, "video one, event 0: sentence is null"),
    ({"one": [0, 1]}, "video one: expected .*found a list"),
    (predicted(), "this is a predictions file"),
    ([{}], "no videos"),
])
def test_bad_references(references: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        score(predicted(), references)
    assert "\n" not in str(caught.value)


def test_no_reference_file() -> None:
    with pytest.raises(UserError, match="expected at least one annotation file"):
        evaluate(predicted(), [])


@pytest.mark.parametrize(("text", "message"), [
    ("{", "not valid json"),
    ("", "not valid json"),
    ("[" * 100_000, "cannot be parsed"),
    ('{"results": {"one": [{"timestamp": [1' + "0" * 5000 + ', 2], "sentence": "x"}]}}', "cannot be parsed"),
])
def test_not_json(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "predictions.json").write_text(text)
    with pytest.raises(UserError, match=f"predictions.json: .*{message}"):
        score(tmp_path / "predictions.json")


def test_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"p\.json: predictions is not UTF-8"):
        score(tmp_path / "p.json")
    with pytest.raises(UserError, match=r"none\.json: references cannot be read"):
        score(predicted(), tmp_path / "none.json")
    (tmp_path / "r.json").write_text(json.dumps({"one": {}}))
    with pytest.raises(UserError, match=r"r\.json: video one: 'timestamps' is missing"):
        score(predicted(), str(tmp_path / "r.json"))


@pytest.mark.parametrize(("metrics", "message"), [
    (["cider"], "metric 'cider' is unknown to protocol vidchapters; the nearest is 'CIDEr'"),
    (["SODA"], "the nearest is 'soda_[cd]'"),
    (["F1@0.4"], r"the nearest is 'F1@0\.\d'"),
    ([], "metrics is empty"),
])
def test_unknown_metric(metrics: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        score(predicted(), metrics=metrics)


def test_unknown_protocol_and_cap() -> None:
    with pytest.raises(UserError, match="protocol 'vidchapter' is unknown; the nearest is 'vidchapters'"):
        score(predicted(), protocol="vidchapter")
    with pytest.raises(UserError, match="rule max_proposals is 0, expected a whole number, 1 or more"):
        score(predicted(), rules={"max_proposals": 0})


def test_names_and_order() -> None:
    """The toolkit's names, in its order; what is asked for comes out, in that order."""
    names = available_metrics()
    assert names[:10] == ("METEOR", "CIDEr", "Rouge-L", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "Recall@0.3",
                          "Precision@0.3", "F1@0.3")
    assert names[19:25] == ("Recall", "Precision", "F1", "Recall@1s", "Precision@1s", "F1@1s")
    assert names[-3:] == ("soda_c", "soda_d", "soda_d_f")
    assert len(names) == 43
    assert list(score(predicted(), metrics={"F1", "soda_d", "CIDEr"}).scores) == ["CIDEr", "F1", "soda_d"]
    assert list(score(predicted(), metrics="F1").scores) == ["F1"]


def test_all_forms_agree(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({**predicted(), "run": "r1"}))
    (tmp_path / "r.json").write_text(json.dumps(REFERENCE))
    videos = {name: Video(name, entry["duration"], tuple(
        Event(Span(*span), text) for span, text in zip(entry["timestamps"], entry["sentences"], strict=True)))
        for name, entry in REFERENCE.items()}
    from_files = score(tmp_path / "p.json", str(tmp_path / "r.json"))
    assert from_files.run == "r1"
    assert score(tmp_path / "p.json", run="mine").run == "mine"
    for predictions in (predicted(), predicted()["results"], {name: video.events for name, video in videos.items()}):
        for references in (REFERENCE, videos, [REFERENCE]):
            assert score(predictions, references).scores == from_files.scores


def test_missing_empty_unknown() -> None:
    predictions = {"results": {"two": [], "v_one": [], "other": []}}
    skipped, counted = score(predictions), score(predictions, protocol="activitynet-2018", metrics=["CIDEr", "Recall"])
    for result, scored in ((skipped, 1), (counted, 2)):
        assert result.coverage == {"videos": 2, "scored": scored, "missing": ["one"], "empty": ["two"],
                                   "unknown": ["other", "v_one"], "unknown_but_for_prefix": ["v_one"]}
        assert set(result.scores.values()) == {0.0}
        assert any("1 of 2 reference videos are not predicted" in warning for warning in result.warnings)
        assert any("differ from missing ones only by the prefix 'v_' (" in warning for warning in result.warnings)
    assert list(skipped.per_video) == ["two"]
    assert list(counted.per_video) == ["one", "two"]


def test_missing_is_skipped_or_zero() -> None:
    part = {"results": {"one": predicted()["results"]["one"]}}
    assert score(part).scores == score(part, {"one": REFERENCE["one"]}).scores
    assert score(part, protocol="activitynet-2018", metrics=["Recall"]).scores == {"Recall": 0.5}


@pytest.mark.parametrize(("spans", "message"), [
    ([[10, 0]], "1 timestamps reversed"), ([[5, 5]], "1 timestamps of zero length"),
    ([[-3, 5]], "1 timestamps with a negative time"), ([[1, 99], [41.5, 42]], "2 timestamps beyond the video's"),
])
def test_odd_spans_are_scored_and_told(spans: list, message: str) -> None:
    result = score(changed([{"sentence": "add the salt", "timestamp": span} for span in spans], "results", "one"))
    assert [warning for warning in result.warnings if warning.startswith(f"predictions: {message}")]
    assert 0 < result.scores["Recall"] < 1


def test_plausible_input_gives_no_warning() -> None:
    assert score(predicted()).warnings == ()


def test_duplicate_keys(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"results": {"one": [], "one": []}}')
    result = score(tmp_path / "p.json")
    assert any("p.json: 1 repeated keys (first: one); the last one counts" in warning for warning in result.warnings)


def test_more_than_the_cap() -> None:
    """The first 1000 count, but for SODA, which takes all."""
    filler = [{"sentence": "add the salt", "timestamp": [100, 101]}] * 1000
    events = predicted()["results"]["one"]
    late = score(changed([*filler, *events], "results", "one"))
    early = score(changed([*events, *filler], "results", "one"))
    assert late.per_video["one"]["Recall"] == 0
    assert early.per_video["one"]["Recall"] == 1
    assert late.per_video["one"]["soda_d"] == early.per_video["one"]["soda_d"] > 0.3
    for result in (late, early):
        assert any("1 videos have more than 1000 predictions (first: one)" in warning for warning in result.warnings)


@pytest.mark.parametrize("character", ["\r", "\v", "\f", "\u2028", "\u2029"])
def test_line_breaks_in_captions(character: str) -> None:
    plain, broken = (score(changed(f"stir{letter}the pot", "results", "one", 1, "sentence"))
                     for letter in (" ", character))
    assert broken.scores == plain.scores
    assert any("1 captions contain a line break" in warning for warning in broken.warnings)


def test_line_feed_and_lone_surrogate_are_blanks() -> None:
    for letter in ("\n", "\ud800", "é"):
        assert score(changed(f"stir{letter}the pot", "results", "one", 1, "sentence")).scores == \
            score(changed("stir the pot", "results", "one", 1, "sentence")).scores


def test_captions_without_words() -> None:
    result = score(changed(", .", "results", "one", 1, "sentence"))
    assert any("predictions: 1 captions have no words" in warning for warning in result.warnings)
    nothing = {"one": {"timestamps": [[0, 10], [10, 20]], "sentences": ["", "-"]}}
    events = [{"sentence": "stir", "timestamp": [0, 10]}, {"sentence": "", "timestamp": [10, 20]}]
    empty = score({"one": events}, nothing, metrics=["CIDEr", "Rouge-L", "Bleu_1"])
    assert empty.scores["CIDEr"] == 0
    assert empty.scores["Rouge-L"] == 0.5  # two empty captions are equal, as in coco-caption
    alone = score({"one": events[1:]}, nothing, metrics=["CIDEr", "Rouge-L", "Bleu_1"])
    assert alone.scores["Bleu_1"] == alone.scores["CIDEr"] == 0


def test_long_captions_and_many_events() -> None:
    long = "stir the pot " * 3300
    assert score(changed(long, "results", "one", 1, "sentence")).scores["CIDEr"] > 0
    many = [{"sentence": "add the salt", "timestamp": [second / 100, second / 100 + 5]} for second in range(100_000)]
    assert score(changed(many, "results", "one")).scores["Recall"] > 0


def test_captions_too_long_and_alike_are_named() -> None:
    """The prediction that says one of them, not the longest one of all."""
    predictions, references = copy.deepcopy(predicted()), copy.deepcopy(REFERENCE)
    predictions["results"]["one"][0]["sentence"] = "stir " * 6000
    predictions["results"]["one"][1]["sentence"] = "salt and pepper " * 3000
    references["one"]["sentences"] = ["stir " * 5000 for _ in references["one"]["sentences"]]
    with pytest.raises(UserError, match=r"^predictions: video one, event 0: METEOR: two similar captions of .* "
                                        r"are compared \(of 6000 and 5000 words\); shorten"):
        evaluate(predictions, references, metrics=["METEOR"])


def test_result_is_plain_and_frozen() -> None:
    result = score(predicted())
    stored = result.to_json()
    assert json.loads(json.dumps(stored)) == stored
    assert {"protocol", "signature", "scores", "per_video", "coverage", "left_out", "run"} <= set(stored)
    assert stored["scores"] == result.scores
    with pytest.raises(AttributeError):
        result.run = "other"


def test_print() -> None:
    one = {"results": {"one": predicted()["results"]["one"]}}
    text = str(score(one, metrics=["CIDEr", "F1", "F1@0.5", "Recall@3s"]))
    assert "1 of 2 videos scored (1 missing, 0 empty, 0 unknown)" in text
    assert text.splitlines()[-1].startswith("proto:vidchapters|metrics:cider+loc|iou:.3,.5,.7,.9|dist:1,3,5,10,30,60|")
    assert [line.split() for line in text.splitlines() if line.lstrip().startswith(("F1", "Recall"))] == [
        ["Recall", "-", "-", "100.00"], ["F1", "100.00", "100.00", "-"]]


def test_signature_tells_what_scored() -> None:
    local = score(predicted(), metrics=["F1", "soda_d"]).signature
    digest = references_digest(read_references(REFERENCE, []))
    assert local == ("proto:vidchapters|metrics:loc|iou:.3,.5,.7,.9|dist:1,3,5,10,30,60|f1:per-threshold|missing:skip|"
                     f"cap:1000|refs:1@{digest}|soda:d,d=mean-of-prf,files=per-file|cov:2/2|v:0.2.0")
    other = score(predicted(), [REFERENCE, REFERENCE], protocol="activitynet-2018", metrics=["CIDEr"]).signature
    digest = references_digest(read_references([REFERENCE, REFERENCE], []))
    assert other == ("proto:activitynet-2018|metrics:cider|iou:.3,.5,.7,.9|unmatched:abc123!@#|idf:video|missing:zero|"
                     f"cap:1000|refs:2@{digest}|tok:ptb3.4.1-native|cov:2/2|v:0.2.0")


def test_two_annotators() -> None:
    """Captions meet every annotator, precision and recall take the better one, SODA the mean over files."""
    other = {"one": {"timestamps": [[0, 30]], "sentences": ["make some food"]}}
    both, first, second = score(predicted(), [REFERENCE, other]), score(predicted()), score(predicted(), other)
    assert both.per_video["two"] == first.per_video["two"]
    assert both.per_video["one"]["Recall"] == 1
    assert both.scores["soda_d"] == pytest.approx((first.scores["soda_d"] + second.scores["soda_d"]) / 2, abs=1e-12)
    assert both.scores["CIDEr"] != first.scores["CIDEr"]


def test_durations_that_are_no_number_are_unknown() -> None:
    """Nobody scores by them, so they are no error."""
    for duration in (10 ** 400, float("nan"), "long", True, None):
        references = {video: {**entry, "duration": duration} for video, entry in REFERENCE.items()}
        assert score(predicted(), references).scores == score(predicted()).scores


def test_ids_that_no_file_can_hold() -> None:
    half = {"\ud800": REFERENCE["one"]}
    for predictions, references in ((predicted(half), half), (predicted(half), REFERENCE), (predicted(), half)):
        with pytest.raises(UserError, match=r"video '\\ud800': holds half a character"):
            evaluate(predictions, references)
    whole = {"café 猫": REFERENCE["one"]}
    assert score(predicted(whole), whole).scores["Recall"] == 1


@pytest.mark.parametrize("references", [None, 3])
def test_references_that_are_none(references: Any) -> None:
    with pytest.raises(UserError, match="references: expected a path, the content of an annotation file, or a list"):
        evaluate(predicted(), references)
