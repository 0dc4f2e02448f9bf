"""Work that goes wrong in all the ways that workers meet, for the tests of executors."""

import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from hicm.encoders import make_image_encoder
from hicm.errors import Refused, UserError
from hicm.executors import Executor, Outcome
from hicm.loading import NoModel


def videos(*names: str) -> list[Path]:
    return [Path(f"{name}.mp4") for name in names]


def outcomes(executor: Executor, load: Callable, folder: Path, *names: str) -> dict[str, Outcome]:
    """The outcomes of videos by name, each once."""
    found = list(executor(partial(load, folder), videos(*names)))
    assert len(found) == len(names)
    return {outcome.video.stem: outcome for outcome in found}


def load(folder: Path) -> Callable[[Path], object]:
    """Work that does what the name of the video says; every video leaves a file, every loading one too."""
    (folder / f"loaded {os.getpid()}").touch()
    warnings.warn("the same of every worker", stacklevel=1)

    def work(video: Path) -> object:
        with open(folder / f"began {video.stem}", "a") as file:
            file.write("x")
        doing = video.stem.partition(" ")[0]
        if doing in ("SIGKILL", "SIGSEGV"):
            os.kill(os.getpid(), getattr(signal, doing))
            time.sleep(60)
        elif doing == "exit":
            os._exit(3)
        elif doing == "bug":
            raise ZeroDivisionError("of the test")
        elif doing == "corrupt":
            raise UserError(f"{video}: is corrupt")
        elif doing == "refuse":
            raise Refused(f"{video}: not written as youtube")
        elif doing == "model":
            raise NoModel("no model: wanted by every video")
        elif doing == "warn":
            print("a line")
            warnings.warn("a warning", RuntimeWarning, stacklevel=1)
        elif doing == "sleep":
            time.sleep(60)
        elif doing == "wait":
            time.sleep(0.5)
        elif doing == "where":
            return {"threads": os.environ.get("OMP_NUM_THREADS"), "folder": os.getcwd(), "process": os.getpid(),
                    "device": os.environ.get("CUDA_VISIBLE_DEVICES")}
        (folder / f"done {video.stem}").touch()
        return doing != "skip"

    return work


def refuse_to_load(folder: Path) -> Callable[[Path], object]:
    raise UserError("model: not found")


def die_while_loading(folder: Path) -> Callable[[Path], object]:
    """All but the first worker die."""
    try:
        (folder / "first").mkdir()
    except FileExistsError:
        os.kill(os.getpid(), signal.SIGKILL)
    return load(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Fatal:
    """An image encoder that is killed by dark pictures."""

    name = "fatal"

    def __init__(self) -> None:
        self._encoder = make_image_encoder("hashing:8")

    def encode_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        if images[0].mean() < 10:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._encoder.encode_images(images)


class Ears:
    """A recogniser that hears the name of the file."""

    name = "ears"

    def transcribe(self, path: Path, progress: object = None) -> list[dict]:
        return [{"start": 0.0, "end": 1.0, "text": path.stem, "words": []}]


def alive(folder: Path) -> list[int]:
    """The workers that have loaded and live."""
    found = [int(path.name.removeprefix("loaded ")) for path in folder.glob("loaded *")]
    return [process for process in found if Path(f"/proc/{process}").exists()
            and Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"]


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def session(leader: int) -> list[int]:
    """The processes of a session that live."""
    return [process for process in map(int, filter(str.isdecimal, os.listdir("/proc")))
            if _session_of(process) == leader and process != leader]


def _session_of(process: int) -> int | None:
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return None
