"""The commands of moments: what they print, write and refuse, and how hicm evaluate finds the task."""

import csv
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from test_moments_results import made_up

from hicm.cli import main, moment_eval
from hicm.moments_eval import PROTOCOLS, evaluate, selftest
from tests.scripts import load_script

ROOT = Path(__file__).resolve().parent.parent.parent
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two submissions and the annotations of made-up queries."""
    folder = tmp_path_factory.mktemp("moments")
    annotations, submission = made_up()
    rows = [{"qid": one.id, "query": one.text, "vid": one.video, "duration": 100,
             "relevant_windows": one.windows.tolist(), "relevant_clip_ids": one.clips.tolist(),
             "saliency_scores": one.ratings.tolist()}
            for one in annotations.queries if one.clips is not None and one.ratings is not None]
    found = {"annotations": rows}
    for name, own in (("ours", made_up(noise=0.5, seed=1)[1]), ("theirs", submission)):
        found[name] = [{"qid": query, "pred_relevant_windows": one.windows.tolist(),
                        "pred_saliency_scores": one.saliency.tolist()} for query, one in own.predictions.items()
                       if one.windows is not None and one.saliency is not None]
    for name, content in found.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    return {name: str(folder / f"{name}.jsonl") for name in found}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """moment-eval, or hicm, in this process: its status, what it printed, what it complained of."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)

    def run(*words: str, entry: Callable[[list[str]], int] = moment_eval) -> tuple[int, str, str]:
        status = entry([*words])
        return status, *capsys.readouterr()
    return run


def refused(done: tuple[int, str, str], program: str = "moment-eval") -> str:
    """The one-line error of a refused command."""
    status, out, err = done
    assert (status, out) == (2, "") and err.count("\n") == 1 and err.startswith(f"{program}: error: "), done
    return err


def test_every_style(files: dict[str, str], run: Run) -> None:
    result = evaluate(files["ours"], files["annotations"])
    asked = files["ours"], files["annotations"]
    table, content, markdown, latex = (run(*asked, *style)
                                       for style in ((), ("--json",), ("--markdown",), ("--latex",)))
    assert [status for status, _, _ in (table, content, markdown, latex)] == [0] * 4
    assert table[1] == f"{result}\n" and json.loads(content[1]) == result.to_json()
    assert f"| qvhighlights | {100 * result.scores['R1@0.5']:.2f} |" in markdown[1]
    assert "coverage: 60 of 60" in markdown[2]
    assert f"qvhighlights & {100 * result.scores['R1@0.5']:.2f} &" in latex[1]
    assert run("evaluate", *asked) == table and run("moments", "evaluate", *asked, entry=main) == table


def test_hicm_evaluate_and_compare_find_the_task(files: dict[str, str], run: Run) -> None:
    asked = files["ours"], files["annotations"]
    assert run("evaluate", *asked, "--json", entry=main) == run(*asked, "--json")
    both = files["theirs"], files["ours"], files["annotations"], "--samples", "50", "--metrics", "mAP"
    assert run("compare", *both, entry=main) == run("compare", *both)
    for option in ("--strict", "--check-with-java"):
        assert f"{option} is for dense captions, but these are moments" in refused(
            run("evaluate", *asked, option, entry=main), "hicm")


def test_the_annotations_tell_the_task(files: dict[str, str], run: Run, tmp_path: Path) -> None:
    """Where the predictions do not."""
    damaged = tmp_path / "other.json"
    damaged.write_text('{"1": "no list"}')
    line = refused(run("evaluate", str(damaged), files["annotations"], entry=main), "hicm")
    assert "not predictions of moments (first entry: '1': 'no list'); expected e.g. {query: [[start, end" in line
    captions = tmp_path / "captions.json"
    captions.write_text('{"v": {"duration": 9, "timestamps": [[0, 9]], "sentences": ["stir"]}}')
    assert "moments" not in refused(run("evaluate", str(damaged), str(captions), entry=main), "hicm")


def test_files_that_both_tasks_would_read(files: dict[str, str], run: Run, tmp_path: Path) -> None:
    both = tmp_path / "both.csv"
    both.write_text("query_id,video_id,start,end,score,sentence\nq0,v0,1,2,0.5,stir\n")
    line = refused(run("evaluate", str(both), files["annotations"], entry=main), "hicm")
    assert "may hold moments or dense captions; score it with moment-eval or dvc-eval" in line


def test_options(files: dict[str, str], run: Run) -> None:
    words = (files["ours"], files["annotations"], "--protocol", "hicm", "charades", "--metrics", "mAP", "R1@0.5",
             "--rule", "round=1", "clamp=150", "--bootstrap", "30", "--seed", "4", "--over", "queries", "--json")
    status, out, _ = run(*words)
    found = evaluate(files["ours"], files["annotations"], ["hicm", "charades"], metrics=["mAP", "R1@0.5"],
                     rules={"round": "1", "clamp": "150"}, bootstrap=30, seed=4, unit="queries")
    assert status == 0 and json.loads(out) == [one.to_json() for one in found]


def test_files_are_written(files: dict[str, str], run: Run, tmp_path: Path) -> None:
    out, table = tmp_path / "scores.json", tmp_path / "queries.csv"
    words = (files["ours"], files["annotations"], "--metrics", "mAP", "--out", str(out))
    assert run(*words, "--per-query", str(table))[0] == 0
    content = json.loads(out.read_text())
    assert content["scores"] == evaluate(files["ours"], files["annotations"], metrics=["mAP"]).scores
    assert content["predictions"]["file"] == "ours.jsonl" and list(content["references"]) == ["annotations.jsonl"]
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == 60 and rows[0]["query"] == "q0" and float(rows[0]["mAP"]) == content["per_query"]["q0"]["mAP"]
    assert run(*words)[0] == 0, "the same scores may be written again"
    other = (files["theirs"], files["annotations"], "--metrics", "mAP", "--out", str(out))
    assert "holds scores that were made with other predictions" in refused(run(*other))
    assert run(*other, "--overwrite")[0] == 0
    assert "exists, and a csv table does not say what it was made from; choose another --per-query" in refused(
        run(*words[:-2], "--per-query", str(table)))
    assert run(*words[:-2], "--per-query", str(tmp_path / "queries.json"))[0] == 0
    assert json.loads((tmp_path / "queries.json").read_text())["q3"]["mAP"] == content["per_query"]["q3"]["mAP"]
    assert "queries.txt: the table per query is written as .csv or .json" in refused(
        run(*words[:-2], "--per-query", str(tmp_path / "queries.txt")))
    assert "is the input" in refused(run(*words[:-1], files["ours"]))


def test_explanation(files: dict[str, str], run: Run) -> None:
    status, out, _ = run(files["ours"], files["annotations"], "--explain", "q4", "--metrics", "mAP", "HL-Hit1-Fair")
    text = out.partition("\n\n")[2]
    assert status == 0 and text.startswith("query q4 under qvhighlights, video v1 of 100 s: 'sentence 4'\n")
    assert text.count("true window ") >= 2 and text.count("\nwindow ") == 2 and "matches true window" in text
    assert "R1 and mIoU: the first listed window [" in text and text.count("\n    clip ") == 5
    own = evaluate(files["ours"], files["annotations"]).per_query["q4"]
    assert f"\nmAP {100 * own['mAP']:.2f}\n" in text
    unknown = refused(run(files["ours"], files["annotations"], "--explain", "x"))
    assert "query x: not scored; scored are q0, q1, q2" in unknown
    assert "--explain and --json are both given" in refused(run(*files.values(), "--explain", "q4", "--json"))


def test_comparison(files: dict[str, str], run: Run) -> None:
    words = ("compare", files["theirs"], files["ours"], files["annotations"], "--samples", "100", "--metrics", "mAP",
             "mIoU", "--protocol", "charades")
    status, out, _ = run(*words)
    assert status == 0 and "on 20 of 20 videos" in out and "p swaps" in out
    content = json.loads(run(*words, "--over", "queries", "--json")[1])
    assert len(content["queries"]) == 60 and content["comparisons"][0]["difference"] > 0
    assert "| mAP | " in run(*words, "--markdown")[1] and "tabular" in run(*words, "--latex")[1]
    assert "--over clips: expected videos or queries" in refused(run(*words, "--over", "clips"))
    assert "1 predictions files among" in refused(run("compare", files["ours"], files["annotations"]))
    plain = refused(run("compare", files["ours"], files["theirs"], "--metrics", "mAP"))
    assert "name the reference annotation files after the predictions" in plain


def test_a_metric_that_a_system_lacks(files: dict[str, str], run: Run, tmp_path: Path) -> None:
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps({f"q{at}": [[1, 2, 0.5]] for at in range(60)}))
    line = refused(run("compare", files["ours"], str(bare), files["annotations"], "--metrics", "HL-mAP-Good"))
    assert "HL-mAP-Good cannot be computed for" in line and "no scores of clips" in line
    status, out, _ = run(str(bare), files["annotations"], "--metrics", "HL-mAP-Good", "mAP")
    assert status == 1 and "left out: HL-mAP-Good: the predictions have no scores of clips" in out
    assert run("compare", files["ours"], str(bare), files["annotations"], "--samples", "20")[0] == 0


@pytest.mark.parametrize(("words", "message"), [
    (["--protocol", "charade"], "protocol 'charade' is unknown"), (["--rule", "round"], "expected name=value"),
    (["--rule", "rond=1"], "the nearest is 'round'"), (["--metrics", "CIDEr"], "metric 'CIDEr' is unknown"),
    (["--bootstrap", "-3"], "bootstrap is -3"), (["--json", "--latex"], "choose one"),
    (["--format", "tacos"], "not predictions in the format tacos"),
    (["--reference-format", "none"], "--reference-format: expected one of"),
])
def test_bad_requests(words: list[str], message: str, files: dict[str, str], run: Run) -> None:
    assert message in refused(run(files["ours"], files["annotations"], *words))


def test_bad_files(files: dict[str, str], run: Run, tmp_path: Path) -> None:
    assert "name the annotation file after the predictions" in refused(run(files["ours"]))
    assert "holds annotations (format qvhighlights), expected predictions" in refused(
        run(files["annotations"], files["ours"]))
    assert "give a file of predicted moments" in refused(run(str(tmp_path / "none.jsonl"), files["annotations"]))
    assert "none.jsonl: annotations cannot be read" in refused(run(files["ours"], str(tmp_path / "none.jsonl")))


def test_protocols_are_printed(run: Run) -> None:
    status, out, _ = run("protocols")
    assert status == 0 and out.startswith("| rule | `hicm` |")
    assert all(f"`{name}`" in out.splitlines()[0] for name in PROTOCOLS) and "| `max_windows` | 10 |" in out


# the check of an installation

@pytest.mark.skipif("HICM_MESM_EVAL" in os.environ, reason="another golden file is named")
def test_selftest_holds_the_golden_numbers(moments_golden: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests" / "golden")
    made = import_module("make_moments_selftest").text(moments_golden)
    assert made == selftest.CASES.read_text(encoding="utf-8")


def test_selftest(run: Run) -> None:
    status, out, err = run("selftest")
    lines = out.splitlines()
    assert (status, err) == (0, "") and lines[-1] == "this installation gives the same numbers as the reference scorers"
    assert all(line.startswith("ok ") for line in lines[1:-1]) and len(lines) == 6
    assert sum(int(line.split()[-2]) for line in lines[1:-1]) > 100
    assert run("moments", "selftest", entry=main) == (status, out, err)


@pytest.mark.parametrize(("case", "metric", "harm", "line"), [
    (0, "short-R1@0.7", 0.0001, "WRONG        mesm-charades-vgg, printed tables"),
    (3, "HL-mAP-Good", 1e-6, "differs most: HL-mAP-Good"), (1, "mAP", float("nan"), "differs most: mAP")])
def test_selftest_finds_wrong_numbers(case: int, metric: str, harm: float, line: str, run: Run, tmp_path: Path,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.loads(selftest.CASES.read_text())
    content["cases"][case]["scores"][metric] += harm
    monkeypatch.setattr(selftest, "CASES", tmp_path / "cases.json")
    selftest.CASES.write_text(json.dumps(content))
    status, out, _ = run("selftest")
    assert status == 1 and line in out and out.count("WRONG") == 1
    assert out.splitlines()[-1] == "1 of 4 cases are wrong: do not publish scores of this installation"


def test_standard_input_and_no_heavy_packages(files: dict[str, str]) -> None:
    heavy = ("torch", "sklearn", "scipy", "h5py", "pycocoevalcap", "numba")
    code = (f"import sys\nsys.modules.update(dict.fromkeys({heavy!r}))\nfrom hicm.cli import moment_eval\n"
            f"sys.exit(moment_eval(['-', {files['annotations']!r}, '--metrics', 'mAP', '--json']))")
    with open(files["ours"], encoding="utf-8") as stream:
        done = subprocess.run([sys.executable, "-c", code], stdin=stream, capture_output=True, text=True, cwd=ROOT,
                              check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scores"] == evaluate(files["ours"], files["annotations"], metrics=["mAP"]).scores


# the benchmark

def test_the_benchmark_alone(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert load_script("bench_moments").main(["--queries", "12", "--repeat", "1"]) == 0
    out = capfd.readouterr().out
    assert "12 queries" in out and out.splitlines()[-1].startswith("1 ")


def test_the_benchmark_compares_numbers(tmp_path: Path, capfd: pytest.CaptureFixture[str],
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a stand-in that gives our numbers, or one of them changed."""
    monkeypatch.chdir(ROOT)
    module = load_script("bench_moments")
    script = tmp_path / module.SCRIPT
    script.parent.mkdir()
    for change, status in ((0, 0), (1, 1)):
        script.write_text(f"import json, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
                          "from hicm.moments_eval import evaluate\n"
                          "given = dict(zip(sys.argv[2::2], sys.argv[3::2]))\n"
                          "table = evaluate(given['--submission_path'], given['--gt_path']).official\n"
                          f"table['full']['MR-mAP']['0.5'] += {change}\n"
                          "json.dump({'brief': {'x': 1}, **table}, open(given['--save_path'], 'w'))\n")
        assert module.main(["--queries", "10", "--repeat", "1", "--against", str(tmp_path)]) == status
        out = capfd.readouterr().out
        assert ("these differ: full/MR-mAP/0.5" if status else "printed numbers: all equal") in out


@pytest.mark.parametrize("words", [[], ["one.jsonl"], ["one.jsonl", "two.jsonl", "--queries", "3"], ["--queries", "-1"],
                                   ["--queries", "3", "--repeat", "0"], ["--queries", "3", "--against", "nowhere"]])
def test_bad_calls_of_the_benchmark(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        load_script("bench_moments").main(words)
    assert "expected" in (err := capsys.readouterr().err) or "name a checkout" in err
