"""Several processes: what they start with, how they are launched, and who speaks for them."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hicm import ranks
from hicm.cli import main
from hicm.errors import UserError
from hicm.files import append, read_json
from hicm.ranks import ReportedElsewhere
from hicm.systems.base import System
from hicm.training.processes import connected, own_share, start_accelerator
from tests.tiny import make_tiny

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("variable", "name"), [("ACCELERATE_USE_FSDP", "FSDP"),
                                                ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed")])
def test_what_shards_the_model_is_refused_before_any_work(tmp_path, monkeypatch, capsys, variable, name):
    monkeypatch.setenv(variable, "true")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "yc2"]) == 2, "even before the data, which are not there"
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"hicm: error: accelerate: {name} is not supported")
    assert not list(tmp_path.iterdir())


def test_more_processes_than_gpus_are_refused(monkeypatch):
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "3", "LOCAL_WORLD_SIZE": "4",
                        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="4 processes were started on a machine with 2 GPUs; start at most one"):
        start_accelerator()


@pytest.mark.parametrize(("changes", "said"), [
    ({}, "RANK and WORLD_SIZE are set, LOCAL_RANK is not; start with torchrun or accelerate launch"),
    ({"LOCAL_RANK": "0"}, "RANK and WORLD_SIZE are set, MASTER_ADDR is not"),
    ({"RANK": "one"}, "RANK: expected a number, found 'one'"),
    ({"WORLD_SIZE": "-2"}, "WORLD_SIZE: expected a number, found '-2'")])
def test_an_incomplete_launch_is_refused(monkeypatch, tmp_path, capsys, changes, said):
    for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"RANK": "0", "WORLD_SIZE": "2"} | changes).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert main(["train", "yc2"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"hicm: error: environment: {said}")


def test_accumulation_and_precision_are_those_of_the_settings(monkeypatch):
    """Accelerate's own accumulation would scale the gradients."""
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.warns(UserWarning, match=r"mixed_precision bf16 is not read; train\.precision decides"):
        accelerator = start_accelerator()
    weight = torch.ones(1, requires_grad=True)
    accelerator.backward((2 * weight).sum())
    assert weight.grad == 2 and accelerator.mixed_precision == "no"


def test_one_process_of_a_machine_reports(monkeypatch):
    assert ranks.reports() and ranks.is_first() and not ranks.are_several()
    assert not ranks.reports(ReportedElsewhere("said there"))
    monkeypatch.setattr(ranks, "_state", ranks._State())
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert not ranks.reports(UserError("settings"))
    assert ranks.is_first(), "a shell may have the variables of a launcher that has ended"
    ranks.joined()
    assert not ranks.is_first()
    assert ranks.reports(UserError("a video of its share")) and not ranks.reports()
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert ranks.reports() and not ranks.is_first(), "the first of the second machine"


class Group:
    """Stands for an accelerator."""

    def __init__(self, index: int, count: int) -> None:
        self.process_index, self.num_processes = index, count


class Batches:
    """A system and its samples: rows, in batches of three."""

    def __init__(self, rows: list[int]) -> None:
        self.rows = rows

    def take(self, rows):
        return [self.rows[row] for row in rows]

    def prediction_batches(self, samples):
        return [list(range(len(self.rows)))[at:at + 3] for at in range(0, len(self.rows), 3)]


@pytest.mark.parametrize("size", [0, 1, 2, 7, 12])
@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_shares_are_whole_batches_of_every_sample_once(size, processes):
    samples = Batches(list(range(100, 100 + size)))
    shares = [own_share(samples, samples, Group(index, processes)) for index in range(processes)]
    if processes == 1:
        assert shares == [samples]
        return
    batches = [share[at:at + 3] for share in shares for at in range(0, len(share), 3)]
    assert sorted(batches) == [samples.rows[at:at + 3] for at in range(0, size, 3)]


def test_a_system_that_says_nothing_of_batches():
    assert System.prediction_batches(None, "abc") == [[0], [1], [2]]


def test_a_broken_connection_is_one_line():
    lost = RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1")
    with pytest.raises(UserError, match=r"another process of this command ended .*said: .*closed by"), \
            connected(Group(0, 2)):
        raise lost
    for error, processes in ((lost, 1), (RuntimeError("shapes do not match"), 2)):
        with pytest.raises(RuntimeError, match=r"Connection|shapes"), connected(Group(0, processes)):
            raise error


def add_lines(path: Path, letter: str) -> None:
    for size in range(40):
        append(path, letter * (1 + 700 * size))


def test_lines_of_several_processes_stay_whole(tmp_path):
    path = tmp_path / "journal"
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=add_lines, args=(path, letter)) for letter in "abcd"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = path.read_text().splitlines()
    assert sorted(map(len, found)) == sorted(4 * [1 + 700 * size for size in range(40)])
    assert all(len(set(line)) == 1 for line in found)


@pytest.mark.slow
def test_the_launchers(tmp_path):
    """accelerate with the configuration that comes with hicm, and torchrun."""
    config, run = make_tiny(tmp_path, train__epochs=1, train__eval_every=1), tmp_path / "run"
    said, environment = "", os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for launcher, command in ((["accelerate.commands.launch", "--config_file", "configs/accelerate/ddp.yaml"],
                               ["train", str(config), "--out", str(run)]),
                              (["torch.distributed.run", "--nproc-per-node", "2"], ["predict", str(run)])):
        done = subprocess.run([sys.executable, "-m", *launcher, "-m", "hicm", *command], env=environment, cwd=ROOT,
                              capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        result = run if command[0] == "train" else run / "predictions_val.json"
        assert done.stdout.splitlines().count(str(result)) == 1, "one process prints the result"
        said += done.stdout
    assert "train: 4 videos in a step (2 processes x train.batch 2 x train.accumulate 1)\n" in said
    assert read_json(run / "manifest.json")["batch"] == {"videos": 4, "processes": 2}
    assert len(read_json(run / "predictions_val.json")["results"]) == 3
