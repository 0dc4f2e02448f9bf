"""A released training file and its settings, small, as the programs of HiCM2 and VidChapters write them."""

import argparse
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

import tests.test_parity as parity
from hicm.config import load_config
from hicm.errors import UserError
from hicm.stages.convert import convert_checkpoint

T5TINY = Path(__file__).parent / "golden" / "t5tiny"
SMALL = {768: 24, 512: 16, 192: 12, 2304: 72}  # sizes of the parity case -> of one that is written in no time
State = dict[str, torch.Tensor]


def make_settings(folder: Path, golden, **t5_config: int) -> Path:
    """The settings file of the parity case; ``t5_config`` changes its T5."""
    path = folder / "parity.yaml"
    mlp = SMALL[golden.mlp_dim] if t5_config else golden.mlp_dim
    path.write_text(yaml.safe_dump({
        "preset": "released", "offline": True,
        "data": {"name": "parity", "frames": 100}, "memory": {"path": str(folder / "no_bank")},
        "retrieval": {"windows": golden.window_size, "top_k": golden.soft_k},
        "captioner": {"t5": "scratch", "t5_config": {**golden.t5_config, **t5_config}, "tokenizer": str(T5TINY),
                      "time_bins": golden.num_bins, "visual_depth": golden.depth,
                      "visual_heads": golden.heads, "visual_mlp": mlp, "init": "anything.pth"}}))
    return path


def released_args(golden, **changes) -> argparse.Namespace:
    """Arguments of the training program, as it saves them."""
    return argparse.Namespace(**{
        "model_name": "t5-base", "num_bins": golden.num_bins, "max_feats": 100, "depth": golden.depth,
        "heads": golden.heads, "use_video": True, "use_speech": True, "window_size": golden.window_size,
        "soft_k": golden.soft_k, "hier_ret_num": "top-k", "ret2t5_proj": "deep",
        "hier_use": ["level_4", "level_3", "level_2", "level_1"], "max_input_tokens": 1000, "save_dir": "./presave/x",
        "num_beams": 4, "cluster": False, "ret_path": None, "lr": 3e-4, **changes})


def write_released(path: Path, state: State, golden, **content) -> Path:
    """``state`` with optimiser, epoch and arguments; ``content`` replaces or adds."""
    state = OrderedDict(state)
    state._metadata = OrderedDict({"": {"version": 1}})  # as that of a module has it
    optimizer = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4)}},
                 "param_groups": [{"lr": 3e-4, "params": [0]}]}
    torch.save({"model": state, "optimizer": optimizer, "epoch": 12, "args": released_args(golden), **content}, path)
    return path


def rows(state: State) -> list[str]:
    """Names of the four copies of the embedding matrix."""
    return [name for name in state if any(part in name for part in ("shared", "embed_tokens", "lm_head"))]


golden = parity.golden


@pytest.fixture(scope="module")
def weights(golden) -> State:
    shapes = {name: [SMALL.get(size, size) for size in shape] for name, shape in golden.parameter_shapes.items()}
    return {name: parity.weight(golden.salt, name, shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def write(golden, weights, tmp_path_factory) -> Callable[..., Path]:
    """Write a small released file; ``change`` edits the state dict, ``content`` the rest."""
    def write(change: Callable[[State], object] = len, name: str = "best_model.pth", **content) -> Path:
        state = dict(weights)
        change(state)
        return write_released(tmp_path_factory.mktemp("released") / name, state, golden, **content)
    return write


@pytest.fixture(scope="module")
def settings(golden, tmp_path_factory) -> Path:
    return make_settings(tmp_path_factory.mktemp("settings"), golden, d_model=24, d_ff=16, d_kv=2)


@pytest.fixture(scope="module")
def released(write) -> Path:
    return write()


@pytest.fixture(scope="module")
def run(released, settings, tmp_path_factory) -> Path:
    return convert_checkpoint(released, load_config(settings), tmp_path_factory.mktemp("runs") / "released")


def refused(checkpoint: Path, settings: Path, out: Path, *words: str, set_=(), **options) -> str:
    """The one line with which a conversion is refused; nothing of it is left."""
    before = sorted(out.parent.iterdir()) if out.parent.is_dir() else []
    with pytest.raises(UserError) as caught:
        convert_checkpoint(checkpoint, load_config(settings, set_), out, **options)
    assert (sorted(out.parent.iterdir()) if out.parent.is_dir() else []) == before, "nothing is left behind"
    told = str(caught.value)
    assert "\n" not in told
    for word in words:
        assert word in told
    return told
