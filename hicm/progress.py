"""Progress of a long piece of work, for whatever displays it."""

import contextlib
import os
from collections.abc import Callable, Iterator

Progress = Callable[[str, float, float], None]  # stage, done, total (0: not known), in one unit

UNITS = {"frames": "s", "speech": "s", "recall": "windows", "captions": "windows", "search": "windows",
         "files": "files"}  # by stage
FORM = "{l_bar}{bar}| {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}]"


def no_progress(stage: str, done: float, total: float) -> None:
    """A `Progress` that displays nothing."""


@contextlib.contextmanager
def progress_line(name: str) -> Iterator[Progress]:
    """A `Progress` on one line of the terminal, removed at the end: ``name``, the stage, and a bar for that stage.

    It displays nothing where standard error is no terminal, and in workers, which share one (TQDM_DISABLE).
    """
    from tqdm import tqdm

    hidden = True if os.environ.get("TQDM_DISABLE") else None  # None: unless standard error is a terminal
    with tqdm(desc=f"{name}: opening", unit="", bar_format=FORM, leave=False, disable=hidden) as bar:
        stage = ""

        def show(now: str, done: float, total: float) -> None:
            nonlocal stage
            bar.total = round(total) or None
            if now != stage:
                stage, bar.unit = now, UNITS.get(now, "")
                bar.set_description(f"{name}: {now}", refresh=False)
                bar.reset()
            bar.update(round(done) - bar.n)

        yield show
