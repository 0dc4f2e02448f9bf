"""``hicm convert`` on released weights: the parity case keeps its numbers, and bad files are refused."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

import tests.released as released_file
import tests.test_parity as parity
from hicm import verbs
from hicm.config import load_config
from hicm.errors import UserError
from hicm.files import read_json, sha256
from hicm.stages.convert import convert_checkpoint
from hicm.systems.captioner.weights import from_pretrained, load_captioner
from tests.bombs import Bomb
from tests.released import T5TINY, make_settings, refused, released_args, rows, write_released

golden, weights, write = released_file.golden, released_file.weights, released_file.write
settings, released, run = released_file.settings, released_file.released, released_file.run
vocabulary, features, frames, batch = parity.vocabulary, parity.features, parity.frames, parity.batch


@pytest.fixture(scope="module")
def model(golden, tmp_path_factory):
    """The parity case, written as released, converted and loaded."""
    folder = tmp_path_factory.mktemp("parity")
    state = {name: parity.weight(golden.salt, name, shape) for name, shape in golden.parameter_shapes.items()}
    path = write_released(folder / "best_model.pth", state, golden)
    run = verbs.convert(str(path), str(make_settings(folder, golden)), str(folder / "run"))
    path.unlink()
    return load_captioner(run / "best")[0]


# the parity case

def test_the_converted_run_gives_the_golden_activations(golden, model, batch):
    parity.test_visual_memory_and_speech_tokens_and_logits(golden, model, batch)


def test_the_converted_run_gives_the_golden_ids(golden, model, vocabulary, batch):
    parity.test_generated_ids(golden, model, vocabulary, batch, 1, 5)


def test_the_run_folder_is_whole(run, released, weights):
    assert {path.name for path in run.iterdir()} == {"config.yaml", "manifest.json", "README.md", "best", "tokenizer"}
    config, manifest = load_config(run / "config.yaml"), read_json(run / "manifest.json")
    assert config.room.init == "" and config.retrieval.search == "top_only"
    assert manifest["kind"] == "convert" and manifest["run"].startswith("best_model-")
    source = manifest["source"]
    assert source["sha256"] == sha256(released) and source["bytes"] == released.stat().st_size
    assert (source["kind"], source["epoch"], source["file"]) == ("hicm2", 12, "best_model.pth")
    keys = manifest["keys"]
    assert len(keys["tied"]) == 4 and keys["used"] == len(weights) - 3 and keys["fresh"] == []
    assert keys["renamed"]["ret2t5_proj.0.net.1.weight"] == "memory_projection.layers.0.linear.weight"
    embedding = weights["t5_model.shared.weight"]
    assert keys["parameters"] == sum(value.numel() for value in weights.values()) - 3 * embedding.numel()
    assert manifest["dropped"] == ["optimizer"] and manifest["args"]["hier_use"][0] == "level_4"
    assert manifest["args"]["ret_path"] is None and manifest["args"]["cluster"] is False
    assert manifest["bank"] == {"path": config.memory.path, "sha256": None}
    assert (run / "best" / "model.safetensors").stat().st_size < 1.1 * 4 * keys["parameters"], "no optimiser state"


def test_the_card_describes_the_run_and_how_to_use_it(run, released):
    card = (run / "README.md").read_text()
    for words in ("HiCM2", sha256(released), "hicm predict released", "12 (counted from 0)", "their authors",
                  "search top_only", "padding attended", "missing at conversion", '`"deep"`'):
        assert words in card
    assert str(released.parent) not in card, "no path of this machine"


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_become_float32(write, settings, tmp_path, weights, kind):
    def change(state):
        state.update({name: value.to(kind) for name, value in state.items()})
    run = convert_checkpoint(write(change), load_config(settings), tmp_path / "run")
    model, _ = from_pretrained(run)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    torch.testing.assert_close(model.t5.shared.weight, weights["t5_model.shared.weight"].to(kind).float())


def test_the_prefix_of_data_parallelism_is_removed(write, settings, tmp_path, run):
    def change(state):
        for name in list(state):
            state[f"module.{name}"] = state.pop(name)
    other = convert_checkpoint(write(change), load_config(settings), tmp_path / "run")
    assert sha256(other / "best" / "model.safetensors") == sha256(run / "best" / "model.safetensors")


def test_a_plain_state_dict_is_enough(weights, settings, tmp_path):
    torch.save(weights, tmp_path / "bare.pth")
    run = convert_checkpoint(tmp_path / "bare.pth", load_config(settings), tmp_path / "run")
    manifest = read_json(run / "manifest.json")
    assert (manifest["args"], manifest["dropped"], manifest["source"]["epoch"]) == ({}, [], None)


def test_the_file_of_old_torch_is_read(weights, settings, tmp_path):
    torch.save({"model": weights}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    convert_checkpoint(tmp_path / "old.pth", load_config(settings), tmp_path / "run")


# refused by name

@pytest.mark.parametrize(("change", "words"), [
    (lambda s: s.update({"visual_encoder.blocks.0.attn.qqq.weight": s.pop("visual_encoder.blocks.0.attn.qkv.weight")}),
     ("unused keys: visual_encoder.blocks.0.attn.qqq.weight", "missing keys: visual_encoder.blocks.0.attn.qkv.weight")),
    (lambda s: s.pop("t5_model.decoder.final_layer_norm.weight"),
     ("missing keys: t5.decoder.final_layer_norm.weight",)),
    (lambda s: s.pop("ret2t5_proj.1.net.1.bias"), ("missing keys: memory_projection.layers.1.linear.bias",)),
    (lambda s: s.update({"visual_encoder.norm.weight": torch.ones(5)}),
     ("visual_encoder.norm.weight (5,) instead of (24,)",)),
    (lambda s: s.update({"classifier.weight": torch.ones(5)}), ("unused keys: classifier.weight",)),
    (lambda s: s.update({"t5_model.lm_head.weight": s["t5_model.lm_head.weight"] + 1}),
     ("t5.lm_head.weight differs from t5.shared.weight",)),
    (lambda s: s.update({"module.visual_encoder.norm.weight": s["visual_encoder.norm.weight"]}),
     ("visual_encoder.norm.weight and module.visual_encoder.norm.weight are both",)),
    (lambda s: s.update({"visual_encoder.norm.weight": s["visual_encoder.norm.weight"].long()}),
     ("visual_encoder.norm.weight (torch.strided, torch.int64)",)),
    (lambda s: s.update({"visual_encoder.norm.weight": s["visual_encoder.norm.weight"] * float("nan")}),
     ("not finite, in visual_encoder.norm.weight",)),
    (lambda s: [s.pop(name) for name in rows(s)],
     ("no embedding matrix",)),
    (lambda s: s.clear(), ("expected a state dict",)),
])
def test_keys_that_do_not_fit(write, settings, tmp_path, change, words):
    refused(write(change), settings, tmp_path / "run", *words)


@pytest.mark.parametrize(("set_", "words"), [
    (["captioner.visual_depth=6"], ("the file has 2 visual layers, captioner.visual_depth=6",)),
    (["captioner.visual_mlp=2048", "data.frames=50"],
     ("16 hidden units in a visual layer, captioner.visual_mlp=2048", "100 frame positions, data.frames=50")),
    (["captioner.memory_projection=simple"], ("2 layers of memory projection, captioner.memory_projection=simple",)),
    (["captioner.t5_config={d_model: 512, d_kv: 64, d_ff: 512, num_layers: 6, num_heads: 8}"],
     ("T5 width (d_model) is 24 in the file and 512 in captioner.t5=scratch", "T5 encoder layers (num_layers) is 2",
      "T5 heads (num_heads) is 6", "(num_heads x d_kv) is 12")),
    (["captioner.use_video=false"], ("has a memory projection",)),
    (["captioner.use_video=false", "retrieval.search=none"], ("has a memory projection",)),
    (["retrieval.search=none"], ("retrieval.search=none", "preset=released")),
    (["captioner.time_bins=50"], ("499 rows", "399 text pieces", "set captioner.time_bins=100")),
    (["captioner.tokenizer=train"], ("captioner.tokenizer",)),
    (["captioner.tokenizer="], ("captioner.t5=scratch name no tokenizer",)),
    (["captioner.visual_heads=7"], ("captioner.visual_heads",)),
    (["captioner.t5=somewhere/else"], ("captioner.t5: somewhere/else", "offline is on")),
    ([f"captioner.t5={T5TINY}", "captioner.tokenizer="],
     (f"T5 width (d_model) is 24 in the file and 768 in captioner.t5={T5TINY}", "T5 hidden units (d_ff) is 16")),
])
def test_settings_that_do_not_fit(released, settings, tmp_path, set_, words):
    refused(released, settings, tmp_path / "run", *words, set_=set_)


def test_a_model_of_titles_has_no_time_tokens(write, settings, tmp_path, golden):
    def change(state):
        for name in rows(state):
            state[name] = state[name][:-golden.num_bins].clone()
    refused(write(change), settings, tmp_path / "run", "399 rows", "no time tokens")


def test_another_tokenizer_is_named(write, settings, tmp_path):
    def change(state):
        for name in rows(state):
            state[name] = torch.zeros(32200, 4)
    refused(write(change), settings, tmp_path / "run", "32,200 rows", "32,100 text pieces", "captioner.tokenizer")


def test_a_bank_of_another_width_is_refused(released, settings, tmp_path):
    from hicm.memory.bank import Bank, Level, save_bank

    empty = tuple(np.zeros(0, np.int64) for _ in range(2))
    level = Level(("a", "b"), np.eye(2, 20, dtype=np.float32), empty, np.full(2, -1, np.int64))
    save_bank(Bank((level,), None, {}), tmp_path / "bank")
    refused(released, settings, tmp_path / "run", "memory vectors 24 wide", "holds 20",
            set_=[f"memory.path={tmp_path / 'bank'}"])


@pytest.mark.parametrize("place", ["model", "args", "optimizer", "nested"])
def test_a_pickle_that_runs_code_is_refused_unrun(golden, write, settings, tmp_path, place):
    bomb = Bomb(tmp_path / "ran")
    if place == "model":
        path = write(lambda state: state.update({"visual_encoder.norm.weight": bomb}))
    elif place == "nested":
        path = write(args=released_args(golden, hier_use=[bomb]))
    else:
        path = write(**{place: bomb})
    out = tmp_path / "run"
    said = refused(path, settings, out)
    assert "checkpoint refused" in said and "not a file of PyTorch" not in said, "it says what is in the file"
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UserError, match="checkpoint refused"):
        verbs.predict(str(path), config=str(settings))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("value", "words"), [
    (argparse.Namespace(a=1), ("args.x is a Namespace",)),
    (torch.zeros(2), ("args.x is a Tensor",)),
    ([{"a": torch.zeros(2)}], ("args.x.a is a Tensor",)),
    (Path("somewhere"), ("checkpoint refused",)),
    ([[[[[1]]]]], ("args.x is data nested too deeply",)),
])
def test_settings_in_the_file_that_are_not_plain_are_refused(golden, write, settings, tmp_path, value, words):
    refused(write(args=released_args(golden, x=value)), settings, tmp_path / "run", *words)


def test_settings_that_contain_themselves_are_refused(golden, write, settings, tmp_path):
    loop: list = []
    loop.append(loop)
    refused(write(args=released_args(golden, x=loop)), settings, tmp_path / "run", "args.x is data nested too deeply")


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(released, settings, tmp_path, part):
    content = released.read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[:int(part * len(content))])
    refused(tmp_path / "cut.pth", settings, tmp_path / "run", "cut.pth", "checkpoint refused")


def test_files_that_are_no_checkpoint_are_refused(settings, tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    refused(tmp_path / "list.pth", settings, tmp_path / "run", "expected a state dict")
    (tmp_path / "checkpoint_200000").write_bytes(b"\x85\xa9optimizer")
    refused(tmp_path / "checkpoint_200000", settings, tmp_path / "run", "Flax", "VidChapters")
    (tmp_path / "features.h5").write_bytes(b"\x89HDF\r\n")  # its first byte is that of a Flax file, too
    refused(tmp_path / "features.h5", settings, tmp_path / "run", "an HDF5 file, such as features")
    (tmp_path / "text.pth").write_text("Not Found")
    refused(tmp_path / "text.pth", settings, tmp_path / "run", "expected a .pth of tensors")
    refused(tmp_path / "absent.pth", settings, tmp_path / "run", "checkpoint not found")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", settings, tmp_path / "run", "no captioner.json there")
