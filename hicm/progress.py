"""How far a long piece of work has come, told to whoever shows it."""

from collections.abc import Callable

Progress = Callable[[str, float, float], None]  # stage, what is done of it, all of it (0: not known), in one unit


def unseen(stage: str, done: float, total: float) -> None:
    """A `Progress` that nobody looks at."""
