"""Files that torch saved, as features and checkpoints: tensors and plain data, nothing in them is executed."""

import io
import zipfile
from pathlib import Path
from typing import Any

from hicm.arrays import Bounded


def read_torch(path: str | Path, mmap: bool = True) -> Any:
    """The content of a file, on the CPU; with ``mmap`` left on the disk until it is used, where the format allows.

    Raises nearly anything when the file is damaged or would execute code.
    """
    import torch

    if not zipfile.is_zipfile(path):  # as before torch 1.6; from an open file, torch allocates whatever it asks for
        return read_torch_bytes(Path(path).read_bytes())
    if mmap:
        with Bounded(path) as file, zipfile.ZipFile(file) as archive:  # mapped, torch compares no checksum
            for name in archive.namelist():
                if name.endswith("/data.pkl"):
                    archive.read(name)
    return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)


def read_torch_bytes(content: bytes) -> Any:
    """The same of the bytes of a file."""
    import torch

    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def refuse_odd(tensor: Any, what: str) -> None:
    """Raise ValueError unless ``tensor`` is a plain tensor that its own stored numbers fill."""
    import torch

    if not isinstance(tensor, torch.Tensor):
        raise ValueError(f"{what}: expected a tensor, found {type(tensor).__name__}")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise ValueError(f"{what}: expected a plain tensor, found one that is {tensor.layout} on {tensor.device}")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ValueError(f"{what}: shape {list(tensor.shape)}, but only {tensor.untyped_storage().nbytes()} bytes are "
                         "stored")
