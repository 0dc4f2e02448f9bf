"""Released weights of full size: HiCM2 on t5-base, 290 million random numbers, converted, loaded and run."""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from sentencepiece import sentencepiece_model_pb2
from transformers import T5Tokenizer

from hicm import verbs
from hicm.config import RetrievalConfig
from hicm.files import read_json
from hicm.systems.captioner.batch import Item, collate
from hicm.systems.captioner.decode import generate
from hicm.systems.captioner.released import compatibility
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import digest_of, load_pieces
from hicm.systems.captioner.weights import from_pretrained
from tests.released import T5TINY

TIED = [f"t5_model.{name}.weight" for name in ("shared", "encoder.embed_tokens", "decoder.embed_tokens", "lm_head")]
T5_BASE = {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_decoder_layers": 12, "num_heads": 12,
           "feed_forward_proj": "relu"}
PIECES = 32000  # of t5-base; with 100 sentinels 32,100


def full_size_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of HiCM2 on t5-base, 100 frames, 100 time tokens."""
    d, ff, rows = 768, 3072, 32200
    shapes = dict.fromkeys(TIED, (rows, d))
    for stack, attentions in (("encoder", ["SelfAttention"]), ("decoder", ["SelfAttention", "EncDecAttention"])):
        shapes[f"t5_model.{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = (32, 12)
        shapes[f"t5_model.{stack}.final_layer_norm.weight"] = (d,)
        for i in range(12):
            block = f"t5_model.{stack}.block.{i}.layer"
            for j, attention in enumerate(attentions):
                shapes |= {f"{block}.{j}.{attention}.{part}.weight": (d, d) for part in "qkvo"}
            shapes |= {f"{block}.{j}.layer_norm.weight": (d,) for j in range(len(attentions) + 1)}
            shapes[f"{block}.{len(attentions)}.DenseReluDense.wi.weight"] = (ff, d)
            shapes[f"{block}.{len(attentions)}.DenseReluDense.wo.weight"] = (d, ff)
    shapes["visual_encoder.pos_embed"] = (1, 100, d)
    for i in range(12):
        for name, shape in {"norm1": (d,), "norm2": (d,), "attn.qkv": (3 * d, d), "attn.proj": (d, d),
                            "mlp.fc1": (2048, d), "mlp.fc2": (d, 2048)}.items():
            shapes[f"visual_encoder.blocks.{i}.{name}.weight"] = shape
            shapes[f"visual_encoder.blocks.{i}.{name}.bias"] = shape[:1]
    for name, shape in {"visual_encoder.norm": (d,), "ret2t5_proj.0.LayerNorm": (d,), "ret2t5_proj.1.LayerNorm": (d,),
                        "ret2t5_proj.0.net.1": (d, d), "ret2t5_proj.1.net.1": (d, d)}.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def test_full_size_counts():
    shapes = full_size_shapes()
    rows = [name for name, shape in shapes.items() if shape == (32200, 768)]
    assert len(shapes) == 415 and len(rows) == 4
    assert sum(int(np.prod(shape)) for shape in shapes.values()) - 3 * 32200 * 768 == 290_389_248


def write_tokenizer(folder: Path) -> Path:
    """A tokenizer as large as that of t5-base: the tiny one and pieces that no text has."""
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString((T5TINY / "spiece.model").read_bytes())
    for number in range(PIECES - len(model.pieces)):
        model.pieces.add(piece=f"\u2581piece{number:05d}", score=-100.0)
    folder.mkdir()
    (folder / "spiece.model").write_bytes(model.SerializeToString())
    T5Tokenizer.from_pretrained(str(folder), extra_ids=100).save_pretrained(folder)
    return folder


def write_checkpoint(path: Path) -> Path:
    """Random weights in the form of best_model.pth."""
    torch.manual_seed(0)
    shapes = full_size_shapes()
    state = {name: torch.ones(shape) if name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "Norm.weight"))
             else 0.02 * torch.randn(shape) for name, shape in shapes.items() if name not in TIED}
    state |= dict.fromkeys(TIED, torch.randn(shapes[TIED[0]]))
    args = argparse.Namespace(model_name="t5-base", num_bins=100, depth=12, heads=12, window_size=10, soft_k=10)
    torch.save({"model": state, "optimizer": {"state": {}, "param_groups": []}, "epoch": 16, "args": args}, path)
    return path


@pytest.mark.slow
def test_full_size_is_converted_loaded_and_run(tmp_path, monkeypatch):
    stand_in = load_pieces(str(write_tokenizer(tmp_path / "t5")), offline=True)
    monkeypatch.setattr(compatibility, "T5_DIGEST", digest_of(stand_in))
    settings, path = tmp_path / "yc2.yaml", write_checkpoint(tmp_path / "best_model.pth")
    settings.write_text(yaml.safe_dump({
        "preset": "released", "data": {"name": "full"}, "memory": {"path": str(tmp_path / "bank")},
        "captioner": {"t5": "scratch", "t5_config": T5_BASE, "tokenizer": str(tmp_path / "t5"),
                      "offline": True}}))
    run = verbs.convert(str(path), str(settings), str(tmp_path / "run"))
    path.unlink()
    manifest = read_json(run / "manifest.json")
    assert manifest["keys"]["parameters"] == 290_389_248 and manifest["keys"]["used"] == 412
    assert manifest["keys"]["rows"] == 32200 and manifest["warnings"] == [] and manifest["dropped"] == ["optimizer"]
    model, vocabulary = from_pretrained(run)
    shutil.rmtree(run)
    assert sum(value.numel() for value in model.parameters()) == 290_389_248
    rng, windows = np.random.default_rng(0), RetrievalConfig().windows
    item = Item("a", 60.0, rng.standard_normal((100, 768), np.float32), np.ones(100, bool),
                rng.standard_normal((windows, 768), np.float32), np.ones(windows, bool),
                [*vocabulary.encode("add the onions", 10), 1], [1], [1], [1])
    ids = generate(model, collate([item]), vocabulary, DecodeSettings(beams=2, max_tokens=4))[0]
    assert 2 <= len(ids) <= 5 and all(0 <= one < 32200 for one in ids)
