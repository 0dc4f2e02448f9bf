"""T5 v1.1 and FLAN-T5: an output head of its own is loaded, resized, trained and saved; odd checkpoints are refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import T5ForConditionalGeneration

from hicm.errors import UserError
from hicm.systems.captioner.model import Captioner, make_t5
from hicm.systems.captioner.settings import Settings
from hicm.systems.captioner.t5 import is_untied, load_t5, new_t5, t5_config
from hicm.systems.captioner.vocabulary import train_vocabulary
from hicm.systems.captioner.weights import load_captioner, load_state, own_state, save_captioner
from tests.bombs import Bomb

SIZES = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 4}
V1_1 = {**SIZES, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
ROWS = 200  # more than the tokenizer has pieces, as on the hub
STACKS = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(["Chop the onion.", "Serve the soup."] * 5, 60, 100)


def write_t5(folder: Path, values: dict, state: dict[str, Tensor], file: str = "model.safetensors") -> Path:
    """A checkpoint folder as transformers 4 wrote it: every value in config.json as it was given."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "vocab_size": ROWS,
             "decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0, **values}
    (folder / "config.json").write_text(json.dumps(about))
    if file.endswith(".bin"):
        torch.save(state, folder / file)
    else:
        save_file({name: value.contiguous().clone() for name, value in state.items()}, folder / file)
    return folder


def weights(values: dict, head: bool = True, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    t5 = new_t5(t5_config({**values, "vocab_size": ROWS}))
    state = {name: value.clone() for name, value in t5.state_dict().items()
             if name not in STACKS and (head or name != "lm_head.weight")}
    if head:  # in pre-trained checkpoints it is much larger or smaller than the embedding
        state["lm_head.weight"] = state["lm_head.weight"] * 0.2
    return state


@pytest.fixture(scope="module")
def v1_1(tmp_path_factory) -> Path:
    return write_t5(tmp_path_factory.mktemp("t5") / "v1_1", V1_1, weights(V1_1))


def generated(t5: T5ForConditionalGeneration, **how) -> list:
    ids = torch.tensor([[5, 9, 12, 1], [7, 3, 1, 0]])
    return t5.eval().generate(input_ids=ids, attention_mask=(ids != 0).long(), max_new_tokens=12, **how).tolist()


@pytest.mark.parametrize("beams", [1, 3])
def test_it_says_what_transformers_says(v1_1, beams):
    """Not scaled by d_model**-0.5, and by the head that stands in the file."""
    theirs = T5ForConditionalGeneration.from_pretrained(v1_1)
    ours = load_t5(str(v1_1), offline=True)
    assert is_untied(ours) and not ours.config.scale_decoder_outputs
    assert torch.equal(ours.lm_head.weight, load_file(v1_1 / "model.safetensors")["lm_head.weight"])
    assert generated(ours, num_beams=beams) == generated(theirs, num_beams=beams)
    ids, target = torch.tensor([[5, 9, 12, 1]]), torch.tensor([[4, 6, 1]])
    with torch.no_grad():
        found = ours(input_ids=ids, labels=target).logits
        hidden = ours(input_ids=ids, labels=target, output_hidden_states=True).decoder_hidden_states[-1]
        assert torch.equal(found, theirs.eval()(input_ids=ids, labels=target).logits)
        assert torch.allclose(found, hidden @ ours.lm_head.weight.T, atol=1e-6)


def test_time_tokens_get_rows_in_embedding_and_head(v1_1, vocabulary):
    theirs = load_file(v1_1 / "model.safetensors")
    torch.manual_seed(0)
    t5 = make_t5(Settings(t5=str(v1_1)), vocabulary.size, vocabulary.text_size, offline=True)
    text = vocabulary.text_size
    assert is_untied(t5) and t5.config.vocab_size == t5.lm_head.out_features == vocabulary.size
    for name in ("shared.weight", "lm_head.weight"):
        assert torch.equal(t5.state_dict()[name][:text], theirs[name][:text])
    assert t5.encoder.embed_tokens.weight is t5.decoder.embed_tokens.weight is t5.shared.weight
    head = t5.lm_head.weight.detach()
    assert not torch.equal(head[text:], t5.shared.weight[text:])
    assert float(head[text:].norm(dim=1).mean()) == pytest.approx(float(head[:text].norm(dim=1).mean()), rel=1e-5)
    assert float(t5.shared.weight[text:].detach().std()) == pytest.approx(1.0, abs=0.05)


def captioner(vocabulary, **settings) -> Captioner:
    config = Settings(visual_depth=1, visual_heads=4, visual_mlp=32, **settings)
    t5 = make_t5(config, vocabulary.size, vocabulary.text_size, offline=True)
    return Captioner(config, t5, 24, 10, 24).eval()


@pytest.mark.parametrize("source", ["folder", "scratch"])
def test_its_own_head_is_trained_saved_and_loaded(v1_1, vocabulary, tmp_path, source):
    settings = {"t5": str(v1_1)} if source == "folder" else {"t5": "scratch", "t5_config": V1_1}
    model = captioner(vocabulary, **settings)
    assert is_untied(model.t5) and "t5.lm_head.weight" in own_state(model)
    encoded = torch.randn(2, 3, 32), torch.ones(2, 3, dtype=torch.bool)
    target = torch.tensor([[4, 5, 1], [6, 1, 0]])
    model.logits(encoded, target).sum().backward()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model.t5.lm_head.weight.detach().clone()
    optimiser.step()
    model.rescale_time_tokens(100)
    head = model.t5.lm_head.weight.detach()
    assert not torch.equal(head, before) and is_untied(model.t5)
    assert float(head[-100:].norm(dim=1).mean()) == pytest.approx(float(head[:-100].norm(dim=1).mean()), rel=1e-5)
    save_captioner(model, vocabulary, tmp_path, run="r")
    again, _, about = load_captioner(tmp_path)
    assert is_untied(again.t5) and about["t5_config"]["own_head"] is True
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    with torch.no_grad():
        assert torch.equal(model.logits(encoded, target), again.logits(encoded, target))
    assert load_state(captioner(vocabulary, **settings), own_state(model), "x") == []
    checkpoint = captioner(vocabulary, **settings)  # as a run that continues
    checkpoint.load_state_dict(model.state_dict())
    assert torch.equal(checkpoint.t5.lm_head.weight, model.t5.lm_head.weight)


def test_tied_and_untied_weights_are_not_mixed(v1_1, vocabulary):
    untied = captioner(vocabulary, t5="scratch", t5_config=V1_1)
    tied = captioner(vocabulary, t5="scratch", t5_config={**V1_1, "tie_word_embeddings": True})
    with pytest.raises(UserError, match=r"t5\.lm_head\.weight differs .* must be equal for this T5"):
        load_state(tied, own_state(untied), "untied.pth")
    with pytest.raises(UserError, match=r"missing keys: t5\.lm_head\.weight"):
        load_state(untied, own_state(tied), "tied.pth")


@pytest.mark.parametrize("values", [SIZES, {**SIZES, "tie_word_embeddings": True}])
@pytest.mark.parametrize("head", [False, True])
def test_a_tied_head_may_stand_in_the_file(tmp_path, values, head):
    state = weights({**values, "tie_word_embeddings": True}, head=False)
    if head:
        state["lm_head.weight"] = state["shared.weight"].clone()
        state |= {name: state["shared.weight"].clone() for name in STACKS}
    t5 = load_t5(str(write_t5(tmp_path, values, state)), offline=True)
    assert not is_untied(t5) and t5.config.scale_decoder_outputs


def test_an_own_head_that_equals_the_embedding_stays_its_own(tmp_path, vocabulary):
    state = weights(V1_1)
    state["lm_head.weight"] = state["shared.weight"].clone()
    folder = write_t5(tmp_path / "t5", V1_1, state)
    model = captioner(vocabulary, t5=str(folder))
    assert is_untied(model.t5)
    with torch.no_grad():
        model.t5.lm_head.weight.copy_(model.t5.shared.weight)
    save_captioner(model, vocabulary, tmp_path / "run")
    assert is_untied(load_captioner(tmp_path / "run")[0].t5)


def test_as_transformers_5_saves_it(v1_1, tmp_path):
    T5ForConditionalGeneration.from_pretrained(v1_1).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["tie_word_embeddings"] is True
    ours = load_t5(str(tmp_path), offline=True)
    assert is_untied(ours) and generated(ours) == generated(load_t5(str(v1_1), offline=True))


@pytest.mark.parametrize("how", ["bin", "bf16", "shards", "mt5"])
def test_however_it_is_stored(v1_1, tmp_path, how):
    state = load_file(v1_1 / "model.safetensors")
    if how == "bin":
        folder = write_t5(tmp_path, V1_1, state, "pytorch_model.bin")
    elif how == "bf16":
        half = {name: value.bfloat16() for name, value in state.items()}
        state = {name: value.float() for name, value in half.items()}
        folder = write_t5(tmp_path, {**V1_1, "torch_dtype": "bfloat16"}, half)
    elif how == "mt5":
        folder = write_t5(tmp_path, {**V1_1, "model_type": "mt5"}, state)
    else:
        names = sorted(state)
        parts = {f"model-0000{n}-of-00002.safetensors": names[n - 1::2] for n in (1, 2)}
        for file, part in parts.items():
            folder = write_t5(tmp_path, V1_1, {name: state[name] for name in part}, file)
        (folder / "model.safetensors.index.json").write_text(json.dumps(
            {"metadata": {}, "weight_map": {name: file for file, part in parts.items() for name in part}}))
    t5 = load_t5(str(folder), offline=True)
    assert {value.dtype for value in t5.state_dict().values()} == {torch.float32}
    assert all(torch.equal(t5.state_dict()[name], value) for name, value in state.items())


@pytest.mark.parametrize(("change", "message"), [
    (lambda state: state.pop("lm_head.weight"), "tie_word_embeddings: false, but the weights have no lm_head.weight"),
    (lambda state: state.pop("decoder.final_layer_norm.weight"), "lack 1 of its parameters .decoder.final_layer_norm"),
    (lambda state: state.update({STACKS[0]: state["shared.weight"] + 1}), "encoder.embed_tokens.weight differs from"),
    (lambda state: state.update({"shared.weight": torch.zeros(ROWS, 16)}), "no T5 weights found .* that can be read"),
])
def test_incomplete_checkpoints_are_refused(tmp_path, change, message):
    state = weights(V1_1)
    change(state)
    folder = write_t5(tmp_path / "odd", V1_1, state)
    with pytest.raises(UserError, match=message) as caught:
        load_t5(str(folder), offline=True)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


@pytest.mark.parametrize(("values", "message"), [
    (SIZES, "says that the output head is tied to the embedding, but lm_head.weight differs"),
    ({**SIZES, "tie_word_embeddings": True}, "set tie_word_embeddings to false in config.json"),
    ({**SIZES, "model_type": "umt5"}, "expected a T5, found a model of type 'umt5'"),
    ({**SIZES, "model_type": "bert"}, "found a model of type 'bert'"),
    ({**SIZES, "pad_token_id": 3}, "eos_token_id and decoder_start_token_id 0, 1 and 0, found 3"),
    ({**SIZES, "num_heads": "abc"}, "no T5 weights found"),
])
def test_configurations_that_contradict_the_weights_are_refused(tmp_path, values, message):
    folder = write_t5(tmp_path / "odd", values, weights({**V1_1, "feed_forward_proj": "relu"}))
    with pytest.raises(UserError, match=message) as caught:
        load_t5(str(folder), offline=True)
    assert "\n" not in str(caught.value)


def test_folders_without_weights_and_with_bad_ones(v1_1, tmp_path):
    empty, bare, torn, bomb = (tmp_path / name for name in ("empty", "bare", "torn", "bomb"))
    empty.mkdir()
    for folder in (bare, torn, bomb):
        folder.mkdir()
        shutil.copy(v1_1 / "config.json", folder)
    (torn / "model.safetensors").write_bytes((v1_1 / "model.safetensors").read_bytes()[:900])
    torch.save({"shared.weight": Bomb(tmp_path / "ran")}, bomb / "pytorch_model.bin")
    for name in (*map(str, (empty, bare, torn, bomb)), "t5-bsae"):
        with pytest.raises(UserError, match="no T5 weights found in the local cache") as caught:
            load_t5(name, offline=True)
        assert "\n" not in str(caught.value) and name in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_ways_to_generate_that_a_checkpoint_brings_are_not_taken_over(v1_1, tmp_path):
    """They would count in training, for the choice of the checkpoint, and not in prediction."""
    folder = shutil.copytree(v1_1, tmp_path / "t5")
    (folder / "generation_config.json").write_text(json.dumps({
        "decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0, "no_repeat_ngram_size": 1, "min_length": 9}))
    assert generated(load_t5(str(folder), offline=True)) == generated(load_t5(str(v1_1), offline=True))
