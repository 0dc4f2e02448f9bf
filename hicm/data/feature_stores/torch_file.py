"""What torch saves, ``.pth`` and ``.pt``: a tensor, or a dict of tensors; memory-mapped where its form allows."""

from pathlib import Path
from typing import Any

import numpy as np

from hicm.data.feature_stores.arrays import few
from hicm.data.torch_files import read_torch, refuse_odd
from hicm.errors import UserError, reason

SUFFIXES = (".pth", ".pt")
PER_PROCESS = False


def open_file(path: Path) -> Any:
    """A tensor or a dict; anything that would run code is refused."""
    try:
        content = read_torch(path)
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{path}: features refused, expected a dict of tensors saved by torch ({reason(error)}); is "
                        "the file complete?") from error
    if not isinstance(content, dict) and not hasattr(content, "shape"):
        raise UserError(f"{path}: expected a dict video id -> tensor, found {type(content).__name__}")
    odd = [type(key).__name__ for key in content if not isinstance(key, str)] if isinstance(content, dict) else []
    if odd:
        raise UserError(f"{path}: expected a dict video id -> tensor, found a key of type {odd[0]}")
    return content


def check(tensor: Any, where: str) -> None:
    """Raise UserError, starting with ``where``, unless it is a plain tensor that its own stored numbers fill."""
    try:
        refuse_odd(tensor, where)
    except ValueError as error:
        raise UserError(str(error)) from error


def load(tensor: Any) -> np.ndarray:
    """All of it; half precision becomes float32."""
    return _numpy(tensor.detach())


def peek(tensor: Any) -> tuple[tuple[int, ...], str, bytes]:
    """A few rows."""
    if not tensor.ndim:
        return (), str(tensor.dtype), b""
    rows = _numpy(tensor.detach()[few(len(tensor))])
    return tuple(tensor.shape), str(tensor.dtype), np.ascontiguousarray(rows).tobytes()


def _numpy(tensor: Any) -> np.ndarray:
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
