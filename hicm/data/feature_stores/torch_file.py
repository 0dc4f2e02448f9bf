"""What torch saves, ``.pth`` and ``.pt``: a tensor, or a dict of tensors; memory-mapped where its form allows."""

from pathlib import Path
from typing import Any

import numpy as np

from hicm.data.feature_stores.arrays import few, line
from hicm.errors import UserError

SUFFIXES = (".pth", ".pt")
PER_PROCESS = False


def open_file(path: Path) -> Any:
    """Tensors, dicts, lists and numbers; anything that would run code is refused."""
    import torch

    try:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the format used before torch 1.6 cannot be mapped
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{path}: features refused, expected a dict of tensors saved by torch "
                        f"({line(error)}); is the file complete?") from error
    if not isinstance(content, dict | torch.Tensor):
        raise UserError(f"{path}: expected a dict video id -> tensor, found {type(content).__name__}")
    return content


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
