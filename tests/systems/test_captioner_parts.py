"""Parts of the captioner: sequences, corruption, parsing, grammar, masks, losses, weights."""

import argparse
import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.data.speech import Speech
from hicm.errors import UserError
from hicm.systems.captioner.batch import Item, collate
from hicm.systems.captioner.decode import generate, parse_events
from hicm.systems.captioner.grammar import EventGrammar
from hicm.systems.captioner.model import Captioner, make_t5
from hicm.systems.captioner.objective import Objective
from hicm.systems.captioner.released.checkpoint import released_name
from hicm.systems.captioner.sequences import caption_sequence, corrupt, speech_sequence
from hicm.systems.captioner.settings import DecodeSettings, Settings
from hicm.systems.captioner.vocabulary import EOS, PAD, load_vocabulary, train_vocabulary
from hicm.systems.captioner.weights import load_captioner, load_state, read_released, save_captioner
from hicm.types import Event, Span, Video
from tests.bombs import Bomb

WORDS = ["Chop the onion.", "Fry the onion in oil.", "Serve the soup.", "Boil water in a pot."]
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 4}
T5_NAMES = {"ret2t5_proj.0.LayerNorm.bias", "proj_v2t.weight", "visual_encoder.blocks.0.attn.qkv.weight"}


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(WORDS * 5, 60, 100)


def make_model(vocabulary, width=24, memory=24, **changes) -> Captioner:
    torch.manual_seed(0)
    config = Settings(**{"t5": "scratch", "t5_config": T5, "visual_depth": 1, "visual_heads": 4,
                                "visual_mlp": 32, **changes})
    return Captioner(config, make_t5(config, vocabulary.size, vocabulary.text_size), width, 10, memory).eval()


def make_batch(vocabulary, width=24, rows=(10, 6), windows=5, seed=0):
    rng = np.random.default_rng(seed)
    items = []
    for i, real in enumerate(rows):
        frames = np.zeros((10, width), np.float32)
        frames[:real] = rng.standard_normal((real, width))
        speech = vocabulary.encode(WORDS[i % 4], 20)
        target = [vocabulary.time_id(3), vocabulary.time_id(40), *vocabulary.encode(WORDS[i % 3], 20), EOS]
        noisy = corrupt([*speech, EOS], vocabulary, rng)
        memory = rng.standard_normal((windows, width)).astype(np.float32)
        items.append(Item(f"v{i}", 20.0, frames, np.arange(10) < real, memory, np.arange(windows) * 2 < real,
                          [*speech, EOS], target, *noisy))
    return collate(items)


# --- vocabulary and sequences -------------------------------------------------------------------------------------

def test_vocabulary_layout_survives_saving(vocabulary, tmp_path):
    vocabulary.save(tmp_path)
    again = load_vocabulary(str(tmp_path), 100, offline=True)
    assert (again.size, again.text_size, again.time_id(0)) == (vocabulary.size, vocabulary.text_size,
                                                               vocabulary.text_size)
    assert again.tokenizer.convert_ids_to_tokens([0, 1, 2, again.sentinel(0), again.time_id(99)]) == [
        "<pad>", "</s>", "<unk>", "<extra_id_0>", "<time=99>"]
    ids = again.encode("Fry the onion.", 20)
    assert ids == vocabulary.encode("Fry the onion.", 20) and again.decode(ids) == "Fry the onion."


def test_missing_tokenizer_is_one_line():
    with pytest.raises(UserError, match=r"captioner.tokenizer: no/such: no tokenizer found in the local cache"):
        load_vocabulary("no/such", 100, offline=True)


def test_other_number_of_time_bins_is_refused(vocabulary, tmp_path):
    vocabulary.save(tmp_path)
    with pytest.raises(UserError, match="time_bins"):
        load_vocabulary(str(tmp_path), 50, offline=True)


def test_sequences_are_cut_and_end_with_eos(vocabulary):
    video = Video("v", 10.0, tuple(Event(Span(i, i + 1), WORDS[0]) for i in range(9)))
    ids, lost = caption_sequence(video, vocabulary, 12)
    assert len(ids) == 12 and ids[-1] == EOS and lost > 0
    full, lost = caption_sequence(video, vocabulary, 1000)
    assert lost == 0 and full[:11] == ids[:11]
    assert full[:2] == [vocabulary.time_id(0), vocabulary.time_id(9)]
    assert speech_sequence(Speech(), 10.0, vocabulary, 100) == ([EOS], 0)


def test_events_past_the_end_are_clamped_to_the_last_bin(vocabulary):
    ids, _ = caption_sequence(Video("v", 10.0, (Event(Span(9, 25), WORDS[0]),)), vocabulary, 100)
    assert ids[1] == vocabulary.time_id(99)


@given(st.lists(st.integers(3, 20), min_size=1, max_size=300), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_corruption_can_be_undone(vocabulary, x, seed):
    source, target = corrupt([*x, EOS], vocabulary, np.random.default_rng(seed))
    assert source[-1] == target[-1] == EOS
    spans, current = {}, None
    for i in target[:-1]:
        if vocabulary.text_size - 100 <= i < vocabulary.text_size:
            current = spans.setdefault(i, [])
        else:
            current.append(i)
    restored = [j for i in source[:-1] for j in spans.get(i, [i])]
    assert restored == [*x, EOS]
    assert all(spans.values())


def test_corruption_of_silence(vocabulary):
    assert corrupt([EOS], vocabulary, np.random.default_rng(0)) == ([PAD], [EOS])


# --- from ids to events (hicm2.md 4.2) -------------------------------------------------------------------------

def events(vocabulary, *parts, keep=False):
    ids = [PAD]
    for part in parts:
        if isinstance(part, int):
            ids.append(vocabulary.time_id(part))
        elif part == "EOS":
            ids.append(EOS)
        elif part == "UNK":
            ids.append(2)
        elif part == "SENTINEL":
            ids.append(vocabulary.sentinel(3))
        else:
            ids += vocabulary.encode(part, 50)
    return [(round(e.span.start, 6), round(e.span.end, 6), e.text)
            for e in parse_events(ids, 99.0, vocabulary, keep)]


@pytest.mark.parametrize(("parts", "expected"), [
    ((1, 5, "Chop the onion.", 7, 9, "Serve the soup.", "EOS", 1, 2, "Fry"),
     [(1, 5, "Chop the onion."), (7, 9, "Serve the soup.")]),
    (("Fry oil", 3, 1, 5, "Chop the onion."), [(1, 5, "Chop the onion.")]),  # the last two of three count
    ((1, 5, "Chop", 7, "the onion."), [(1, 5, "Chop the onion.")]),  # an isolated time token is dropped
    ((1, 5, "EOS"), []),  # no text
    ((5, 5, "Chop the onion.", 6, 8, "Serve the soup."), [(6, 8, "Serve the soup.")]),  # end not after start
    ((9, 5, "Chop the onion."), []),
    ((1, "UNK", "SENTINEL", 5, "Chop the onion."), [(1, 5, "Chop the onion.")]),  # specials vanish first
    ((), []),
])
def test_parsing(vocabulary, parts, expected):
    assert events(vocabulary, *parts) == expected


def test_isolated_time_tokens_can_be_kept_as_released(vocabulary):
    assert events(vocabulary, 1, 5, "Chop", 7, "the onion.", keep=True) == [(1, 5, "Chop <time=7> the onion.")]


@given(st.lists(st.tuples(st.integers(0, 98), st.integers(1, 99), st.sampled_from(WORDS)), max_size=6))
@settings(deadline=None)
def test_parsing_inverts_the_caption_sequence(vocabulary, items):
    video = Video("v", 99.0, tuple(Event(Span(a, a + b), w) for a, b, w in items if a + b <= 99))
    ids, _ = caption_sequence(video, vocabulary, 1000)
    parsed = parse_events([PAD, *ids], 99.0, vocabulary)
    assert [e.text for e in parsed] == [e.text for e in video.events]
    for found, given_ in zip(parsed, video.events, strict=True):
        assert found.span.start == pytest.approx(given_.span.start) and found.span.end == pytest.approx(
            given_.span.end)


# --- grammar ------------------------------------------------------------------------------------------------------

def test_grammar_lets_every_caption_sequence_through_and_nothing_else_ends(vocabulary):
    grammar = EventGrammar(vocabulary)
    video = Video("v", 99.0, (Event(Span(3, 8), WORDS[0]), Event(Span(1, 99), WORDS[1])))
    ids = [PAD, *caption_sequence(video, vocabulary, 100)[0]]
    for t in range(1, len(ids)):
        assert grammar.allowed(torch.tensor([ids[:t]]))[0, ids[t]], f"position {t}"
    time, text = vocabulary.time_id, vocabulary.encode(WORDS[0], 50)

    def allowed(*prefix):
        return grammar.allowed(torch.tensor([[PAD, *prefix]]))[0]

    assert not allowed()[text[0]] and not allowed()[time(99)] and allowed()[EOS]
    after_start = allowed(time(40))
    assert not after_start[EOS] and not after_start[time(40)] and after_start[time(41)] and not after_start[text[0]]
    after_pair = allowed(time(40), time(50))
    assert not after_pair[EOS] and not after_pair[time(60)] and after_pair[text[0]]
    assert not after_pair[[0, 2, vocabulary.sentinel(0)]].any()


@pytest.mark.parametrize("config", [DecodeSettings(beams=3, max_tokens=40, grammar=True),
                                    DecodeSettings(sample=True, max_tokens=40, grammar=True)])
def test_constrained_generation_always_parses(vocabulary, config):
    """An untrained model emits noise; under the grammar the noise is a list of events."""
    model, batch = make_model(vocabulary), make_batch(vocabulary, rows=(10, 6, 3))
    torch.manual_seed(1)
    for ids in generate(model, batch, vocabulary, config):
        pairs = sum(i >= vocabulary.text_size for i in ids)
        open_tail = next((k for k, i in enumerate(reversed([i for i in ids if i != PAD])) if i < vocabulary.text_size),
                         0)  # a pair cut by the token limit
        assert len(parse_events(ids, 99.0, vocabulary)) == (pairs - open_tail) // 2


@pytest.mark.parametrize("beams", [1, 3])
def test_encoder_and_decoder_may_differ_in_depth(vocabulary, beams):
    model = make_model(vocabulary, t5_config={**T5, "num_layers": 1, "num_decoder_layers": 3})
    ids = generate(model, make_batch(vocabulary), vocabulary, DecodeSettings(beams=beams, max_tokens=5))
    assert all(2 <= len(row) <= 6 for row in ids)


# --- model --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("width", [24, 32, 64])  # narrower than, equal to, and wider than the T5
def test_widths_follow_the_features(vocabulary, width):
    model, batch = make_model(vocabulary, width, width), make_batch(vocabulary, width)
    assert (model.visual_projection is None) == (width == 32)
    assert model.logits(model.encode(batch), batch.target).shape == (*batch.target.shape, vocabulary.size)


def test_padding_changes_nothing_unless_it_is_attended(vocabulary):
    batch = make_batch(vocabulary, rows=(6, 6))
    noise = batch.frames + torch.randn_like(batch.frames) * ~batch.frame_mask[..., None]
    memory = batch.memory + torch.randn_like(batch.memory) * ~batch.memory_mask[..., None]
    disturbed = dataclasses.replace(batch, frames=noise, memory=memory)
    masked, attended = make_model(vocabulary), make_model(vocabulary, mask_padding=False)
    with torch.no_grad():
        same = [masked.logits(masked.encode(b), b.target) for b in (batch, disturbed)]
        other = [attended.logits(attended.encode(b), b.target) for b in (batch, disturbed)]
    assert torch.allclose(*same, atol=1e-6) and not torch.allclose(*other, atol=1e-4)


@pytest.mark.parametrize("changes", [{"use_video": False}, {"use_speech": False}, {}])
def test_inputs_can_be_switched_off(vocabulary, changes):
    model, batch = make_model(vocabulary, memory=0, **changes), make_batch(vocabulary)
    with torch.no_grad():
        found = model.logits(model.encode(batch), batch.target)
        blind = dataclasses.replace(batch, frames=batch.frames * 2)
        deaf = dataclasses.replace(batch, speech=torch.full_like(batch.speech, EOS))
        sees = not torch.allclose(found, model.logits(model.encode(blind), batch.target), atol=1e-6)
        hears = not torch.allclose(found, model.logits(model.encode(deaf), batch.target), atol=1e-6)
    assert (sees, hears) == (changes.get("use_video", True), changes.get("use_speech", True))


@pytest.mark.parametrize("changes", [{"use_video": False}, {"use_speech": False}, {}])
def test_every_trained_parameter_gets_a_gradient(vocabulary, changes):
    """Data parallelism waits for the gradient of every parameter that is trained."""
    model, batch = make_model(vocabulary, **changes), make_batch(vocabulary)
    Objective(denoising=float(changes.get("use_speech", True)))(model, batch).sum().backward()
    idle = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle


def test_both_inputs_off_is_refused(vocabulary):
    with pytest.raises(UserError, match="nothing is left to caption"):
        make_model(vocabulary, use_video=False, use_speech=False)


def test_dropout_rates_of_encoder_and_decoder_are_separate(vocabulary):
    model = make_model(vocabulary, encoder_dropout=0.3, decoder_dropout=0.0)
    rates = {name: {m.p for m in stack.modules() if isinstance(m, torch.nn.Dropout)}
             | {m.dropout for m in stack.modules() if isinstance(getattr(m, "dropout", None), float)}
             for name, stack in (("encoder", model.t5.encoder), ("decoder", model.t5.decoder))}
    assert rates == {"encoder": {0.3}, "decoder": {0.0}}


def test_time_tokens_take_the_mean_norm_of_the_text(vocabulary):
    model = make_model(vocabulary)
    with torch.no_grad():
        model.t5.shared.weight[-100:] *= 7
        before = model.t5.shared.weight[-100:].clone()
        model.rescale_time_tokens(100)
        weight = model.t5.shared.weight.detach()
    assert float(weight[-100:].norm(dim=1).mean()) == pytest.approx(float(weight[:-100].norm(dim=1).mean()), rel=1e-6)
    assert torch.allclose(F.normalize(before), F.normalize(weight[-100:]), atol=1e-6)


def test_losses_do_not_depend_on_how_a_batch_is_cut(vocabulary):
    """Sums over tokens add up over micro-batches."""
    model, objective = make_model(vocabulary), Objective()
    whole = make_batch(vocabulary, rows=(10, 6, 8))
    parts = []
    for i in range(3):
        names = [f.name for f in dataclasses.fields(whole)]
        parts.append(dataclasses.replace(whole, **{
            n: getattr(whole, n)[i:i + 1] for n in names if getattr(whole, n) is not None}))
    with torch.no_grad():
        assert torch.allclose(objective(model, whole), sum(objective(model, part) for part in parts), rtol=1e-5)
    assert torch.equal(objective.token_counts(whole), sum(objective.token_counts(part) for part in parts))


def test_weight_zero_skips_a_pass(vocabulary):
    model, batch = make_model(vocabulary), make_batch(vocabulary)
    sums = Objective(denoising=0.0)(model, batch)
    assert sums[0] > 0 and sums[1] == 0


# --- weights ------------------------------------------------------------------------------------------------------

def released_state(model) -> dict[str, torch.Tensor]:
    """A model's weights under the released names."""
    out = {}
    for name, value in model.state_dict().items():
        name = name.replace("memory_projection.layers.", "ret2t5_proj.").replace("visual_projection", "proj_v2t")
        if name.startswith("ret2t5_proj."):
            name = name.replace(".norm.", ".LayerNorm.").replace(".linear.", ".net.1.")
        if name.startswith("t5."):
            name = "t5_model." + name.removeprefix("t5.")
        out[name] = value.clone()
    return out


def test_released_names_map_one_to_one(vocabulary):
    model = make_model(vocabulary)
    names = released_state(model)
    assert set(names) >= T5_NAMES
    assert {released_name(name) for name in names} == set(model.state_dict())


def test_released_checkpoint_round_trip(vocabulary, tmp_path):
    model = make_model(vocabulary)
    torch.save({"model": {f"module.{n}": v for n, v in released_state(model).items()}, "epoch": 1,
                "args": argparse.Namespace(lr=3e-4)}, tmp_path / "best_model.pth")
    other = make_model(vocabulary)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.normal_()
    assert load_state(other, read_released(tmp_path / "best_model.pth"), "x") == []
    for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_memory_training_may_start_without_a_projection(vocabulary, tmp_path):
    state = {n: v for n, v in released_state(make_model(vocabulary)).items() if not n.startswith("ret2t5")}
    torch.save(state, tmp_path / "vid2seq.pth")
    missing = load_state(make_model(vocabulary), read_released(tmp_path / "vid2seq.pth"), "vid2seq.pth")
    assert len(missing) == 8 and all(name.startswith("memory_projection.") for name in missing)


@pytest.mark.parametrize(("change", "message"), [
    (lambda s: s.pop("visual_encoder.norm.bias"), "missing keys: visual_encoder.norm.bias"),
    (lambda s: s.update(surprise=torch.zeros(1)), "unused keys: surprise"),
    (lambda s: s.update({"visual_encoder.norm.bias": torch.zeros(3)}), r"norm.bias \(3,\) instead of \(24,\)"),
    (lambda s: s.pop("ret2t5_proj.1.net.1.bias"), "missing keys: memory_projection.layers.1.linear.bias"),
    (lambda s: s.update({"t5_model.lm_head.weight": torch.zeros(2, 2)}), "must be equal"),
    (lambda s: [s.pop(n) for n in list(s) if "shared" in n or "embed_tokens" in n or "lm_head" in n],
     "no embedding matrix"),
])
def test_every_key_is_accounted_for(vocabulary, tmp_path, change, message):
    state = released_state(make_model(vocabulary))
    change(state)
    torch.save({"model": state}, tmp_path / "odd.pth")
    with pytest.raises(UserError, match=message):
        load_state(make_model(vocabulary), read_released(tmp_path / "odd.pth"), str(tmp_path / "odd.pth"))


@pytest.mark.parametrize("kind", ["bomb", "truncated", "text", "missing"])
def test_bad_checkpoints_are_refused_by_name(tmp_path, kind):
    path = tmp_path / "bad.pth"
    if kind == "bomb":
        torch.save({"model": Bomb(str(tmp_path / "ran"))}, path)
    elif kind == "truncated":
        torch.save({"model": {"a": torch.zeros(1000)}}, path)
        path.write_bytes(path.read_bytes()[:500])
    elif kind == "text":
        path.write_text("not a checkpoint")
    with pytest.raises(UserError, match=r"bad\.pth") as error:
        read_released(path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_saved_captioner_answers_alike(vocabulary, tmp_path):
    model, batch = make_model(vocabulary), make_batch(vocabulary)
    save_captioner(model, vocabulary, tmp_path, run="r", step=3)
    again, words, about = load_captioner(tmp_path)
    assert about["run"] == "r" and words.size == vocabulary.size
    with torch.no_grad():
        assert torch.equal(model.logits(model.encode(batch), batch.target),
                           again.logits(again.encode(batch), batch.target))
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"model\.safetensors: weights cannot be read"):
        load_captioner(tmp_path)


def test_t5_from_a_folder_gets_new_rows(vocabulary, tmp_path):
    """The hub layout: more rows than the tokenizer has pieces, cut and extended by time tokens."""
    config = Settings(t5="scratch", t5_config=T5)
    make_t5(config, vocabulary.text_size + 28, vocabulary.text_size + 28).save_pretrained(tmp_path)
    t5 = make_t5(Settings(t5=str(tmp_path)), vocabulary.size, vocabulary.text_size, offline=True)
    assert t5.shared.weight.shape[0] == t5.lm_head.weight.shape[0] == vocabulary.size
    assert float(t5.shared.weight[-100:].detach().std()) == pytest.approx(1.0, abs=0.05)
    with pytest.raises(UserError, match="no T5 weights found in the local cache"):
        make_t5(Settings(t5="no/such"), vocabulary.size, vocabulary.text_size, offline=True)
