"""Checkpoints of MESM as its program writes them: all names and shapes of the real files, made-up weights."""

import argparse
import itertools
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

State = dict[str, torch.Tensor]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Size:
    """What decides the shapes; names are those of the published configuration files where they have one."""

    video: int  # v_feat_dim, the two columns of the row's place included
    text: int  # t_feat_dim
    classes: int  # rows of output_txt_proj.1
    words: int = 16  # max_words_l
    shared: bool = True  # share_MLP
    width: int = 256
    hidden: int = 1024
    queries: int = 10
    layers: int = 2  # of frames and words, aligner, encoder and decoder
    sentence_layers: int = 4


# The published configurations, and how many tensors and values their checkpoints hold.
PUBLISHED = {
    "charades_vgg": (Size(4098, 300, 1112), 273, 13_081_395),
    "charades_csf": (Size(2818, 512, 1114), 273, 12_806_789),
    "charades_cg": (Size(2818, 512, 1114), 273, 12_806_789),
    "tacos": (Size(4098, 300, 1112, shared=False), 289, 14_134_579),
    "qvhighlights": (Size(2818, 512, 5003, words=32), 273, 13_810_358),
}


def shapes(size: Size) -> Shapes:
    """Shapes by their names in MESM's code."""
    return dict(_shapes(size))


def count(of: Shapes, prefix: str = "") -> int:
    """Values in the tensors whose names start with ``prefix``."""
    return sum(math.prod(shape) for name, shape in of.items() if name.startswith(prefix))


def _shapes(size: Size) -> Iterator[tuple[str, tuple[int, ...]]]:
    d = size.width
    yield from {"global_rep_token": (d,), "global_rep_pos": (d,), "masked_token": (size.text,),
                "unknown_token": (size.text,), "query_embed.weight": (size.queries, 2),
                "ss_reconstructor.masked_sent_token": (d,),
                "txt_position_embed.position_embeddings.weight": (size.words + 1, d)}.items()
    families = {"enhance_encoder.t2v_encoder.": size.layers, "t2v_encoder.t2v_encoder.": size.layers,
                "transformer.encoder.": size.layers, "ss_reconstructor.recon_trans.": size.sentence_layers}
    for family, layers in families.items():
        for place in range(layers):
            layer = f"{family}layers.{place}."
            yield f"{layer}self_attn.in_proj_weight", (3 * d, d)
            yield f"{layer}self_attn.in_proj_bias", (3 * d,)
            yield from _linear(f"{layer}self_attn.out_proj", d, d)
            yield f"{layer}activation.weight", (1,)
            for suffix in ("", "_1") if family.startswith("enhance") and not size.shared else ("",):
                yield from _feed(layer, size, 2, suffix)
    for place in range(size.layers):
        layer = f"transformer.decoder.layers.{place}."
        parts = [*(f"sa_{part}_proj" for part in ("qcontent", "qpos", "kcontent", "kpos", "v")), "self_attn.out_proj",
                 *(f"ca_{part}_proj" for part in ("qcontent", "kcontent", "kpos", "v", "qpos_sine")),
                 *(["ca_qpos_proj"] if not place else []), "cross_attn.out_proj"]
        for part in parts:
            yield from _linear(layer + part, d, d)
        yield f"{layer}activation.weight", (1,)
        yield from _feed(layer, size, 3)
    yield from _norm("transformer.decoder.norm", d)
    for name, widths in {"query_scale": (d, d), "ref_point_head": (d, d), "ref_anchor_head": (d, 1),
                         "bbox_embed": (d, d, 2)}.items():
        yield from _perceptron(f"transformer.decoder.{name}", d, *widths)
    yield from _perceptron("span_embed", d, d, d, 2)
    for name, rows in {"class_embed": 2, "saliency_proj1": d, "saliency_proj2": d, "output_txt_proj.1": size.classes
                       }.items():
        yield from _linear(name, rows, d)
    yield from _norm("txt_position_embed.LayerNorm", d)
    for name, read in {"input_txt_proj.0": size.text, "input_txt_proj.1": d, "input_vid_proj.0": size.video,
                       "input_vid_proj.1": d, "output_txt_proj.0": d, "ss_reconstructor.output_sent_proj.0": d,
                       "ss_reconstructor.output_sent_proj.1": d}.items():
        yield from _norm(f"{name}.LayerNorm", read)
        yield from _linear(f"{name}.net.1", d, read)


def _linear(name: str, rows: int, columns: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _feed(layer: str, size: Size, norms: int, suffix: str = "") -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _linear(f"{layer}linear1{suffix}", size.hidden, size.width)
    yield from _linear(f"{layer}linear2{suffix}", size.width, size.hidden)
    for norm in range(1, norms + 1):
        yield from _norm(f"{layer}norm{norm}{suffix}", size.width)


def _perceptron(name: str, *widths: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for place, (read, made) in enumerate(itertools.pairwise(widths)):
        yield from _linear(f"{name}.layers.{place}", made, read)


def random_state(size: Size, seed: int = 0) -> State:
    """Random weights, not so large that windows are saturated."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) * (0.2 if len(shape) == 1 else shape[-1] ** -0.5)
            for name, shape in shapes(size).items()}


SMALL = Size(18, 16, 6, width=32, hidden=32, queries=4, layers=1, sentence_layers=1)
WORDS = ("a", "dog", "sits", "eats", "it")
SEPARATE = replace(SMALL, shared=False)


def set_sizes(**changes: object) -> list[str]:
    """``--set`` of the settings of `SMALL`; ``changes`` are of the section moments."""
    sizes = {"words": "each:hashing:16", "classes": 5, "queries": 4, "width": 32, "hidden": 32, "heads": 2,
             "word_layers": 1, "sentence_layers": 1, "aligner_layers": 1, "encoder_layers": 1, "decoder_layers": 1}
    return ["system=moments", "preset=released", *(f"moments.{name}={str(value).lower()}"
                                                   for name, value in {**sizes, **changes}.items())]


def write_checkpoint(path: Path, state: State, change: Callable[[State], object] = len, **more: object) -> Path:
    """A checkpoint with optimiser, schedule, epoch and options; ``change`` edits the state dict, ``more`` the rest."""
    state = OrderedDict(state)
    change(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"model": state, "optimizer": {"state": {0: {"step": 3, "exp_avg": torch.zeros(4)}},
                                             "param_groups": [{"lr": 2e-4, "params": [0]}]},
               "lr_scheduler": {"step_size": 400, "gamma": 0.1, "last_epoch": 7, "base_lrs": [2e-4]}, "epoch": 7,
               "opt": argparse.Namespace(**arguments())}
    torch.save({name: value for name, value in {**content, **more}.items() if value is not None}, path)
    return path


def arguments(**changes: object) -> dict[str, object]:
    """The arguments of the training program."""
    return {"dataset_name": "charades", "v_feat_dim": 18, "t_feat_dim": 16, "nheads": 2, "num_queries": 4,
            "use_tef": True, "max_words_l": 16, "max_video_l": 100, "vocab_size": 5, "loss_label_coef": 4,
            "max_ts_val": 150, "clip_len": -1,
            "loss_saliency_coef": 4, "rank_coef": 12, "use_triplet": False, "lr": 2e-4, "weight_decay": 1e-4,
            "device": torch.device("cuda"), "share_MLP": True} | changes


def write_options(checkpoint: Path, **changes: object) -> Path:
    """``opt.json`` beside a checkpoint."""
    path = checkpoint.with_name("opt.json")
    path.write_text(json.dumps({name: str(value) if isinstance(value, torch.device) else value
                                for name, value in arguments(**changes).items()}))
    return path


def write_counts(path: Path, words: tuple[str, ...] = WORDS) -> Path:
    """A count file of words in the published form."""
    numbers = {word: number for number, word in enumerate(sorted(words), start=2)}
    path.write_text("".join(f"{word} {numbers[word]} {len(words) - place}\n" for place, word in enumerate(words)))
    return path
