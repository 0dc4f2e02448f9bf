"""What the evaluator's commands read and write: only where asked, checked first, nothing replaced in silence."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_case import files, score

from hicm.cli import dvc_eval, main
from hicm.dvc_eval import evaluate
from hicm.dvc_eval.evaluate import find_wanted
from hicm.dvc_eval.inputs.protocols import PROTOCOLS
from hicm.dvc_eval.metrics import scoring
from hicm.errors import UserError
from hicm.evaluation.output import to_text
from hicm.files import write_json
from hicm.interrupts import blocked
from hicm.stages.score_files import Asked, Scored, plan_files

ROOT = Path(__file__).resolve().parent.parent.parent
METRICS = ("--metrics", "CIDEr", "soda_d", "F1")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command in this process, and whether it scored: its status, what it printed, what it complained of."""
    def run(*words: object) -> tuple[int, str, str]:
        status = main(["evaluate", *map(str, words)])
        return status, *capsys.readouterr()
    return run


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that something was scored."""
    calls: list[int] = []
    whole = scoring.score_case
    # The package has a function of the module's name.
    monkeypatch.setattr(sys.modules["hicm.dvc_eval.evaluate"], "score_case",
                        lambda *words: calls.append(1) or whole(*words))
    return calls


@pytest.fixture
def inputs(golden: Path, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Predictions and references in a folder of their own; they must be unchanged in the end."""
    folder = tmp_path / "in"
    folder.mkdir()
    paths = folder / "predictions_x.json", folder / "references.json"
    for path, source in zip(paths, files(golden), strict=True):
        path.write_bytes(Path(source).read_bytes())
    before = [path.read_bytes() for path in paths]
    yield paths
    assert [path.read_bytes() for path in paths] == before


def test_nothing_is_written_unasked(inputs: tuple[Path, Path], run: Run) -> None:
    (inputs[0].parent / "metrics_x.json").write_text("mine")
    status, out, err = run(*inputs, *METRICS)
    assert (status, err) == (0, "") and "CIDEr" in out
    assert sorted(path.name for path in inputs[0].parent.iterdir()) == [
        "metrics_x.json", "predictions_x.json", "references.json"]
    assert (inputs[0].parent / "metrics_x.json").read_text() == "mine"


@pytest.mark.parametrize("option", ["--out", "--per-video"])
@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("way", ["path", "other path", "symlink", "hard link", "case"])
def test_an_input_is_never_written(inputs: tuple[Path, Path], tmp_path: Path, run: Run, scored: list[int], option: str,
                                   at: int, way: str) -> None:
    target = tmp_path / "link.json"
    if way == "symlink":
        target.symlink_to(inputs[at])
    elif way == "hard link":
        target.hardlink_to(inputs[at])
    else:
        target = inputs[at] if way == "path" else inputs[at].parent / ".." / "in" / inputs[at].name
    status, out, err = run(*inputs, *METRICS, option, target, "--overwrite")
    assert (status, out, scored) == (2, "", []) and err.count("\n") == 1
    assert err == (f"hicm: error: {target}: is the input {inputs[at]}, which would be lost; choose another {option}\n")


def test_outputs_are_not_one_file(inputs: tuple[Path, Path], tmp_path: Path, run: Run, scored: list[int]) -> None:
    name = tmp_path / "m.json"
    assert f"{name}: --out and --per-video would both write it; choose two files" in run(
        *inputs, "--out", name, "--per-video", name)[2]
    derived = tmp_path / "m.hicm.json"
    assert f"{derived}: --out and --per-video would both write it; choose two files" in run(
        *inputs, "--out", name, "--per-video", derived, "--protocol", "vidchapters", "hicm")[2]
    assert not scored and not name.exists()


@pytest.mark.parametrize(("words", "message"), [
    (("--out", "{file}/m.json"), "file/m.json: cannot be written (Not a directory); choose another --out"),
    (("--out", "{file}/deep/m.json"), "file/deep/m.json: cannot be written (Not a directory)"),
    (("--out", "{folder}"), "folder: cannot be written (it is a folder)"),
    (("--per-video", "{folder}/v.csv/"), "cannot be written (it is a folder)"),
    (("--out", "/dev/null"), "/dev/null: cannot be written (it is not a regular file; --json prints the scores)"),
    (("--out", "{file}"), "file: exists and holds no scores; choose another --out"),
    (("--per-video", "{file}.csv", "--overwrite"), "file.csv: exists and holds no scores; choose another --per-video"),
    (("--per-video", "v.txt"), "v.txt: the table per video is written as .csv or .json"),
    (("--explain", "kite_99"), "video kite_99: not scored; scored are band_04, bike_03, clay_05 ..."),
    (("--explain", "yarn_09"), "video yarn_09: not scored"),
    (("--explain", "yarn_09", "--protocol", "hicm", "vidchapters"), "video yarn_09: not scored"),
    (("--metrics", "Cider2"), "metric 'Cider2' is unknown to protocol vidchapters"),
    (("--rule", "tok=jieba"), "rule tok is 'jieba'"), (("--protocol", "vid"), "protocol 'vid' is unknown"),
    (("--bootstrap", "5", "--seed", "-1"), "seed is -1, expected 0 or more"),
])
def test_late_errors_come_first(inputs: tuple[Path, Path], tmp_path: Path, run: Run, scored: list[int],
                                words: tuple[str, ...], message: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file.csv").write_text("a,b\n")
    (tmp_path / "folder" / "v.csv").mkdir(parents=True)
    given = [word.format(file=tmp_path / "file", folder=tmp_path / "folder") for word in words]
    status, out, err = run(*inputs, *([] if "--metrics" in words else METRICS), *given)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1 and not scored


def test_java_is_looked_for_first(inputs: tuple[Path, Path], run: Run, scored: list[int], no_java: Path) -> None:
    assert "--check-with-java: no java on the path" in run(*inputs, "--check-with-java")[2] and not scored


def test_missing_folders_are_made(inputs: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    assert run(*inputs, *METRICS, "--out", tmp_path / "a" / "b" / "m.json")[0] == 0
    assert json.loads((tmp_path / "a" / "b" / "m.json").read_text())["scores"]


def test_other_scores_are_not_replaced(inputs: tuple[Path, Path], tmp_path: Path, run: Run, scored: list[int]) -> None:
    target, table = tmp_path / "m.json", tmp_path / "v.json"
    words = ("--out", target, "--per-video", table)
    assert run(*inputs, *METRICS, *words)[0] == 0
    first = target.read_bytes(), table.read_bytes()
    renamed = tmp_path / "renamed.json"
    renamed.write_bytes(inputs[0].read_bytes())
    assert run(renamed, inputs[1], *METRICS, "--out", target)[0] == 0  # the same content under another name
    other = tmp_path / "other.json"
    write_json(other, json.loads(inputs[0].read_text()) | {"version": "2"})
    calls = len(scored)
    for given, reason in (((inputs[0], inputs[1], "--metrics", "F1"), "settings"),
                          ((*inputs, *METRICS, "--rule", "missing=zero"), "settings"),
                          ((*inputs, *METRICS, "--bootstrap", "9"), "settings"),
                          ((*inputs, *METRICS, "--protocol", "hicm"), "settings"),
                          ((other, inputs[1], *METRICS), "predictions"),
                          ((inputs[0], inputs[1], inputs[1], *METRICS), "references")):
        for option, path in (("--out", target), ("--per-video", table)):
            status, out, err = run(*given, option, path)
            assert (status, out) == (2, "") and err == (
                f"hicm: error: {path}: holds scores that were made with other {reason}; choose another {option}, or "
                "replace it with --overwrite\n")
    assert len(scored) == calls and table.read_bytes() == first[1]
    assert run(other, inputs[1], *METRICS, *words, "--overwrite")[0] == 0
    assert json.loads(target.read_text())["predictions"]["file"] == "other.json" and table.read_bytes() != first[1]


def test_tables_that_do_not_say_what_they_are_of(inputs: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    table = tmp_path / "v.csv"
    assert run(*inputs, *METRICS, "--per-video", table)[0] == 0
    assert "a csv table does not say what it was made from" in run(*inputs, *METRICS, "--per-video", table)[2]
    assert run(*inputs, *METRICS, "--per-video", table, "--overwrite")[0] == 0


def test_scores_are_printed_though_they_cannot_be_written(inputs: tuple[Path, Path], tmp_path: Path, run: Run,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full by the time that they are."""
    def full(*words: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    status, out, err = run(*inputs, *METRICS, "--out", tmp_path / "m.json")
    assert status == 2 and "CIDEr" in out and "m.json: cannot be written (No space left on device)" in err


# pipes

def shell(command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=environment)


def test_pipes_are_read_once(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """Although they are asked for to be scored, to be explained, and for their digest."""
    ours, theirs = inputs
    program = f"{sys.executable} -c 'from hicm.cli import dvc_eval; raise SystemExit(dvc_eval())'"
    done = shell(f"{program} <(cat {ours}) <(cat {theirs}) --metrics CIDEr --explain kite_01 --out {tmp_path}/m.json")
    assert (done.returncode, done.stderr) == (0, "") and "video kite_01 under vidchapters" in done.stdout
    plain = shell(f"cat {ours} | {program} - {theirs} --metrics CIDEr --explain kite_01 --out {tmp_path}/m.json")
    assert (plain.returncode, plain.stderr, plain.stdout) == (0, "", done.stdout)
    both = shell(f"{program} compare <(cat {ours}) /dev/stdin {theirs} --metrics CIDEr --samples 9 < <(cat {ours})")
    assert both.returncode == 0 and both.stderr == "" and "/dev/stdin" in both.stdout
    empty = shell(f": | {program} - {theirs}")
    assert empty.returncode == 2 and "/tmp" not in empty.stderr
    assert empty.stderr.startswith("dvc-eval: error: standard input: predictions is not valid")


# names and interrupts

def test_dvc_eval_goes_by_its_name(capsys: pytest.CaptureFixture[str], inputs: tuple[Path, Path]) -> None:
    for words, shown in (([], "usage: dvc-eval [-h]"), (["compare"], "usage: dvc-eval compare"),
                         (["--help"], "Further commands: dvc-eval compare, dvc-eval protocols, dvc-eval selftest."),
                         (["--version"], "dvc-eval ")):
        with pytest.raises(SystemExit):
            dvc_eval(words)
        out, err = capsys.readouterr()
        assert shown in out + err and "usage: hicm" not in out + err and "hicm: error" not in out + err
    assert dvc_eval(["none.json", "none.json"]) == 2
    assert capsys.readouterr().err.startswith("dvc-eval: error: none.json: ")
    assert dvc_eval(["evaluate", *map(str, inputs), *METRICS]) == 0


@pytest.mark.parametrize("together", [False, True], ids=["this process", "its group"])
def test_ctrl_c_ends_with_one_line(tmp_path: Path, together: bool) -> None:
    """While several processes score: a terminal sends the signal to all of them."""
    references = {f"v{at}": {"timestamps": [[0, 9]], "sentences": ["stir"]} for at in range(9)}
    write_json(tmp_path / "r.json", references)
    write_json(tmp_path / "p.json", {video: [{"sentence": "stir", "timestamp": [0, 9]}] for video in references})
    program = ("import os, sys, time; from hicm.cli import dvc_eval; from hicm.dvc_eval.metrics import scoring\n"
               "scoring.EVENTS, scoring.PAYS = 2, 1\n"
               "scoring._score_task = lambda *words: (os.write(1, b'started\\n'), time.sleep(60))\n"
               "sys.exit(dvc_eval(sys.argv[1:]))")
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "p.json"), str(tmp_path / "r.json"), "--jobs", "2", "--metrics",
         "F1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT)
    assert process.stdout is not None and process.stdout.readline() == "started\n"
    time.sleep(0.2)
    if together:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "dvc-eval: interrupted\n")


def test_ctrl_c_reaches_the_process_that_started_others() -> None:
    """It is only held back while they are started."""
    with pytest.raises(KeyboardInterrupt), blocked():
        signal.raise_signal(signal.SIGINT)  # to this thread
        held = threading.current_thread().is_alive()
    assert held
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


# the table per video

@pytest.mark.parametrize("annotators", [1, 2])
@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_the_table_holds_every_metric_and_averages_to_the_scores(golden: Path, protocol: str, annotators: int) -> None:
    """By the protocol's rule: means over the videos that have the metric; F1 from the means of P and R."""
    rules = PROTOCOLS[protocol]
    if annotators > 1 and rules.pairing == "order":
        pytest.skip("captions of given clips have one reference each")
    result = score(golden, protocol, annotators)
    table = result.video_table
    assert list(table) == list(result.videos)
    for name, value in result.scores.items():
        metric, _, label = name.partition("@")
        rows = [row[label or "mean"][metric] for row in table.values() if metric in row[label or "mean"]]
        assert rows, name
        corpus = name.startswith("para_") or rules.pairing == "order"
        if name.startswith("F1"):
            parts = [np.mean([[row[at][part] for at in ([label] if label else map("{:g}".format, rules.tious))]
                              for row in table.values()], axis=0) for part in ("Precision", "Recall")]
            parts = [part.mean(keepdims=True) for part in parts] if metric == "F1_of_means" else parts
            assert np.mean(2 * parts[0] * parts[1] / (parts[0] + parts[1])) == pytest.approx(value, abs=1e-12), name
        elif not corpus and rules.cider == "video" and (annotators == 1 or "soda" not in name
                                                        or rules.soda_files != "per-file"):
            assert np.mean(rows) == pytest.approx(value, abs=1e-12), name
    wanted = {name.partition("@")[0] for name in find_wanted([protocol])[0].metrics}
    assert {name for row in table.values() for name in row["mean"]} == wanted


def test_the_json_table_holds_the_means_that_are_printed(golden: Path, tmp_path: Path, run: Run) -> None:
    assert run(*files(golden), "--per-video", tmp_path / "v.json", "--per-video", tmp_path / "v.json")[0] == 0
    content, result = json.loads((tmp_path / "v.json").read_text()), score(golden)
    assert content["scores"] == result.scores and content["signature"] == result.signature
    assert content["kite_01"]["mean"]["soda_c"] == result.per_video["kite_01"]["soda_c"] > 0
    assert content["kite_01"]["0.5"].keys() == {"METEOR", "CIDEr", "Rouge-L", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4",
                                                "Recall", "Precision", "F1"}
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    for row in rows:
        assert {f"{name}{'' if label == 'mean' else f'@{label}'}": value for label, values in
                content[row["video"]].items() for name, value in values.items()} == {
                    name: float(value) for name, value in row.items() if value and name not in (
                        "video", "predictions", "events")}


def test_a_video_that_is_called_as_a_key_is_not_lost(tmp_path: Path, run: Run) -> None:
    write_json(tmp_path / "p.json", {"scores": [{"sentence": "stir", "timestamp": [0, 9]}]})
    write_json(tmp_path / "r.json", {"scores": {"timestamps": [[0, 9]], "sentences": ["stir"]}})
    status, out, err = run(tmp_path / "p.json", tmp_path / "r.json", *METRICS, "--per-video", tmp_path / "v.json")
    assert status == 2 and "F1" in out and "video scores has the name of another key of the file; write the" in err


# a run's own file, and predictions of other tasks

def test_the_scores_of_a_run_are_its_own(inputs: tuple[Path, Path], capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """They are replaced, with a line where they were others; what cannot be written is still printed."""
    run, result = Scored(inputs[0], [inputs[1]], settings=object()), evaluate(*inputs, metrics=["F1"])
    own = inputs[0].parent / "metrics_x.json"
    for metrics, said in ((["F1"], ""), (["F1"], ""), (["F1", "CIDEr"], f"{own}: the scores under other settings are "
                                                       "replaced\n")):
        plan = plan_files(run, Asked(["vidchapters"], metrics, {}), ["vidchapters"])
        plan.write([result])
        assert plan.scores == [own] and capsys.readouterr().err == said
    content = json.loads(own.read_text())
    write_json(own, content | {"predictions": content["predictions"] | {"sha256": "0"}})
    assert plan_files(run, Asked(["vidchapters"], ["F1"], {}), ["vidchapters"]).scores == [own]
    assert capsys.readouterr().err == f"{own}: the scores of other predictions are replaced\n"
    with pytest.raises(UserError, match=r"metrics_x\.json: is the run's own .*choose another --per-video"):
        plan_files(run, Asked(["vidchapters"], ["F1"], {}), ["vidchapters"], per_video=str(own))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: open(dir / "no" / "folder", "wb"))  # noqa: SIM115
    assert plan_files(run, Asked(["vidchapters"], ["F1"], {}), ["vidchapters"]).scores == []
    assert capsys.readouterr().err == (f"{own}: cannot be written (No such file or directory); the scores are only "
                                       "printed\n")


def test_references_of_one_name_are_both_kept(inputs: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    other = tmp_path / inputs[1].name
    other.write_bytes(inputs[1].read_bytes() + b"\n")
    assert run(*inputs, other, "--metrics", "F1", "--out", tmp_path / "m.json")[0] == 0
    kept = json.loads((tmp_path / "m.json").read_text())["references"]
    assert list(kept) == ["references.json", "references.json-2"] and len(set(kept.values())) == 2


def test_compare_knows_dense_captions_only(inputs: tuple[Path, Path], tmp_path: Path, scored: list[int],
                                           capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "moments.json"
    write_json(other, json.loads(inputs[0].read_text()) | {"task": "moments", "decided_by": {}})
    assert main(["compare", *map(str, (inputs[0], other, inputs[1]))]) == 2 and not scored
    assert capsys.readouterr().err == (f"hicm: error: {other}: predictions of the task moments; 'compare' knows dvc "
                                       "only\n")


def test_compare_reads_what_evaluate_reads(inputs: tuple[Path, Path], tmp_path: Path,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    """Predictions without the key 'results'; draws are checked first."""
    bare = tmp_path / "bare.json"
    write_json(bare, json.loads(inputs[0].read_text())["results"])
    words = ["compare", *map(str, (inputs[0], bare, inputs[1])), "--metrics", "F1"]
    assert main([*words, "--samples", "20", "--json"]) == 0
    row, = json.loads(capsys.readouterr().out)["comparisons"]
    assert row["difference"] == 0 and row["system"] == str(bare)
    assert main([*words, "--samples", "0"]) == 2 and "samples is 0, expected 1 or more" in capsys.readouterr().err


def test_json_text_is_that_of_the_json_module() -> None:
    """Empty ones, keys of all kinds, letters outside ASCII, nested or not."""
    leaf = {"é": 1.5, 'a"\n': None, 1: True, None: float("nan")}
    nested = [leaf, [], {}, "x", (1, 2.5)]
    for content in ({}, [], "é", 1e-9, leaf, nested, {"a": {"b": [1, [2, leaf]], "c": []}, 2: {}}):
        assert to_text(content) == json.dumps(content, indent=1, ensure_ascii=False)
