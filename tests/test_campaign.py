"""Kills, signals, full disks and double starts, drawn at random: results equal the undisturbed ones byte for byte.

Each disturbance strikes one command at a random moment.  Then the same command runs to its end, and what it leaves is
compared with what an undisturbed one left: the same bytes, no temporary file, no lock.
"""

import json
import random
import shutil
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import pytest

from hicm.files import sha256
from tests.hub_files import FEATURES, TRAIN, content_of
from tests.hub_server import serve_hub
from tests.processes import run_hicm, start_hicm
from tests.tiny import make_tiny

DISTURBANCES, SEED = 20, 7
UNCOMPARED = {"manifest.json", "checksums.json", "uncommitted.diff", "checkpoint.pt"}  # they hold times or chance names
ENDED = {"kill": {-9}, "terminate": {143, -15}, "full": {2}, "twice": {2}}  # or 0, where it came too late


class Command(NamedTuple):
    """Arguments, in which OUT is the folder to write; ``seconds`` from its first file to the end, undisturbed."""

    words: tuple[str, ...]
    whole: Path
    seconds: float

    def arguments(self, out: Path) -> list[str]:
        return [word.replace("OUT", str(out)) for word in self.words]


def content(folder: Path) -> dict[str, object]:
    """Every file below a folder by name: its digest, or the lines of a log without their seconds."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in UNCOMPARED and "tensorboard" not in path.parts:
            lines = path.read_text().splitlines() if path.name == "stats.jsonl" else []
            found[str(path.relative_to(folder))] = [
                {name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines
            ] or sha256(path)
    return found


def wait_for_a_file(out: Path, process: BaseProcess) -> None:
    while process.is_alive() and not (out.exists() and any(path.is_file() for path in out.rglob("*"))):
        time.sleep(0.002)


def undisturbed(arguments: list[str], out: Path) -> float:
    """Seconds from the first file to the end."""
    process = start_hicm(*arguments)
    wait_for_a_file(out, process)
    began = time.monotonic()
    process.join(600)
    assert process.exitcode == 0
    return time.monotonic() - began


def disturb(kind: str, command: Command, out: Path, largest: int, chance: random.Random) -> set[int]:
    """How the disturbed processes ended."""
    arguments = command.arguments(out)
    if kind == "full":
        ended = run_hicm(*arguments, largest_file=chance.randrange(largest), timeout=600)
        errors = [line for line in ended.stderr.splitlines() if line.startswith("hicm: error")]
        assert len(errors) == bool(ended.status) and "Traceback" not in ended.stderr, ended.stderr
        return {ended.status}
    processes = [start_hicm(*arguments) for _ in range(2 if kind == "twice" else 1)]
    if kind != "twice":
        wait_for_a_file(out, processes[0])
        time.sleep(chance.random() * command.seconds)
        getattr(processes[0], kind)()
    for process in processes:
        process.join(600)
    return {int(process.exitcode or 0) for process in processes}


def campaign(folder: Path, url: str, number: int, seed: int) -> list[str]:
    """One line per disturbance: what struck whom, and how it ended."""
    config = make_tiny(folder, train__epochs=6, train__eval_every=2, train__checkpoint_every=3)
    trained, chance, report = folder / "whole0", random.Random(seed), []
    commands = []
    for place, words in enumerate((
            ("train", str(config), "--out", "OUT"), ("predict", str(trained), "--out", "OUT/predictions_val.json"),
            ("memory", "build", str(config), "--set", "memory.path=OUT"),
            ("download", "yc2", "--only", "features", "annotations", "--from", url, "--out", "OUT"))):
        command = Command(words, folder / f"whole{place}", 0.0)
        commands.append(command._replace(seconds=undisturbed(command.arguments(command.whole), command.whole)))
    for turn in range(number):
        command, kind = commands[turn % len(commands)], list(ENDED)[turn // len(commands) % len(ENDED)]
        out, expected = folder / f"out{turn}", content(command.whole)
        largest = max(path.stat().st_size for path in command.whole.rglob("*") if path.is_file())
        ended = disturb(kind, command, out, largest, chance)
        left = [path.name for path in out.rglob("*")] if out.exists() else []
        last = run_hicm(*command.arguments(out), timeout=600)
        line = f"{kind:9} {' '.join(command.words[:2 if command.words[0] == 'memory' else 1]):12} ended with " \
               f"{sorted(ended)}, {len(left)} files then, {len([name for name in left if name[0] == '.'])} hidden"
        report.append(line)
        assert ended <= ENDED[kind] | {0}, line
        assert last.status == 0, f"{line}: {last.stderr}"
        assert content(out) == expected, line
        assert not list(out.rglob(".*")) and not list(trained.glob(".*")), line
        shutil.rmtree(out)
    return report


@pytest.fixture
def url(tmp_path):
    files = {f"/{target}": content_of(target) for target in (TRAIN, TRAIN.replace("train", "val"))}
    files[f"/{FEATURES}"] = bytes(range(256)) * (8 << 12)  # 8 MiB
    with serve_hub(files) as server:
        yield server.url


@pytest.mark.slow
def test_twenty_disturbances(tmp_path, url):
    report = campaign(tmp_path, url, DISTURBANCES, SEED)
    print("\n".join(report))
    assert len(report) == DISTURBANCES
