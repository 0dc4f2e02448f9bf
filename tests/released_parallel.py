"""Small checkpoints of CM2 and PDVC as their programs write them: all names of the real files, made-up weights."""

import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch

from hicm.systems.parallel.model import Parallel
from hicm.systems.parallel.names import own_name
from hicm.systems.parallel.settings import Settings
from hicm.systems.parallel.vocabulary import Vocabulary
from tests.systems.parallel_golden import read_golden
from tests.tiny import WIDTH

State = dict[str, torch.Tensor]
SIZES = {"queries": 6, "width": 32, "hidden": 32, "heads": 2, "points": 2}
WORDS = Vocabulary(["chop", "the", "onion", "stir", "it", "<bos>", "<eos>", "UNK"])
CM2_ONLY = ("down_proj.", "cls_token", "text_", "pos_embed.", "clip_model.")  # and, in the decoder: norm_t, text_cross


def set_sizes(**changes: object) -> list[str]:
    """``--set`` of the settings with these weights; ``changes`` are of the section parallel."""
    return ["system=parallel", "preset=released", *(f"parallel.{name}={value}"
                                                    for name, value in {**SIZES, **changes}.items())]


def make_model(memory: bool = True) -> Parallel:
    """A network with random weights; no two queries and layers say the same."""
    torch.manual_seed(5)
    model = Parallel(Settings(**SIZES), WIDTH, WIDTH if memory else 0, len(WORDS))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.add_(torch.randn_like(weight) * (0.1 if "bias" in name else 0.2))
    return model.eval()


def released_state(model: Parallel) -> State:
    """The state dict under the published names: second names, CLIP, and weights that nothing reads."""
    golden, own = read_golden(), model.state_dict()
    live = {name: own[own_name(name)].clone() for name in golden.parameter_shapes if own_name(name) in own}
    live |= {name: live[first] for name, first in golden.aliases.items()}
    dead = {name: torch.full((3,), torch.nan) for name in golden.dead_parameter_shapes}
    state = live | dead | {"clip_model.logit_scale": torch.tensor(4.6, dtype=torch.float16),
                           "clip_model.positional_embedding": torch.zeros(77, 4, dtype=torch.float16)}
    if model.memory_width:
        return state
    return {name: value for name, value in state.items()
            if not name.startswith(CM2_ONLY) and ".norm_t." not in name and ".text_cross." not in name}


def write_checkpoint(path: Path, state: State, change: Callable[[State], object] = len, **more: object) -> Path:
    """``model-best.pth`` with optimiser and epoch; ``change`` edits the state dict, ``more`` the rest."""
    state = OrderedDict(state)
    change(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    optimizer = {"state": {0: {"step": 3, "exp_avg": torch.zeros(4)}}, "param_groups": [{"lr": 5e-5, "params": [0]}]}
    torch.save({"epoch": 25, "model": state, "optimizer": optimizer, **more}, path)
    return path


def write_words(path: Path, words: Vocabulary = WORDS) -> Path:
    words.save(path)
    return path


def write_info(checkpoint: Path, **changes: object) -> Path:
    """``info.json`` beside a checkpoint, with the arguments that CM2's and PDVC's programs keep there."""
    arguments = {"num_queries": 6, "max_eseq_length": 20, "hidden_dim": 32, "transformer_ff_dim": 32, "nheads": 2,
                 "num_feature_levels": 4, "enc_n_points": 2, "dec_n_points": 2, "cap_dec_n_points": 2, "cap_nheads": 1,
                 "enc_layers": 2, "dec_layers": 2, "window_size": 4, "soft_k": 2, "ec_alpha": 1.0, "with_box_refine": 1,
                 "max_caption_len": 30, "share_caption_head": 1, "transformer_input_type": "queries", "lr": 5e-5,
                 "caption_decoder_type": "standard", "bank_type": ["yc2"], "frame_embedding_num": 100} | changes
    path = checkpoint.with_name("info.json")
    path.write_text(json.dumps({"best": {"opt": arguments, "epoch": 25}, "last": {}, "history": {}}))
    return path
