"""Heads that see one event, times that point at frames, words that are copied."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from hicm.errors import UserError
from hicm.nn.standardise import Standardise
from hicm.rooms import check_settings
from hicm.systems.captioner.batch import Item, collate
from hicm.systems.captioner.context import Context
from hicm.systems.captioner.dataset import frame_spans
from hicm.systems.captioner.decode import generate
from hicm.systems.captioner.decoder import Decoder
from hicm.systems.captioner.event_spans import open_spans, overlaps, shared
from hicm.systems.captioner.model import shifted
from hicm.systems.captioner.objective import Objective, _without_some_words
from hicm.systems.captioner.parts import encode_parts
from hicm.systems.captioner.pointing import Copying
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD, train_vocabulary
from hicm.systems.captioner.weights import load_captioner, load_state, own_state, save_captioner
from tests.systems.test_captioner_parts import T5, WORDS, make_model
from tests.tiny import tiny_config

POINTING = {"event_heads": 2, "point_times": True, "copy_words": True, "standardise": True}
V, BINS = 50, 11


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(WORDS * 5, 60, 100)


def batch_of(vocabulary, seed=0, windows=5):
    """Videos with recalled sentences of different lengths, each with times and a cosine, and with targets."""
    rng, items = np.random.default_rng(seed), []
    for video, sentences in enumerate((1, 4, 0, 3, 9)):
        real = 10 - video
        read, cosines = [], []
        for place in range(sentences):
            sentence = [vocabulary.time_id(10 * place), vocabulary.time_id(10 * place + 9),
                        *vocabulary.encode(WORDS[(video + place) % 4], 20)]
            read, cosines = read + sentence, [*cosines, *[0.1 * place] * len(sentence)]
        target = [token for start in (5, 30) for token in (
            vocabulary.time_id(start), vocabulary.time_id(start + 15), *vocabulary.encode(WORDS[video % 3], 20))]
        frames, mask = rng.standard_normal((10, 24)).astype(np.float32), np.arange(10) < real
        spans = np.concatenate([frame_spans(mask, 0.1), np.sort(rng.random((windows, 2)), 1).astype(np.float32)])
        items.append(Item(f"v{video}", 20.0, frames * mask[:, None], mask,
                          rng.standard_normal((windows, 24)).astype(np.float32), np.ones(windows, bool),
                          [*read, EOS, EOS], [*target, EOS], [EOS], [EOS], spans=spans, cosines=tuple(cosines)))
    return collate(items)


def lively(vocabulary, **changes):
    model = make_model(vocabulary, **{**POINTING, **changes})
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=random)
    return model


# --- which event is open ------------------------------------------------------------------------------------------

def test_two_times_open_an_event_and_one_closes_it():
    ids = torch.tensor([[PAD, V + 2, V + 4, 7, 8, V + 6, V + 10, 9, EOS, 9]])
    whole, first, second = [0.0, 1.0], [0.2, 0.4], [0.6, 1.0]
    expected = torch.tensor([[whole, whole, first, first, first, whole, second, second, whole, whole]])
    torch.testing.assert_close(open_spans(ids, V, BINS), expected)
    assert open_spans(ids[:, :0], V, BINS).shape == (1, 0, 2)


@given(st.lists(st.integers(0, V + BINS - 1), min_size=1, max_size=30))
def test_the_open_event_depends_on_the_past_alone(ids):
    whole = open_spans(torch.tensor([ids]), V, BINS)
    for end in range(1, len(ids) + 1):
        torch.testing.assert_close(open_spans(torch.tensor([ids[:end]]), V, BINS), whole[:, :end])


def test_an_event_sees_the_states_that_it_overlaps():
    events, spans = torch.tensor([[[0.2, 0.4], [0.0, 1.0]]]), torch.tensor([[[0.0, 0.1], [0.3, 0.5], [0.5, 1], [0, 1]]])
    assert overlaps(events, spans, BINS).tolist() == [[[False, True, False, True], [True] * 4]]
    torch.testing.assert_close(shared(events, spans), torch.tensor([[[0, 1 / 3, 0, 0.2], [0.1, 0.2, 0.5, 1]]]))


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.01, 0.2))
def test_every_time_has_a_frame(frames, real, share):
    mask = np.arange(frames) < min(real, frames)
    spans = frame_spans(mask, share)[mask]
    assert spans[0, 0] == 0 and spans[-1, 1] == 1 and (spans[1:, 0] == spans[:-1, 1]).all()


# --- the network --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("changes", [{}, {"copy_words": False}, {"point_times": False}, {"event_heads": 0},
                                     {"memory_as": "text", "use_speech": False}, {"use_speech": False}],
                         ids=str)
@pytest.mark.parametrize("beams", [1, 3])
def test_a_step_of_generation_says_what_training_says(vocabulary, changes, beams):
    model, batch = lively(vocabulary, **changes), batch_of(vocabulary)
    if changes.get("memory_as") == "text":
        batch = dataclasses.replace(batch, spans=batch.spans[:, :10])
    target = batch.target.repeat_interleave(beams, 0)
    inside = torch.randint(3, vocabulary.size, target.shape, generator=torch.Generator().manual_seed(1))
    target = torch.where(torch.rand(target.shape, generator=torch.Generator().manual_seed(2)) < 0.2, inside, target)
    with torch.inference_mode():
        states, mask = (part.repeat_interleave(beams, 0) for part in model.encode(batch))
        several = batch.take([video for video in range(5) for _ in range(beams)], batch.speech.shape[1])
        expected = model.scores((states, mask), model.context(several, mask), target,
                                model.t5.shared(shifted(target))).float().log_softmax(2)
        parts = encode_parts(model, batch)
        order = torch.tensor([video * beams + beam for part in parts for video in part.videos for beam in range(beams)])
        decoder = Decoder(model, parts, beams, 60)
        found = []
        for ids in shifted(target)[order].T:
            found.append(decoder.step(ids).log_softmax(1))
    torch.testing.assert_close(torch.stack(found, 1), expected[order], rtol=0, atol=2e-4)


def test_beams_that_change_places_take_their_events_along(vocabulary):
    model, batch = lively(vocabulary), batch_of(vocabulary)
    with torch.inference_mode():
        together = generate(model, batch, vocabulary, DecodeSettings(beams=3, max_tokens=30, grammar=True))
        for row in range(len(batch.ids)):
            alone = dataclasses.replace(batch, **{
                field.name: value[row:row + 1] for field in dataclasses.fields(batch)
                if (value := getattr(batch, field.name)) is not None})
            [own] = generate(model, alone, vocabulary, DecodeSettings(beams=3, max_tokens=30, grammar=True))
            assert own + [PAD] * (len(together[row]) - len(own)) == together[row]


def test_frames_outside_of_the_event_do_not_matter_where_all_heads_see_the_event(vocabulary):
    model = lively(vocabulary, event_heads=4, copy_words=False, point_times=False, standardise=False, visual_depth=0,
                   use_speech=False)
    batch = dataclasses.replace(batch_of(vocabulary), memory_mask=torch.zeros(5, 5, dtype=torch.bool))
    frames = batch.frames.clone()
    frames[:, 4:] = torch.randn(5, 6, 24, generator=torch.Generator().manual_seed(0))  # after the first event
    words = slice(2, 2 + int((batch.target[0, 2:] >= vocabulary.text_size).int().argmax()))

    def scores(x):
        with torch.inference_mode():
            encoded = model.encode(dataclasses.replace(batch, frames=x))
            context = model.context(batch, encoded[1])
            return model.scores(encoded, context, batch.target, model.t5.shared(shifted(batch.target)))[0]

    one, other = scores(batch.frames), scores(frames)  # of one decoder layer: no frames by way of earlier tokens
    assert (one[0] - other[0]).abs().max() > 1e-3
    torch.testing.assert_close(one[words], other[words], rtol=0, atol=1e-5)


def test_probabilities_add_up_and_the_next_word_of_a_sentence_is_likely():
    copying = Copying(8, V, BINS)
    with torch.no_grad():
        copying.gate.bias.fill_(3.0)
    text = torch.tensor([[V + 1, V + 3, 20, 21, 22, V + 3, V + 5, 30, 31, EOS]])
    context = Context(open_spans(text, V, BINS), torch.ones(1, 10, dtype=torch.bool), 0, text, torch.zeros(1, 10),
                      torch.zeros(1, 0, 6))
    said = torch.tensor([[[20, V + 3], [V + 5, V + 3], [22, 21]]])
    events = torch.tensor([[[0.1, 0.3], [0.3, 0.5], [0.1, 0.3]]])
    torch.manual_seed(0)
    logits, hidden, states = torch.zeros(1, 3, V + BINS), torch.zeros(1, 3, 8), torch.zeros(1, 10, 8)
    found = copying(logits, hidden, said, events, states, context).exp()
    torch.testing.assert_close(found.sum(2), torch.ones(1, 3))
    assert found[0, 0].argmax() == 21 and found[0, 0, 21] > 0.6
    assert found[0, 1].argmax() == 30, "the first word of the sentence at that time"
    assert found[0, 2, [20, 21, 22]].max() < 0.15, "after the end of a sentence the vocabulary decides"


def test_a_captioner_that_points_can_be_trained_saved_and_started_from(vocabulary, tmp_path):
    model, batch = lively(vocabulary), batch_of(vocabulary)
    model.standardise.measure([batch.frames[0].numpy()])
    loss = Objective(denoising=0.0)(model, batch)
    loss.sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None or not parameter.requires_grad or "encoder.final" in name, name
    save_captioner(model, vocabulary, tmp_path / "one")
    again, _, _ = load_captioner(tmp_path / "one")
    for name, value in own_state(model).items():
        torch.testing.assert_close(own_state(again)[name], value)
    plain = make_model(vocabulary)
    missing = load_state(lively(vocabulary), own_state(plain), "plain")
    assert {name.split(".")[0] for name in missing} == {"pointing", "standardise"}
    state = {name: value for name, value in own_state(model).items() if name != "pointing.words.near"}
    with pytest.raises(UserError, match=r"missing keys: pointing\.words\.near"):
        load_state(lively(vocabulary), state, "torn")


def test_word_dropout_hides_words_from_the_decoder_but_no_times():
    ids = torch.tensor([[PAD, V + 1, V + 3, *range(3, 43)]])
    embedded = torch.ones(1, ids.shape[1], 4)
    assert _without_some_words(embedded, ids, 1.0, V)[0, :, 0].tolist() == [1.0] * 3 + [0.0] * 40
    torch.manual_seed(0)
    assert 5 < _without_some_words(embedded, ids, 0.5, V)[0, 3:, 0].sum() < 35


def test_word_dropout_acts_in_training_only(vocabulary):
    model, batch = make_model(vocabulary), batch_of(vocabulary)
    plain, hiding = (Objective(denoising=0.0, word_dropout=rate) for rate in (0.0, 1.0))
    with torch.no_grad():
        torch.testing.assert_close(plain(model, batch), hiding(model, batch))
        model.training = True  # but not its layers, whose dropout would be another difference
        assert abs(float(plain(model, batch)[0] - hiding(model, batch)[0])) > 0.1


def test_parts_that_point_are_new_or_whole(vocabulary, tmp_path):
    times = lively(vocabulary, copy_words=False)
    missing = load_state(lively(vocabulary), own_state(times), "times")
    assert {name.split(".")[1] for name in missing} == {"words"}
    save_captioner(lively(vocabulary), vocabulary, tmp_path / "torn")
    state = load_file(tmp_path / "torn" / "model.safetensors")
    save_file({name: value for name, value in state.items() if not name.startswith("pointing.")},
              tmp_path / "torn" / "model.safetensors")
    with pytest.raises(UserError, match=r"missing keys: pointing\."):
        load_captioner(tmp_path / "torn")


def test_generation_in_bfloat16_and_with_other_numbers_of_frames(vocabulary):
    model, batch = lively(vocabulary), batch_of(vocabulary)
    settings = DecodeSettings(beams=2, max_tokens=20, grammar=True, no_repeats=2)
    fewer = dataclasses.replace(batch, frames=batch.frames[:, :6], frame_mask=batch.frame_mask[:, :6],
                                spans=torch.cat([batch.spans[:, :6], batch.spans[:, 10:]], 1))
    for one in (batch, fewer):
        assert len(generate(model, one, vocabulary, settings)) == 5
    half = copy.deepcopy(model).to(torch.bfloat16)
    assert len(generate(half, batch.to("cpu", torch.bfloat16), vocabulary, settings)) == 5


@pytest.mark.parametrize(("changes", "said"), [
    ({"captioner__point_times": True, "captioner__objective__generative": 0.0}, "generative: 0, but point_times"),
    ({"captioner__event_heads": 99}, "event_heads: 99, but the T5 has"),
    ({"captioner__copy_words": True, "captioner__use_speech": False}, "no text to copy from")])
def test_settings_that_contradict_each_other_are_refused_before_anything_is_read(tmp_path, changes, said):
    with pytest.raises(UserError, match=said):
        check_settings(tiny_config(tmp_path, videos=2, **changes))


def test_more_event_heads_than_heads_are_refused(vocabulary):
    with pytest.raises(UserError, match=r"captioner\.event_heads: 5 .* 4 heads"):
        make_model(vocabulary, event_heads=5, t5_config=T5)


def test_standardised_features_have_mean_0_and_deviation_1():
    rng = np.random.default_rng(0)
    videos = [rng.normal(3.0, 0.5, (20, 6)).astype(np.float32) for _ in range(5)]
    module = Standardise(6)
    x = torch.from_numpy(np.stack(videos))
    assert torch.equal(module(x, torch.ones(5, 20, dtype=torch.bool)), x)
    module.measure(videos)
    found = module(x, torch.ones(5, 20, dtype=torch.bool))
    torch.testing.assert_close(found.mean((0, 1)), torch.zeros(6), rtol=0, atol=1e-4)
    assert found.square().mean().sqrt().item() == pytest.approx(1.0, abs=1e-4)
    assert not module(x, torch.zeros(5, 20, dtype=torch.bool)).any()
