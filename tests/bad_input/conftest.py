"""One sound data set with memory and a trained run; a test puts one bad thing in the place of one good one."""

import contextlib
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hicm.cli import main
from hicm.files import read_json, sha256, write_json
from tests.processes import run_hicm
from tests.tiny import make_tiny

BAR = re.compile(r"\d+%\||\x1b\[A|^ *$")  # a progress bar


class Sound:
    """A data set, its memory and a trained run, all in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = make_tiny(folder, videos=4, train__epochs=1, train__eval_every=1, train__checkpoint_every=1)
        self.data, self.bank, self.run = folder / "data", folder / "bank", folder / "run"
        assert main(["train", str(self.config), "--out", str(self.run)]) == 0
        assert main(["predict", str(self.run)]) == 0

    def hashes(self) -> dict[str, str]:
        return {str(path): sha256(path) for path in sorted(self.folder.rglob("*")) if path.is_file()}

    def videos(self, split: str) -> list[str]:
        return list(read_json(self.data / f"{split}.json"))

    def change(self, split: str, target: Path, **videos: dict[str, Any]) -> Path:
        """A copy of a split's annotations in which parts of some videos are others; returns the file."""
        content = read_json(self.data / f"{split}.json")
        for video, changes in videos.items():
            content[video] = {**content[video], **changes}
        return write_json(target / f"{split}.json", content)


@contextlib.contextmanager
def own_warnings() -> Iterator[None]:
    """`main` sets for its process how warnings look; here that ends with the block."""
    format_, filters = warnings.formatwarning, warnings.filters[:]
    yield
    warnings.formatwarning, warnings.filters[:] = format_, filters


@pytest.fixture(scope="session")
def everything(tmp_path_factory) -> Sound:
    with own_warnings():
        return Sound(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def sound(everything, monkeypatch, tmp_path) -> Iterator[Sound]:
    """What is in order, looked at again after the test: no command may have changed it."""
    monkeypatch.chdir(tmp_path)
    before = everything.hashes()
    with own_warnings():
        yield everything
    assert everything.hashes() == before, "a command changed what was there"


@pytest.fixture
def run(sound, tmp_path) -> Path:
    """A copy of the trained run, for tests that break it."""
    shutil.copytree(sound.run, tmp_path / "run")
    return tmp_path / "run"


def one_line(errors: str) -> str:
    """The one line that a refused command leaves on standard error besides progress bars and warnings."""
    said = [piece for piece in re.split(r"[\r\n]+", errors) if not BAR.search(piece)]
    lines = [line for line in said if not line.startswith("hicm: warning: ")]
    if "h5py" in "".join(lines):  # HDF5 complains of a full disk once for every object it drops
        lines = lines[-1:]
    assert len(lines) == 1 and lines[0].startswith("hicm: error: "), said
    return lines[0].removeprefix("hicm: error: ")


@pytest.fixture
def refused_on_full_disk():
    """As ``refused``, where no file can grow beyond ``size`` bytes: a real refusal of the system.

    In a process of its own: an HDF5 file that could not be written leaves the library unfit for further use.
    """
    def refused_on_full_disk(size: int, *arguments: str | Path) -> str:
        ended = run_hicm(*arguments, largest_file=size)
        assert ended.status == 2, ended.stderr
        return one_line(ended.stderr)
    return refused_on_full_disk


@pytest.fixture
def refused(capsys):
    """Run a command that must refuse; returns the one line it says."""
    def refused(*arguments: str | Path, status: int = 2) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == status
        return one_line(capsys.readouterr().err)
    return refused
