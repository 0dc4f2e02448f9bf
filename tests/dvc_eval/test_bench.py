"""The benchmark of evaluation: its reference way, its made-up predictions, its exit status."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts import load_script

ROOT = Path(__file__).resolve().parent.parent.parent
REFERENCES = {f"v_{k}": {"duration": 60.0 + k, "timestamps": [[9.0 * n, 9.0 * n + 8 + k % 3] for n in range(6)],
                         "sentences": [f"stir pot {k} with spoon {n}" for n in range(6)]} for k in range(200)}


def bench(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "scripts/bench_evaluation.py", *arguments], cwd=ROOT, capture_output=True,
                          text=True, check=False)


def files(golden: Path, annotators: int) -> list[str]:
    return [str(golden / "dvc_eval" / f"{name}.json")
            for name in ("predictions", "references_1", "references_2")[:annotators + 1]]


def test_ours_alone(golden: Path) -> None:
    done = bench(*files(golden, 2), "--skip-reference", "--repeat", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^ours, first run here +\d+\.\d\d +fills caches$", done.stdout, re.MULTILINE)
    assert re.search(r"^ours, warm, best of 1 +\d+\.\d\d$", done.stdout, re.MULTILINE)
    assert re.search(r"peak memory of ours, warm: \d+ MiB", done.stdout)
    assert "26 predicted events of 10 videos, 2 reference files, protocol vidchapters" in done.stdout
    assert "reference way" not in done.stdout


@pytest.mark.parametrize(("arguments", "message"), [
    (["said.json"], "expected predictions and at least one reference file"),
    (["said.json", "written.json", "--protocol", "activitynet-2018"], "add --skip-reference"),
    (["said.json", "written.json", "--repeat", "0"], "expected 1 or more"),
])
def test_bad_calls(arguments: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match="2"):
        load_script("bench_evaluation").main(arguments)
    assert message in capsys.readouterr().err


def test_a_run_that_fails_says_why() -> None:
    with pytest.raises(SystemExit, match="ours failed: ZeroDivisionError: division by zero"):
        load_script("bench_evaluation").run("ours", ["-c", "1 / 0"])


def test_differences() -> None:
    module = load_script("bench_evaluation")
    ours = dict.fromkeys(module.MUST_SHARE, 0.5) | {"soda_d_f": 0.1}
    assert module.largest_difference(ours, ours) == (0.0, "METEOR")
    assert module.largest_difference(ours, ours | {"F1": 0.75, "more": 1.0}) == (0.25, "F1")
    difference, name = module.largest_difference(ours, ours | {"F1": 0.75, "CIDEr": float("nan")})
    assert name == "CIDEr" and not difference <= module.TOLERANCE
    with pytest.raises(SystemExit, match="not computed by both: METEOR"):
        module.largest_difference({name: value for name, value in ours.items() if name != "METEOR"}, ours)


def test_perturbed_predictions_are_reproducible() -> None:
    code = ("import json, sys; sys.path.insert(0, 'scripts'); from bench_evaluation import perturb; "
            "print(json.dumps(perturb(json.load(sys.stdin), 3)))")
    once = load_script("bench_evaluation").perturb(REFERENCES, 3)
    again = subprocess.run([sys.executable, "-c", code], cwd=ROOT, input=json.dumps(REFERENCES), capture_output=True,
                           text=True, check=True)
    assert json.loads(again.stdout) == once
    assert load_script("bench_evaluation").perturb(REFERENCES, 4) != once


def test_perturbed_predictions_look_like_predictions() -> None:
    results = load_script("bench_evaluation").perturb(REFERENCES, 0)["results"]
    assert len(results) == 198 and sum(not events for events in results.values()) >= 2
    events = [(video, event) for video, rows in results.items() for event in rows]
    assert 5.5 < len(events) / len(results) < 6.5
    copied = {"span": 0, "caption": 0}
    for video, event in events:
        start, end = event["timestamp"]
        assert 0 <= start <= end <= max(REFERENCES[video]["duration"], 55.0)
        assert event["sentence"].strip()
        copied["span"] += [start, end] in REFERENCES[video]["timestamps"]
        copied["caption"] += event["sentence"] in REFERENCES[video]["sentences"]
    assert all(0.1 < count / len(events) < 0.5 for count in copied.values()), copied


@pytest.mark.java
def test_against_the_reference_way(golden: Path) -> None:
    done = bench(*files(golden, 1), "--repeat", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    ratio = re.search(r"^ours, warm, best of 1 +\d+\.\d\d +(\d+\.\d)$", done.stdout, re.MULTILINE)
    assert float(ratio[1]) > 1
    assert re.search(r"^reference way +\d+\.\d\d$", done.stdout, re.MULTILINE)
    assert re.search(r"^largest difference of \d+ scores: ", done.stdout, re.MULTILINE)


@pytest.mark.java
@pytest.mark.parametrize(("case", "annotators"), [("one reference file", 1), ("two reference files", 2)])
def test_reference_way_on_the_golden_case(golden: Path, monkeypatch: pytest.MonkeyPatch, case: str,
                                          annotators: int) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    predictions, *references = (json.loads(Path(path).read_text(encoding="utf-8"))
                                for path in files(golden, annotators))
    expected = json.loads((golden / "dvc_eval" / "scores.json").read_text())[case]["scores"]
    found = load_script("reference_scoring").reference_scores(predictions, references)
    assert found == pytest.approx(expected, abs=1e-9)


def test_overlapping_events_beside_another_checkout(golden: Path) -> None:
    """Here beside itself: the scores are equal, so the exit status is 0."""
    done = bench("--overlapping", "3", "--against", str(ROOT), "--repeat", "1", files(golden, 1)[1])
    assert (done.returncode, done.stderr) == (0, "")
    assert "one video, 3 predictions that overlap all of 3 events, protocol vidchapters" in done.stdout
    assert re.search(r"^1( +\d+\.\d\d){5}( +\d+){2}$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("scores: equal to the last digit\n")


def test_all_events_overlap() -> None:
    predictions, references = load_script("bench_evaluation").overlapping(REFERENCES, 20)
    starts, ends = zip(*(event["timestamp"] for event in predictions["results"]["dense"]), strict=True)
    assert max(starts) <= 100 < 900 <= min(ends) and len(starts) == 20
    assert len(references["dense"]["sentences"]) == len(references["dense"]["timestamps"]) == 20
