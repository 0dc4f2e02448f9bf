"""How many events, how many repeated captions, and why CIDEr is 0."""

import json
from pathlib import Path
from typing import Any

import pytest

from hicm.cli import main
from hicm.dvc_eval import Result, evaluate


def track(*events: tuple[float, float, str]) -> list[dict[str, Any]]:
    return [{"sentence": text, "timestamp": [start, end]} for start, end, text in events]


def reference(*events: tuple[float, float, str]) -> dict[str, Any]:
    return {"duration": 99, "timestamps": [[start, end] for start, end, _ in events],
            "sentences": [text for *_, text in events]}


SALT, STIR, COOK = (0, 10, "add the salt to it"), (10, 20, "stir it all up"), (0, 10, "Add the  salt to it")
SINGLE = {"a": reference(SALT), "b": reference(STIR)}


def score(predictions: Any, references: Any, protocol: str = "vidchapters", **options: Any) -> Result:
    return evaluate(predictions, references, protocol, metrics=options.pop("metrics", ["CIDEr"]), **options)


def test_amounts() -> None:
    predictions = {"a": track(SALT, STIR, COOK), "b": track(STIR), "c": []}
    result = score(predictions | {"unknown": track(SALT)}, SINGLE | {"c": reference(SALT), "d": reference(SALT, STIR)})
    stored = result.to_json()["events"]
    assert stored["predicted"] == {"videos": 3, "events": 4, "events_per_video": pytest.approx(4 / 3),
                                   "repeated_in_video": 0.25, "repeated": 0.5}
    assert stored["reference"] == {"videos": 4, "events": 5, "events_per_video": 1.25, "repeated_in_video": 0.0,
                                   "repeated": 0.6}
    assert ("events per video: 1.33 predicted, 1.25 reference; repeated captions: predicted 25.0 % in a video, "
            "50.0 % in all; reference 0.0 % in a video, 60.0 % in all") in str(result)


def test_several_annotators_are_lists_of_their_own() -> None:
    stored = score({"a": track(SALT)}, [{"a": reference(SALT)}, {"a": reference(SALT, STIR)}]).to_json()["events"]
    assert stored["reference"] == {"videos": 2, "events": 3, "events_per_video": 1.5, "repeated_in_video": 0.0,
                                   "repeated": pytest.approx(1 / 3)}


def test_amounts_of_halves_add_up() -> None:
    predictions = {"a": track(SALT, COOK), "b": track(SALT, STIR)}
    whole = score(predictions, SINGLE)
    halves = [score(predictions, {video: SINGLE[video]}) for video in "ab"]
    assert (halves[0] + halves[1]).to_json()["events"] == whole.to_json()["events"]


NEAR, FAR = (1, 10, "salt"), (50, 60, "salt")


@pytest.mark.parametrize(("predictions", "references", "noted"), [
    ({"a": track(SALT), "b": track(STIR)}, SINGLE, "for 2 of 2 videos (first: a), whatever"),
    ({"a": track(SALT, NEAR), "b": track(STIR)}, SINGLE, "for 2 of 2 videos"),  # two pairs, one reference
    ({"a": track(SALT, FAR), "b": track(STIR)}, SINGLE, "for 1 of 2 videos (first: b)"),
    ({"b": track(STIR)}, SINGLE, "for 1 of 1 videos (first: b)"),
    ({"a": track((0, 6, "salt"))}, {"a": reference(SALT)}, "for 1 of 1 videos (first: a) at some thresholds"),
    ({"a": track(FAR), "b": track(FAR)}, SINGLE, None),  # nothing matches: 0 is right
    ({"a": track(SALT, STIR)}, {"a": reference(SALT, STIR)}, None),
    ({"a": track(SALT, STIR)}, {"a": reference(SALT, (10, 20, "add the salt to it."))}, "for 1 of 1 videos"),
])
def test_why_cider_is_zero(predictions: Any, references: Any, noted: str | None) -> None:
    result = score(predictions, references)
    if noted is None:
        assert result.notes == ()
        return
    assert len(result.notes) == 1 and f"CIDEr is 0 by its formula {noted}" in result.notes[0]
    assert "--rule cider=corpus" in result.notes[0] and result.to_json()["notes"] == list(result.notes)
    assert f"note: {result.notes[0]}" in str(result)


def test_a_note_is_true() -> None:
    """A video is noted exactly if better captions cannot raise its score."""
    predictions = {"a": track(SALT), "b": track(STIR, FAR)}
    result = score(predictions, SINGLE)
    assert "1 of 2 videos (first: a)" in result.notes[0]
    assert result.per_video["a"]["CIDEr"] == 0 < result.per_video["b"]["CIDEr"]
    assert score(predictions, SINGLE, rules={"cider": "corpus"}).scores["CIDEr"] > 5
    assert score(predictions, SINGLE, rules={"cider": "corpus"}).notes == ()
    assert score(predictions, SINGLE, metrics=["F1"]).notes == ()


@pytest.mark.parametrize(("protocol", "metric"), [
    ("activitynet-2018-corpus-cider", "CIDEr"), ("vidchapters-vc", "CIDEr"), ("video-recap", "CIDEr"),
    ("hicm", "para_CIDEr")])
def test_corpora_of_one_text(protocol: str, metric: str) -> None:
    alone = score({"a": track(SALT)}, {"a": reference(SALT)}, protocol, metrics=[metric])
    assert alone.scores[metric] == 0
    assert [note.partition(" by")[0] for note in alone.notes] == [f"{metric} is 0"]
    two = score({"a": track(SALT), "b": track(STIR)}, SINGLE, protocol, metrics=[metric])
    assert two.scores[metric] > 5 and two.notes == ()


@pytest.mark.parametrize("style", [[], ["--json"], ["--markdown"], ["--latex"]])
def test_the_command_says_so_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                               style: list[str]) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"results": {"a": track(SALT), "b": track(STIR)}}))
    (tmp_path / "r.json").write_text(json.dumps(SINGLE))
    assert main(["evaluate", str(tmp_path / "p.json"), str(tmp_path / "r.json"), "--metrics", "CIDEr", *style]) == 0
    out, err = capsys.readouterr()
    assert err.count("note: CIDEr is 0 by its formula for 2 of 2 videos") == 1 and "note:" not in out
    assert ("events per video: 1.00 predicted" in (err if style in (["--markdown"], ["--latex"]) else out)
            or "events_per_video" in out)
