"""Weights in safetensors files: read with one clear line where they are missing, damaged or another model's."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from hicm.errors import UserError, reason
from hicm.files import require

NAMED = 5  # keys named in an error


def read_weights(path: Path, remedy: str) -> dict[str, Tensor]:
    """The state dict in a file.  Raises UserError when it is missing (``remedy``) or cannot be read."""
    path = require(path, "weights", remedy)
    try:
        state = load_file(path)
    except Exception as error:
        raise UserError(f"{path}: weights cannot be read ({reason(error)}); is the file complete?") from error
    odd = [f"{name} ({value.dtype})" for name, value in state.items() if not value.is_floating_point()]
    if odd:
        raise UserError(f"{path}: expected floating point numbers, found {some(odd)}; is the file complete?")
    return state


def load_exactly(model: nn.Module, state: dict[str, Tensor], where: str, remedy: str) -> None:
    """Copy ``state`` into ``model``.  Raises UserError that names what is missing, unused or of another shape."""
    own = model.state_dict()
    shapes = [f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
              for name in sorted(own.keys() & state.keys()) if own[name].shape != state[name].shape]
    problems = [f"{what}: {some(names)}" for what, names in
                (("unused keys", sorted(state.keys() - own.keys())),
                 ("missing keys", sorted(own.keys() - state.keys())), ("other shapes", shapes)) if names]
    if problems:
        raise UserError(f"{where}: does not fit the model; {'; '.join(problems)}; {remedy}")
    model.load_state_dict(state)


def some(names: list[str], most: int = NAMED) -> str:
    """The first ``most`` names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
