"""Checkpoints as the programs of HiCM2, CM2 and PDVC write them, and how they are read."""

import argparse
import io
from pathlib import Path
from typing import Any

WIDTH = 4
ARGUMENTS = {"best": {"opt": {"lr": 5e-05, "bank_type": ["yc2"], "pretrain": None, "text_crossAttn": True}}, "last": {}}


def torch_bytes(content: Any, zipped: bool) -> bytes:
    import torch

    out = io.BytesIO()
    torch.save(content, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


def released_weights(folder: Path) -> list[bytes]:
    import torch

    state = {f"t5_model.{name}.weight": torch.ones(3, WIDTH) for name in ("shared", "lm_head")}
    content = {"model": state | {"proj_v2t.weight": torch.ones(2, 2)}, "epoch": 3,
               "args": argparse.Namespace(lr=1e-4, names=["a"])}
    return [torch_bytes(content, zipped) for zipped in (True, False)]


def read_released_weights(file: Path) -> None:
    from hicm.systems.captioner.released.checkpoint import read_checkpoint

    for tensor in read_checkpoint(file).state.values():
        assert tensor.is_floating_point() and tensor.sum() is not None


def released_parallel(folder: Path) -> list[bytes]:
    from tests.released_parallel import make_model, released_state

    state = {name: tensor for name, tensor in released_state(make_model()).items() if tensor.numel() < 40}
    return [torch_bytes({"model": state, "epoch": 25, "optimizer": {"state": {}}}, zipped) for zipped in (True, False)]


def read_released_parallel(file: Path) -> None:
    from hicm.systems.parallel.names import is_live, own_state
    from hicm.systems.released import read_released_file, refuse_odd_tensors

    content = read_released_file(file, "", "CM2")
    live = {name: value for name, value in content.state.items() if is_live(name)}
    refuse_odd_tensors(live, file, "CM2")
    for tensor in own_state(live, str(file)).values():
        assert tensor.is_floating_point() and tensor.sum() is not None


def read_arguments(file: Path) -> None:
    from hicm.systems.parallel.convert import training_arguments

    training_arguments(file)
