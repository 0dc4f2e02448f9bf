"""A run ended at any moment continues to exactly the same weights; two processes learn the same as one."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from hicm.cli import main
from hicm.nn.loader import load_batches
from hicm.training import loop
from tests.processes import _quietly, run_on, start, start_hicm, start_on
from tests.tiny import make_tiny

STEPS = 80  # 8 videos, batch 2, 20 epochs


def train(*arguments: str) -> None:
    process = start_hicm("train", *arguments)
    process.join(600)
    assert process.exitcode == 0


def lines(run: Path) -> list[dict]:
    """The complete lines of the log; while a process runs, the last line may be incomplete."""
    path = run / "stats.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True)
            if line.endswith("\n")] if path.exists() else []


def test_killed_three_times_the_run_ends_with_the_same_weights(tmp_path):
    config = make_tiny(tmp_path, train__epochs=20, train__eval_every=10, train__checkpoint_every=7)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(str(config), "--out", str(whole))

    killed = []
    for step in (5, 29, 52):
        process = start_hicm("train", str(config), "--out", str(broken))
        while process.is_alive() and (not lines(broken) or lines(broken)[-1]["step"] < step):
            time.sleep(0.005)
        process.kill()
        process.join()
        killed.append(lines(broken)[-1]["step"])
    assert process.exitcode == -signal.SIGKILL and max(killed) < STEPS, "the run ended before it was killed"
    process = start_hicm("train", str(config), "--out", str(broken))
    while process.is_alive() and (not lines(broken) or lines(broken)[-1]["step"] <= max(killed)):
        time.sleep(0.005)
    process.terminate()
    process.join()
    assert process.exitcode == 128 + signal.SIGTERM
    step = torch.load(broken / "checkpoint.pt", weights_only=True)["progress"]["step"]
    assert max(killed) < step == lines(broken)[-1]["step"] < STEPS, "on SIGTERM nothing is lost"
    train(str(config), "--out", str(broken))
    assert not list(broken.rglob(".*")), "no temporary file, no lock"

    a, b = (load_file(run / "last" / "model.safetensors") for run in (whole, broken))
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    keep = [[{k: v for k, v in line.items() if k != "seconds"} for line in lines(run)] for run in (whole, broken)]
    assert keep[0] == keep[1], "an interrupted run has the same log as an uninterrupted one"
    assert [line["step"] for line in keep[0] if "loss" in line] == list(range(1, STEPS + 1))


DROPOUTS = {"captioner": ("memory_dropout", "visual_dropout", "encoder_dropout", "decoder_dropout"),
            "parallel": ("memory_dropout", "word_dropout", "dropout")}
OPTIONS = {"parallel": {"objective__overlap": 0.5, "objective__quality": "tiou", "self_attention": False}}


@pytest.mark.parametrize(("system", "batch", "settings"), [
    ("captioner", 2, {}), ("parallel", 2, {}),
    pytest.param("captioner", 1, {"train__accumulate": 2, "train__by_length": True}, marks=pytest.mark.slow)])
def test_two_processes_learn_what_one_does(system, batch, settings, tmp_path):
    """Gradients are averaged over processes: 2 x batch 2 is batch 4."""
    same = {"system": system, "train__epochs": 3, "train__eval_every": 3, "train__batch": batch, **settings,
            **{f"{system}__{name}": 0.0 for name in DROPOUTS[system]},
            **{f"{system}__{name}": value for name, value in OPTIONS.get(system, {}).items()}}
    config = make_tiny(tmp_path, videos=7, **same)
    one, two = tmp_path / "one", tmp_path / "two"
    train(str(config), "--out", str(one), "--set", f"train.batch={2 * batch}")
    assert run_on(2, "train", str(config), "--out", str(two)) == [0, 0]
    a, b = (load_file(run / "last" / "model.safetensors") for run in (one, two))
    for name in a:
        # the gradient of what nothing sees is rounding, and Adam steps on rounding too: the softmax does not see a key
        # bias, nor a norm of groups of one channel the bias before it
        if name.endswith(("attn.qkv.bias", "in_proj_bias")):
            a[name], b[name] = (np.delete(x[name].reshape(3, -1), 1, axis=0) for x in (a, b))
        if not (name.startswith("pyramid.convs.") and name.endswith(".bias")):
            np.testing.assert_allclose(a[name], b[name], atol=2e-5, err_msg=name)
    for value in ("loss", "grad_norm"):
        found = [[line[value] for line in lines(run) if "loss" in line] for run in (one, two)]
        assert len(found[0]) == 6 and found[0] == pytest.approx(found[1], rel=1e-4)
    scores = [[line["metrics"]["soda_d"] for line in lines(run) if "metrics" in line] for run in (one, two)]
    assert len(scores[0]) == 1 and scores[0] == pytest.approx(scores[1], abs=0.05)
    assert [json.loads((run / "manifest.json").read_text())["batch"] for run in (one, two)] == [
        {"videos": 4, "processes": 1}, {"videos": 4, "processes": 2}]


@pytest.mark.slow
def test_two_processes_score_what_one_does(tmp_path):
    """With equal weights, to the last bit: a rate of 0 leaves them as they are."""
    config = make_tiny(tmp_path, train__epochs=1, train__eval_every=1, train__lr=0.0, captioner__decode__batch=2)
    one, two = tmp_path / "one", tmp_path / "two"
    train(str(config), "--out", str(one))
    assert run_on(2, "train", str(config), "--out", str(two)) == [0, 0]
    scores = [[line["metrics"] for line in lines(run) if "metrics" in line] for run in (one, two)]
    assert len(scores[0]) == 1 and scores[0] == scores[1]


@pytest.mark.slow
def test_sigterm_to_one_of_two_processes_ends_both_and_both_continue(tmp_path):
    config = make_tiny(tmp_path, train__epochs=15, train__eval_every=15, train__checkpoint_every=1000)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run_on(2, "train", str(config), "--out", str(whole)) == [0, 0]
    processes = start_on(2, "train", str(config), "--out", str(broken))
    while all(process.is_alive() for process in processes) and len(lines(broken)) < 5:
        time.sleep(0.005)
    processes[1].terminate()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [128 + signal.SIGTERM] * 2
    step = torch.load(broken / "checkpoint.pt", weights_only=True)["progress"]["step"]
    assert 5 <= step == lines(broken)[-1]["step"] < 30
    assert run_on(2, "train", str(config), "--out", str(broken)) == [0, 0]
    assert (whole / "last" / "model.safetensors").read_bytes() == (broken / "last" / "model.safetensors").read_bytes()


def test_a_run_under_the_step_schedule_continues_at_its_rate(tmp_path, monkeypatch):
    """Interrupted right where the rate changes, and once more in the middle of an epoch; queries are dropped, too."""
    config = make_tiny(tmp_path, videos=4, system="parallel", train__epochs=4, train__eval_every=0,
                       train__schedule="step", train__decay_after=[1, 3], parallel__query_dropout=0.4)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(["train", str(config), "--out", str(whole)]) == 0
    for calls in (1, 2):
        signals = iter([0] * calls + [signal.SIGTERM])
        monkeypatch.setattr(loop, "_on_any", lambda number, accelerator, signals=signals: next(signals))
        assert main(["train", str(config), "--out", str(broken)]) == 128 + signal.SIGTERM
    monkeypatch.undo()
    assert lines(broken)[-1]["step"] == 5
    assert main(["train", str(config), "--out", str(broken)]) == 0
    rates = [[line["lr"] for line in lines(run) if "lr" in line] for run in (whole, broken)]
    assert rates[0] == rates[1] == [1e-3] * 2 + [5e-4] * 4 + [2.5e-4] * 2
    assert (whole / "last" / "model.safetensors").read_bytes() == (broken / "last" / "model.safetensors").read_bytes()


def train_in_group(arguments: list[str]) -> None:
    os.setpgrp()
    _quietly(arguments, {})


@pytest.mark.slow
@pytest.mark.parametrize("system", ["captioner", "parallel"])
def test_a_signal_to_the_process_group_spares_the_workers(system, tmp_path):
    config = make_tiny(tmp_path, system=system, train__epochs=15, train__eval_every=0, train__workers=1,
                       train__checkpoint_every=1000)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(str(config), "--out", str(whole), "--set", "train.workers=0")
    process = start(train_in_group, ["train", str(config), "--out", str(broken)])
    while process.is_alive() and len(lines(broken)) < 6:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGTERM)
    process.join(120)
    assert process.exitcode == 128 + signal.SIGTERM
    step = torch.load(broken / "checkpoint.pt", weights_only=True)["progress"]["step"]
    assert 6 <= step == lines(broken)[-1]["step"] < 60
    train(str(config), "--out", str(broken))
    assert (whole / "last" / "model.safetensors").read_bytes() == (broken / "last" / "model.safetensors").read_bytes()


class Rows(torch.utils.data.Dataset):
    """A data set whose last row cannot be read."""

    def __getitem__(self, row: int) -> int:
        return [10, 11][row]


def read_rows() -> None:
    for _ in load_batches(Rows(), [[0], [1], [2], [1]], list, 1):
        pass


@pytest.mark.slow
def test_an_error_in_a_worker_ends_its_parent():
    """A worker that nothing ends would keep it waiting when it exits."""
    process = start(read_rows)
    process.join(120)
    ended = process.exitcode
    process.kill()  # its worker ends then, too
    assert ended == 1


def test_a_signal_after_the_last_step_of_an_epoch_loses_nothing(tmp_path, monkeypatch):
    config = make_tiny(tmp_path, videos=4, system="parallel", train__epochs=1, train__eval_every=0,
                       train__checkpoint_every=1000)
    calls = []

    def at_last(number, accelerator):
        calls.append(number)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)  # noticed too late for this step
        return number

    monkeypatch.setattr(loop, "_on_any", at_last)
    assert main(["train", str(config), "--out", str(tmp_path / "run")]) == 128 + signal.SIGTERM
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["progress"]["step"] == 2
