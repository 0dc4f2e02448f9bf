"""The evaluator's commands: what they print, write and refuse, and what they do without packages of other verbs."""

import csv
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from golden_case import files, score

from hicm.cli import dvc_eval, main
from hicm.dvc_eval import evaluate, selftest
from hicm.dvc_eval.inputs.protocols import PROTOCOLS, Protocol
from hicm.dvc_eval.results.explain import explain
from hicm.dvc_eval.words.meteor15 import compiled
from hicm.evaluation.output import system_warnings
from hicm.evaluation.significance import compare

ROOT = Path(__file__).resolve().parent.parent.parent
LOCAL = ["CIDEr", "Recall", "soda_d"]
METRICS = ("--metrics", *LOCAL)
HEAVY = ("torch", "transformers", "h5py", "sklearn", "matplotlib", "jinja2")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command in this process: its status, what it printed, what it complained of."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)

    def run(*words: str, entry: Callable[[list[str]], int] = main) -> tuple[int, str, str]:
        status = entry([*words])
        return status, *capsys.readouterr()
    return run


def refused(done: tuple[int, str, str]) -> str:
    """The one-line error of a refused command."""
    status, out, err = done
    assert (status, out) == (2, "") and err.count("\n") == 1 and err.startswith("hicm: error: "), done
    return err


def test_evaluate_prints_and_parses(golden: Path, run: Run) -> None:
    result = score(golden, metrics=LOCAL)
    table, content, markdown, latex = (run("evaluate", *files(golden), *METRICS, *style)
                                       for style in ((), ("--json",), ("--markdown",), ("--latex",)))
    assert [status for status, _, _ in (table, content, markdown, latex)] == [0] * 4
    assert table[1] == f"{result}\n"
    assert json.loads(content[1]) == result.to_json()
    toolkit = json.loads((golden / "dvc_eval" / "scores.json").read_text())["one reference file"]["scores"]
    numbers = [f"{100 * toolkit[name]:.2f}" for name in LOCAL]
    assert "|  | C | R | SODA d |" in markdown[1] and f"| vidchapters | {' | '.join(numbers)} |" in markdown[1]
    assert f"vidchapters & {' & '.join(numbers)} \\\\\n\\bottomrule" in latex[1]
    assert all(result.signature in out for _, out, _ in (table, markdown, latex))


def test_evaluate_passes_its_options_on(golden: Path, run: Run) -> None:
    status, out, _ = run("evaluate", *files(golden, 2), "--json", "--metrics", "CIDEr", "F1@1s", "--protocol",
                         "vidchapters", "--rule", "missing=zero", "distances=1", "--bootstrap", "40", "--seed", "7",
                         "--jobs", "1")
    result = score(golden, annotators=2, metrics=["CIDEr", "F1@1s"], rules={"missing": "zero", "distances": "1"},
                   bootstrap=40, seed=7)
    assert status == 0 and json.loads(out) == result.to_json()
    assert list(result.scores) == ["CIDEr", "F1@1s"] and result.signature.endswith("|boot:40,seed=7")


def test_several_protocols_write_files_side_by_side(golden: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "predictions_x.json").write_text(Path(files(golden)[0]).read_text())
    names = ["vidchapters", "activitynet-2018"]
    results = score(golden, names, metrics=["CIDEr", "Recall"])
    status, out, _ = run("evaluate", str(tmp_path / "predictions_x.json"), *files(golden)[1:], "--metrics", "CIDEr",
                         "Recall", "--protocol", *names, "--json", "--per-video", str(tmp_path / "videos.csv"), "--out",
                         str(tmp_path / "metrics_x.json"))
    assert status == 0 and json.loads(out) == [result.to_json() for result in results]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "metrics_x.activitynet-2018.json", "metrics_x.json", "predictions_x.json", "videos.activitynet-2018.csv",
        "videos.csv"]
    for result, ending in zip(results, ("", ".activitynet-2018"), strict=True):
        assert without_inputs(tmp_path / f"metrics_x{ending}.json", "predictions_x.json") == result.to_json()
        assert (tmp_path / f"videos{ending}.csv").read_text() == result.to_csv()


def without_inputs(path: Path, predictions: str) -> dict[str, Any]:
    """The content of a file of scores without the digests of what was scored, which it must hold."""
    content = json.loads(path.read_text())
    assert content.pop("predictions")["file"] == predictions and content.pop("references") and content.pop("settings")
    return content


def test_the_table_per_video(golden: Path, tmp_path: Path, run: Run) -> None:
    result = score(golden, metrics=LOCAL)
    for name in ("videos.csv", "videos.json"):  # the scores are the same, so they may be written again
        assert run("evaluate", *files(golden), *METRICS, "--out", str(tmp_path / "m.json"), "--per-video",
                   str(tmp_path / name))[0] == 0
    rows = list(csv.DictReader((tmp_path / "videos.csv").open()))
    assert [row["video"] for row in rows] == list(result.videos)
    assert {row["video"]: float(row["CIDEr@0.5"]) for row in rows} == \
        {video: table["0.5"]["CIDEr"] for video, table in result.per_video_thresholds.items()}
    content = json.loads((tmp_path / "videos.json").read_text())
    assert content.pop("signature") == result.signature and content.pop("scores") == result.scores
    assert content.pop("predictions") and content.pop("references") and content.pop("settings")
    assert content == result.video_table
    assert without_inputs(tmp_path / "m.json", "predictions.json") == result.to_json()
    assert "videos.txt: the table per video is written as .csv or .json; change the ending" in refused(
        run("evaluate", *files(golden), *METRICS, "--per-video", str(tmp_path / "videos.txt")))


def test_protocols_of_one_name_do_not_overwrite_each_other(golden: Path, run: Run, tmp_path: Path) -> None:
    lines = [score(golden, rules={"tious": [tiou]}, metrics=["F1"]).signature for tiou in (0.5, 0.9)]
    status, out, err = run("evaluate", *files(golden), "--protocol", "hicm", *lines, "--metrics", "F1", "--out",
                           str(tmp_path / "m.json"), "--per-video", str(tmp_path / "v.csv"), "--markdown")
    assert status == 0 and [row.split("|")[1].strip() for row in out.splitlines()[2:5]] == [
        "hicm", "vidchapters", "vidchapters-2"]
    assert "vidchapters-2: coverage: 9 of 10 videos scored" in err  # which a table does not hold
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "m.json", "m.vidchapters-2.json", "m.vidchapters.json", "v.csv", "v.vidchapters-2.csv", "v.vidchapters.csv"]
    for name, line in zip(("m.vidchapters.json", "m.vidchapters-2.json"), lines, strict=True):
        assert json.loads((tmp_path / name).read_text())["signature"] == line


def test_terminals_that_know_only_ascii(golden: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "hicm", "protocols"], cwd=ROOT, capture_output=True, check=False,
                          env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and b"\\u2013" in done.stdout and not done.stderr


def test_explain(golden: Path, run: Run) -> None:
    """Prediction 3 of kite_01 lies behind the last event; prediction 0 shares 7 s of 8 s with event 0."""
    status, out, _ = run("evaluate", *files(golden), *METRICS, "--explain", "kite_01")
    lines = out[out.index("video kite_01 under vidchapters"):].splitlines()
    assert status == 0
    assert lines[1] == "prediction 0 [1, 9] 'a girl unrolls a kite'"
    assert re.match(r"    IoU 0\.875  .*event 0 \[2, 9\] 'A girl unrolls the string of a red kite\.'$", lines[2])
    assert lines[3] == "    at IoU 0.9: no event, compared with the unmatched string"
    assert lines[-7:] == [
        "prediction 3 [60, 70] 'people clap'",
        "    at IoU 0.3, 0.5, 0.7, 0.9: no event, compared with the unmatched string",
        "SODA d matches",
        "    prediction 0 with event 0: IoU 0.875",
        "    prediction 1 with event 1: IoU 0.833",
        "    prediction 2 with event 2: IoU 0.882",
        "    sum 2.591 over 4 predictions and 3 events: precision 64.77, recall 86.36, F 74.02"]
    assert "not matched" not in out
    assert "not matched: event 0 [1, 6] 'a diver jumps'" in run(
        "evaluate", *files(golden), *METRICS, "--explain", "dive_06")[1]
    assert "video kite_99: not scored; scored are band_04, bike_03, clay_05 ..." in refused(
        run("evaluate", *files(golden), *METRICS, "--explain", "kite_99"))


@pytest.mark.parametrize(("words", "message"), [
    (("--json", "--latex"), "--json and --latex are both given; choose one"),
    (("--rule", "missing"), "rule 'missing': expected name=value, e.g. missing=zero"),
    (("--rule", "missing=nought"), "rule missing is 'nought', expected one of skip, zero"),
    (("--protocol", "vidchapter"), "protocol 'vidchapter' is unknown; the nearest is 'vidchapters'"),
    (("--strict",), "1 of 10 reference videos are not predicted (first: yarn_09)"),
])
def test_evaluate_refuses_in_one_line(golden: Path, run: Run, words: tuple[str, ...], message: str) -> None:
    assert message in refused(run("evaluate", *files(golden), *METRICS, *words))


def test_evaluate_needs_files(golden: Path, run: Run) -> None:
    assert "name the reference annotation files after the predictions" in refused(run("evaluate", files(golden)[0]))
    assert "none.json" in refused(run("evaluate", "none.json", files(golden)[1]))


@pytest.fixture
def other(golden: Path, tmp_path: Path) -> str:
    """The golden predictions without the last event of each video."""
    content = json.loads(Path(files(golden)[0]).read_text())
    content["results"] = {video: events[:-1] for video, events in content["results"].items()}
    (tmp_path / "other.json").write_text(json.dumps(content))
    return str(tmp_path / "other.json")


def test_compare(golden: Path, other: str, run: Run) -> None:
    predictions, *references = files(golden, 2)
    words = ("compare", predictions, other, *references, *METRICS, "--samples", "50", "--seed", "3")
    systems = {name: evaluate(name, references, metrics=LOCAL) for name in (predictions, other)}
    expected = compare(systems, LOCAL, samples=50, seed=3, warnings=system_warnings(systems))
    assert [warning for warning in expected.warnings if warning.startswith(f"{predictions}: coverage: 9 of 10")]
    printed = {(): str(expected), ("--markdown",): expected.to_markdown(), ("--latex",): expected.to_latex()}
    for style, text in printed.items():
        assert run(*words, *style)[:2] == (0, f"{text}\n")
    status, out, _ = run(*words, "--json")
    assert status == 0 and json.loads(out) == expected.to_json()
    assert run(*words, "--json", entry=dvc_eval)[1] == out


def test_a_system_is_no_better_than_itself(golden: Path, run: Run) -> None:
    predictions, references = files(golden)
    status, out, _ = run("compare", predictions, predictions, references, *METRICS, "--samples", "20", "--json")
    rows = json.loads(out)["comparisons"]
    assert status == 0 and [row["metric"] for row in rows] == LOCAL
    for row in rows:
        assert row["system"] == f"{predictions} (2)" and row["tied"] == 9
        assert row["difference"] == 0 and row["bootstrap_p"] == row["randomisation_p"] == 1


def test_compare_refuses_in_one_line(golden: Path, other: str, run: Run, tmp_path: Path) -> None:
    predictions, references = files(golden)
    assert "predictions after the annotations" in refused(run("compare", predictions, references, other))
    assert "1 predictions files among" in refused(run("compare", predictions, references))
    assert "0 predictions files among" in refused(run("compare", references))
    assert "--markdown and --latex are both given" in refused(run("compare", predictions, other, references,
                                                                  "--latex", "--markdown"))
    assert "name the reference annotation files" in refused(run("compare", predictions, other))
    number = tmp_path / "number.json"
    number.write_text("3")
    assert "number.json: expected predictions or annotations, a json object" in refused(
        run("compare", predictions, str(number), references))


def test_compare_says_why_a_metric_is_not_there(golden: Path, other: str, run: Run, tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    """METEOR without numba: asked for by name it is refused with the reason, else left out and reported."""
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    compiled.load_loops.cache_clear()
    predictions, references = files(golden)
    words = ("compare", predictions, other, references, "--samples", "10")
    assert "METEOR cannot be computed here: " in refused(run(*words, "--metrics", "METEOR"))
    status, out, _ = run(*words)
    assert status == 0 and "warning: left out: METEOR, soda_c: " in out
    status, out, _ = run("evaluate", predictions, references, "--metrics", "METEOR")
    assert status == 1 and "left out: METEOR: " in out
    monkeypatch.undo()
    compiled.load_loops.cache_clear()


@pytest.mark.parametrize("entry", [main, dvc_eval])
def test_protocols_are_printed(run: Run, entry: Callable[[list[str]], int]) -> None:
    status, out, _ = run("protocols", entry=entry)
    header, _, *rows = out.splitlines()
    assert status == 0 and header.split("|")[2:-1] == [f" `{name}` " for name in PROTOCOLS]
    assert [row.split("|")[1].strip(" `") for row in rows] == [name for name in Protocol.__dataclass_fields__
                                                              if name != "name"]
    cells = {row.split("|")[1].strip(" `"): [cell.strip() for cell in row.split("|")[2:-1]] for row in rows}
    assert cells["unmatched"][2] == "abc123!@#" and cells["distances"][1] == "1, 3, 5, 10, 30, 60"


def test_dvc_eval_scores_without_a_verb(golden: Path, run: Run) -> None:
    words = (*files(golden), *METRICS, "--json")
    assert run(*words, entry=dvc_eval) == run("evaluate", *words)
    with pytest.raises(SystemExit, match="0"):
        dvc_eval(["--version"])


# what is not installed: in processes of their own, whose modules are fresh

def fresh(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True,
                          check=False)


def test_the_evaluator_imports_nothing_heavy(golden: Path) -> None:
    done = fresh("import sys; from hicm.cli import dvc_eval; status = dvc_eval(sys.argv[1:]);"
                 f"print([name for name in {HEAVY} if name in sys.modules], 'numba' in sys.modules, status)",
                 *files(golden, 2), "--bootstrap", "10", "--protocol", "hicm", "vidchapters")
    assert done.stdout.splitlines()[-1] == "[] False 0", done.stderr


def test_without_numba_all_but_meteor_is_scored(golden: Path) -> None:
    done = fresh("import sys; sys.modules['llvmlite'] = None; from hicm.cli import dvc_eval;"
                 "sys.exit(dvc_eval(sys.argv[1:]))", *files(golden), "--json")
    content, whole = json.loads(done.stdout), score(golden, metrics=LOCAL).scores
    assert done.returncode == 0 and {name: content["scores"][name] for name in LOCAL} == whole
    assert content["left_out"] == dict.fromkeys(
        ("METEOR", "soda_c"), "METEOR without Java needs numba; pip install numba")
    assert "meteor" not in content["signature"] and not {"METEOR", "soda_c"} & set(content["scores"])


def test_a_package_of_another_verb_is_named(tmp_path: Path) -> None:
    done = fresh("import sys; sys.modules['torch'] = None; from hicm.cli import main; sys.exit(main(sys.argv[1:]))",
                 "train", "configs/yc2.yaml", "--out", str(tmp_path / "run"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "hicm: error: the package torch is not installed; pip install 'hicm[all]'\n"


def test_explain_shows_what_was_not_compared(golden: Path, run: Run) -> None:
    words = ("evaluate", *files(golden), *METRICS)
    out = run(*words, "--rule", "max_proposals=1", "--explain", "kite_01")[1]
    assert out.count("    not compared: beyond the first 1\n") == 3
    missing, empty = (score(golden).coverage[kind][0] for kind in ("missing", "empty"))
    assert f"video {missing}: not scored" in refused(run(*words, "--explain", missing))
    assert "\nnot predicted: counts as 0\n" in run(*words, "--rule", "missing=zero", "--explain", missing)[1]
    assert "\npredicted without events\n" in run(*words, "--explain", empty)[1]
    both = run(*words, "--protocol", "hicm", "vidchapters", "--explain", "kite_01")[1]
    assert re.findall("video kite_01 under (.*);", both) == ["hicm", "vidchapters"]
    assert "--explain and --json are both given" in refused(run(*words, "--json", "--explain", "kite_01"))


def test_explain_of_very_many_events(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hicm.dvc_eval.results.explain.MOST_CELLS", 5)
    lines = explain(score(golden, metrics=["soda_d"]), *files(golden), "kite_01")
    assert lines.splitlines()[-1] == "SODA's matching is not shown: more than 5 pairs of predictions and events"


SODA = [f"soda_{kind}" for kind in "abcd"]


@pytest.mark.parametrize("annotators", [1, 2])
@pytest.mark.parametrize("rules", [{}, {"soda_roles": "corrected", "soda_traceback": "optimal"},
                                   {"soda_files": "merged"}, {"soda_files": "multi"}])
def test_explained_matching_gives_the_scores(golden: Path, annotators: int, rules: dict[str, str]) -> None:
    """For every video and type, the F of the pairs shown (of one list, their mean, or the best) is its score."""
    paths = files(golden, annotators)
    result = evaluate(paths[0], paths[1:], "soda", metrics=SODA, rules=rules)
    shown = 0
    for video in result.videos:
        found: dict[str, dict[str, list[float]]] = {}
        for line in explain(result, paths[0], paths[1:], video).splitlines():
            if heading := re.match(r"SODA (\w)(?:, (file \d))?(?: at IoU \S+)? matches", line):
                kind, file = heading[1], heading[2] or ""
            elif line.startswith("    sum "):
                found.setdefault(kind, {}).setdefault(file, []).append(float(line.rsplit(" ", 1)[1]))
        for kind, lists in found.items():
            best = rules.get("soda_files") == "multi"
            values = [max(values) if best else sum(values) / len(values) for values in
                      (zip(*lists.values(), strict=True) if best else lists.values())]
            shown += 1
            assert sum(values) / len(values) == pytest.approx(100 * result.per_video[video][f"soda_{kind}"], abs=0.006)
    assert shown >= 4 * 8


# the check of an installation

def test_selftest_holds_the_golden_numbers() -> None:
    made = fresh("import sys; sys.path.insert(0, 'tests/golden'); import make_selftest; "
                 "print(make_selftest.text(), end='')")
    assert made.stdout == selftest.CASES.read_text(encoding="utf-8"), made.stderr


def test_selftest(run: Run) -> None:
    status, out, err = run("selftest", entry=dvc_eval)
    lines = out.splitlines()
    assert (status, err) == (0, "") and lines[-1] == "this installation gives the same numbers as the reference scorers"
    assert {line.split()[1].rstrip(",") for line in lines[1:-1]} >= {"vidchapters", "activitynet-2021", "soda"}
    assert all(line.startswith("ok ") for line in lines[1:-1]) and len(lines) == 15


@pytest.mark.parametrize(("harm", "line"), [
    (1.001, "WRONG        vidchapters, 1 reference file                         43  2.1e-03  differs most: CIDEr"),
    (float("nan"), "differs most: METEOR")])
def test_selftest_finds_wrong_numbers(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: float,
                                      line: str) -> None:
    content = json.loads(selftest.CASES.read_text())
    scores = content["cases"][0]["scores"]
    scores |= {name: value * harm for name, value in scores.items()}
    monkeypatch.setattr(selftest, "CASES", tmp_path / "cases.json")
    selftest.CASES.write_text(json.dumps(content))
    status, out, _ = run("selftest")
    assert status == 1 and line in out and out.count("WRONG") == 1
    assert out.splitlines()[-1] == "1 of 13 cases are wrong: do not publish scores of this installation"


def test_selftest_without_numba() -> None:
    done = fresh("import sys; sys.modules['llvmlite'] = None; from hicm.cli import dvc_eval; "
                 "sys.exit(dvc_eval(['selftest']))")
    unchecked = re.findall(r"^not checked .*pip install numba\)$", done.stdout, re.MULTILINE)
    assert done.returncode == 1 and len(unchecked) == done.stdout.count("pip install numba") >= 7
    assert "WRONG" not in done.stdout and done.stdout.splitlines()[-1].startswith("everything computed agrees, but ")
