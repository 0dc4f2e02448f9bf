"""Long runs: twenty random kills and torn checkpoints change nothing, and memory does not grow."""

import json
import os
import random
import resource
import signal
import time
import zipfile
from contextlib import nullcontext
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from hicm import verbs
from hicm.cli import main
from hicm.training import checkpoint as checkpoints
from hicm.training import loop
from tests.processes import start_hicm
from tests.tiny import make_tiny

MEBIBYTE = 1 << 20
GROWTH = 8 * MEBIBYTE  # of a process that holds some 600 MiB


def lines(run: Path) -> list[dict]:
    """The complete lines of the log, without times."""
    path = run / "stats.jsonl"
    found = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"}
            for line in found if line.endswith("\n")]


def newest(run: Path) -> int:
    found = lines(run)
    return found[-1]["step"] if found else 0


def tear(path: Path, rng: random.Random, kind: str) -> None:
    """What a failing disk or machine leaves of a file."""
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content) // 4, 3 * len(content) // 4)
    if kind == "cut":
        del content[at:]
    elif kind == "empty":
        content.clear()
    elif kind == "missing bytes":
        del content[at:at + 512]
    elif kind == "zeros":
        content[at:at + 4096] = bytes(4096)
    else:
        content[at:at + 64] = bytes(255 - one for one in content[at:at + 64])
    path.write_bytes(content)


def interrupt(process: BaseProcess, run: Path, how: str, rng: random.Random) -> None:
    """End a training some steps on, or while it starts, or while it writes a checkpoint."""
    if how == "start":
        time.sleep(rng.uniform(0, 2))
    else:
        target = newest(run) + rng.randint(1, 8)
        while process.is_alive() and newest(run) < target:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
    while how == "write" and process.is_alive() and not list(run.glob(".checkpoint.pt.*")):
        pass
    os.kill(process.pid, signal.SIGTERM if how == "terminate" else signal.SIGKILL)
    process.join(120)


@pytest.mark.slow
def test_twenty_kills_and_torn_checkpoints_change_nothing(tmp_path):
    rng = random.Random(20)
    config = make_tiny(tmp_path, train__epochs=60, train__eval_every=10, train__checkpoint_every=2)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(["train", str(config), "--out", str(whole)]) == 0
    kinds = ["start"] * 2 + ["kill"] * 4 + ["write"] * 4 + ["terminate"] * 5 + ["tear"] * 5
    rng.shuffle(kinds)
    torn = 0
    for how in kinds:
        process = start_hicm("train", str(config), "--out", str(broken))
        interrupt(process, broken, how, rng)
        expected = 128 + signal.SIGTERM if how == "terminate" else -signal.SIGKILL
        assert process.exitcode == expected, f"{how}: ended by itself, at step {newest(broken)}"
        if how == "tear" and (broken / "checkpoint.previous.pt").exists():
            tear(broken / "checkpoint.pt", rng, rng.choice(["cut", "empty", "zeros", "flipped"]))
            torn += 1
        assert len(list(broken.glob("checkpoint*.pt"))) <= 2
    assert torn >= 4
    process = start_hicm("train", str(config), "--out", str(broken))
    process.join(600)
    assert process.exitcode == 0
    assert not list(broken.rglob(".*")) and not (broken / "checkpoint.previous.pt").exists()
    for name in ("best", "last"):
        a, b = ((run / name / "model.safetensors").read_bytes() for run in (whole, broken))
        assert a == b, name
    assert lines(whole) == lines(broken)
    assert [line["step"] for line in lines(broken) if "loss" in line] == list(range(1, 241))


@pytest.mark.slow
def test_a_torn_checkpoint_is_told_and_the_one_before_is_used(tmp_path, monkeypatch):
    config = make_tiny(tmp_path, videos=4, system="parallel", train__epochs=3, train__eval_every=0,
                       train__checkpoint_every=1)
    run, whole = tmp_path / "run", tmp_path / "whole"
    signals = iter([0, 0, 0, signal.SIGTERM])
    monkeypatch.setattr(loop, "_on_any", lambda number, accelerator: next(signals))
    assert main(["train", str(config), "--out", str(run)]) == 128 + signal.SIGTERM
    monkeypatch.undo()
    steps = [torch.load(run / name)["progress"]["step"] for name in ("checkpoint.pt", "checkpoint.previous.pt")]
    assert steps == [4, 3]
    content = (run / "checkpoint.pt").read_bytes()
    middle = len(content) // 2
    (run / "checkpoint.pt").write_bytes(content[:middle] + bytes(64) + content[middle + 64:])
    with pytest.warns(UserWarning, match="checkpoint.pt: is damaged; training continues from the checkpoint before it"):
        assert main(["train", str(config), "--out", str(run)]) == 0
    assert main(["train", str(config), "--out", str(whole)]) == 0
    assert lines(run) == lines(whole)
    assert (run / "last" / "model.safetensors").read_bytes() == (whole / "last" / "model.safetensors").read_bytes()


def test_a_missing_or_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoints.restore_previous(path)
    assert not path.exists()
    for kind in ("missing", "sound", "cut", "empty", "zeros", "flipped", "missing bytes", "odd"):
        torch.save({"step": torch.full((9000,), 2)}, path)
        torch.save({"step": torch.full((9000,), 1)}, checkpoints.previous(path))
        if kind == "missing":  # killed between two renamings
            path.unlink()
        elif kind == "odd":  # every checksum is right, torch cannot read it
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", b"no pickle")
        elif kind != "sound":
            tear(path, random.Random(0), kind)
        with pytest.warns(UserWarning, match="is damaged") if kind not in ("missing", "sound") else nullcontext():
            checkpoints.restore_previous(path)
        assert torch.load(path)["step"][0] == (2 if kind == "sound" else 1)
        assert checkpoints.previous(path).exists() is (kind == "sound")


def memory(process: BaseProcess) -> int:
    """Bytes that a process holds (RSS)."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.slow
def test_training_does_not_grow(tmp_path):
    config = make_tiny(tmp_path, train__epochs=260, train__eval_every=25, train__checkpoint_every=50)
    process = start_hicm("train", str(config), "--out", str(tmp_path / "run"))
    found = []
    for step in (200, 1000):
        while process.is_alive() and newest(tmp_path / "run") < step:
            time.sleep(0.01)
        found.append(memory(process))
    process.kill()
    print(f"RSS after 200 and 1000 steps: {found[0] / MEBIBYTE:.1f}, {found[1] / MEBIBYTE:.1f} MiB")
    assert found[1] - found[0] < GROWTH


@pytest.mark.slow
def test_prediction_does_not_grow(tmp_path):
    config = make_tiny(tmp_path, videos=300, train__epochs=1, train__share=0.02, train__eval_every=0,
                       captioner__decode__batch=4)
    verbs.train(str(config), out=str(tmp_path / "run"))
    process = start_hicm("predict", str(tmp_path / "run"), "--split", "train", "--out", str(tmp_path / "p.json"))
    journal, found = tmp_path / ".p.json.part", []
    for videos in (60, 280):
        while process.is_alive() and (not journal.exists() or 4 * journal.read_bytes().count(b"\n") < videos):
            time.sleep(0.005)
        found.append(memory(process))
    process.kill()
    print(f"RSS after 60 and 280 videos: {found[0] / MEBIBYTE:.1f}, {found[1] / MEBIBYTE:.1f} MiB")
    assert found[1] - found[0] < GROWTH
