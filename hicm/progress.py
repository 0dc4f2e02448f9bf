"""Progress of a long piece of work, for whatever displays it."""

from collections.abc import Callable

Progress = Callable[[str, float, float], None]  # stage, done, total (0: not known), in one unit


def no_progress(stage: str, done: float, total: float) -> None:
    """A `Progress` that displays nothing."""
