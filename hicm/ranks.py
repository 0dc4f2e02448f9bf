"""One command in several processes, as torchrun, accelerate launch or srun start it: which process reports.

Needs only the standard library.
"""

import os
from dataclasses import dataclass

from hicm.errors import UserError


class ReportedElsewhere(UserError):
    """What another process of the command refuses, and reports itself."""


@dataclass
class _State:
    joined: bool = False


_state = _State()


def are_several() -> bool:
    """Whether a launcher started this process as one of several."""
    return "RANK" in os.environ and _number("WORLD_SIZE", 1) > 1


def is_first() -> bool:
    """Whether this is the only process, or the one that writes: only those that have `joined` are several."""
    return not (are_several() and _state.joined) or _number("RANK", 0) == 0


def check_launch() -> None:
    """Raise UserError when the variables of a launcher are incomplete, or no numbers."""
    advice = "start with torchrun or accelerate launch, or unset RANK and WORLD_SIZE for one process"
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT"):
        value = os.environ.get(name) or "0"
        if not value.isdecimal():
            raise UserError(f"environment: {name}: expected a number, found {value!r}; {advice}")
    if are_several():
        for name in ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
            if not os.environ.get(name):
                raise UserError(f"environment: RANK and WORLD_SIZE are set, {name} is not; {advice}")


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else default


def joined() -> None:
    """From now on each process may fail for reasons of its own."""
    _state.joined = True


def reports(error: BaseException | None = None) -> bool:
    """Whether this process reports an error, or whatever all of them meet.

    Until they have `joined`, all processes of a machine meet the same errors, and the first one there reports them.
    """
    if isinstance(error, ReportedElsewhere):
        return False
    return not are_several() or _number("LOCAL_RANK", 0) == 0 or (error is not None and _state.joined)
