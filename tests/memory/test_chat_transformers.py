"""A real, tiny, random chat model on disk: tokenizer, chat template, weights; no download."""

import dataclasses
from pathlib import Path

import pytest

from hicm.config import SummaryConfig
from hicm.errors import UserError
from hicm.memory.bank import load_bank
from hicm.memory.summarisers.answers import CUT
from hicm.memory.summarisers.prompt import load_prompt
from hicm.memory.summarisers.transformers import TransformersChat
from hicm.stages.build_memory import build_memory
from tests.memory_data import write_config

TEMPLATE = ("{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% endif %}")
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TEMPLATE


def save_model(folder: Path, template: str | None = TEMPLATE, positions: int = 4096) -> Path:
    """A Llama of two layers and width 16 with a word-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>",
             "add", "the", "salt", "onion", "fry", "cut", "mix", "one", "sentence", "words", "and", "to"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<|end|>",
                                   extra_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"])
    fast.chat_template = template
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
                         num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=positions,
                         eos_token_id=5, bos_token_id=None, pad_token_id=None, initializer_range=1.0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("chat"))


CHATS = [load_prompt("one-sentence-v1").question(texts, 20) for texts in (
    ["cut the onion", "cut the salt"], ["fry and mix", "add salt to the onion and cut", "mix"], ["add", "fry"])]


def chat(model: Path, **settings) -> TransformersChat:
    return TransformersChat(str(model), SummaryConfig(**{"max_tokens": 8, **settings}), offline=True)


def test_batches_answer_as_single_questions_do(model):
    together = chat(model).answer(CHATS, 0)
    assert together == [answer for question in CHATS for answer in chat(model).answer([question], 0)]
    assert len(together) == 3 and any(answer.text for answer in together)
    assert not any("<|" in answer.text for answer in together)


def test_an_answer_without_an_end_was_cut_off(model):
    whole, short = (chat(model, max_tokens=tokens, sample=True, temperature=1.5) for tokens in (200, 5))
    pairs = [pair for seed in range(3)
             for pair in zip(whole.answer(CHATS, seed), short.answer(CHATS, seed), strict=True)]
    assert {full.problem for full, _ in pairs} == {""}
    assert {cut.problem for _, cut in pairs} == {"", CUT}
    assert all(cut.text == full.text for full, cut in pairs if not cut.problem)
    assert all(full.text.startswith(cut.text) for full, cut in pairs)


def test_the_question_is_what_the_template_makes_of_it(model):
    tokens = chat(model)._encode(CHATS)
    assert (tokens["attention_mask"][:, -1] == 1).all(), "padded on the left"
    assert (tokens["input_ids"][:, -1] == 4).all(), "the assistant's turn"
    assert (tokens["input_ids"] == 2).sum() == 3, "one system message each"


def test_sampling_is_seeded_and_leaves_the_callers_random_state_alone(model):
    import torch

    sampled = chat(model, sample=True, temperature=2.0, max_tokens=20)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    answers = [sampled.answer(CHATS, seed) for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2]
    assert torch.equal(torch.rand(3), expected)


def test_a_template_without_system_messages(tmp_path, model):
    plain = chat(save_model(tmp_path / "m", NO_SYSTEM))
    assert len(plain.answer(CHATS, 0)) == 3
    ids = plain._encode(CHATS)["input_ids"]
    assert (ids == 2).sum() == 0 and (ids == 3).sum() == 3
    assert ids.shape[1] == chat(model)._encode(CHATS)["input_ids"].shape[1] - 2, "nothing of it is lost"


def test_the_name_knows_content_and_decoding(model, tmp_path):
    names = {chat(model).name, chat(model, sample=True).name, chat(model, max_tokens=9).name,
             chat(save_model(tmp_path / "m", TEMPLATE + " ")).name}
    assert len(names) == 4
    assert chat(model).name == chat(model, batch=3).name
    assert TransformersChat("meta/x@abc", SummaryConfig(), True).revision == "abc"


@pytest.mark.parametrize(("options", "message"), [
    ({"template": None}, "its tokenizer has no chat template; choose an instruct model"),
    ({"template": "{{ raise_exception('never') }}"}, r"its chat template fails \(never\)"),
    ({"positions": 64}, r"a question of \d+ tokens and an answer of 8 do not fit the model's 64; lower summary\.mem"),
])
def test_models_that_cannot_be_asked(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        chat(save_model(tmp_path / "m", **options)).answer(CHATS, 0)


def test_nothing_to_load(tmp_path):
    for place in (tmp_path, Path("nobody/nothing")):
        with pytest.raises(UserError, match=r"(cannot be loaded \(|is not on this machine ).*give a folder with an"):
            chat(place).answer(CHATS, 0)


def test_a_memory_built_with_it(model, tmp_path):
    """Random weights write nonsense; some of it keeps the rule of 12 words, the rest falls back, and all is counted."""
    config = write_config(tmp_path, 6, summariser=f"transformers:{model}")
    config = dataclasses.replace(config, summary=SummaryConfig(
        max_tokens=14, sample=True, temperature=1.5, words=12, attempts=2, batch=5))
    with pytest.warns(UserWarning, match="the medoid stands in"):
        bank = load_bank(build_memory(config))
    counts = bank.info["summaries"]
    assert counts["answered"] > 0 and sum(counts["fallbacks"].values()) > 0
    assert counts["answered"] + counts["quoted"] + sum(counts["fallbacks"].values()) == sum(map(len, bank.levels))
    lines = (config.bank / "summaries.jsonl").read_bytes()
    for name in ("bank.json", "bank.npz"):
        (config.bank / name).rename(tmp_path / name)
    (config.bank / "summaries.jsonl").write_bytes(lines[:len(lines) // 3])  # an interrupted build
    with pytest.warns(UserWarning, match="the medoid stands in"):
        build_memory(config)
    for name in ("bank.json", "bank.npz"):
        assert (config.bank / name).read_bytes() == (tmp_path / name).read_bytes(), "equal to the uninterrupted one"
