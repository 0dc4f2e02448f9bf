"""What torch saves, ``.pth`` and ``.pt``: a tensor, or a dict of tensors; memory-mapped where its form allows."""

from pathlib import Path
from typing import Any

import numpy as np

from hicm.data.feature_stores.arrays import few
from hicm.data.torch_files import read_torch, read_torch_bytes, refuse_odd
from hicm.errors import UserError, reason
from hicm.files import read_part

SUFFIXES = (".pth", ".pt")
PER_PROCESS = False


def open_file(path: Path) -> Any:
    """A tensor or a dict; anything that would run code is refused."""
    try:
        content = read_torch(path)
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{path}: features refused, expected a dict of tensors saved by torch ({reason(error)}); is "
                        "the file complete?") from error
    if (odd := _odd(content)):
        raise UserError(f"{path}: expected a dict video id -> tensor, found {odd}")
    return content


def open_part(path: Path, start: int, size: int) -> Any:
    """A tensor or a dict in these bytes of a file."""
    content = read_torch_bytes(read_part(path, start, size))
    if (odd := _odd(content)):
        raise ValueError(f"expected a tensor or a dict of tensors, found {odd}")
    return content


def _odd(content: Any) -> str:
    """What ``content`` is, if it is neither a tensor nor a dict whose keys are text."""
    if isinstance(content, dict):
        return next((f"a key of type {type(key).__name__}" for key in content if not isinstance(key, str)), "")
    return "" if hasattr(content, "shape") else type(content).__name__


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
