"""One command in several processes, as torchrun, accelerate launch or srun start it: who speaks for all of them.

Needs only the standard library.
"""

import os
from dataclasses import dataclass

from hicm.errors import UserError


class Elsewhere(UserError):
    """What another process of the command refuses, and reports itself."""


@dataclass
class _State:
    joined: bool = False


_state = _State()


def are_several() -> bool:
    """Whether a launcher started this process as one of several."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE") or 1) > 1


def is_first() -> bool:
    """Whether this is the only process, or the one that writes."""
    return not are_several() or int(os.environ["RANK"]) == 0


def joined() -> None:
    """From now on each process meets errors of its own."""
    _state.joined = True


def speaks(error: BaseException | None = None) -> bool:
    """Whether this process reports an error, or whatever all of them meet.

    Until they have `joined`, all processes of a machine meet the same errors, and the first one there reports them.
    """
    if isinstance(error, Elsewhere):
        return False
    return not are_several() or int(os.environ.get("LOCAL_RANK") or 0) == 0 or (error is not None and _state.joined)
