"""Every system that is found, and one of another distribution; a tiny training of each."""

import contextlib
import sys
import warnings
from pathlib import Path

import pytest

from hicm.cli import main
from hicm.rooms import room_names
from hicm.systems.base import find_system
from tests.rooms.throwaway import install
from tests.tiny import make_tiny

ROOMS = [*room_names(), "throwaway"]


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The throw-away distribution on the import path."""
    folder = tmp_path_factory.mktemp("site")
    install(folder)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.startswith("throwaway_room")]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def data(installed, tmp_path_factory) -> Path:
    """Settings of a tiny data set with its memory bank."""
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=6, train__epochs=1, train__eval_every=1,
                     captioner__decode__batch=2)


@pytest.fixture(scope="session", params=ROOMS)
def room(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def trained(room, data, tmp_path_factory) -> Path:
    """The run folder of a tiny training of the system; read only."""
    run = tmp_path_factory.mktemp(room) / "run"
    assert hicm("train", data, *options(room), "--out", run) == 0
    return run


def options(room: str) -> list[str]:
    """The settings of a training of the system on the tiny data set."""
    selecting = {"dvc": "soda_d", "moments": "mAP"}[find_system(room).task]
    return ["--set", f"system={room}", "--set", f"train.select_on={selecting}"]


def hicm(*arguments: object) -> int:
    """``hicm ARGUMENTS`` in this process, whose warnings stay as they are."""
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        stack.callback(setattr, warnings, "formatwarning", warnings.formatwarning)
        return main([str(argument) for argument in arguments])
