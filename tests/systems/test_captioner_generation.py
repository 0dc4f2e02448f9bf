"""Generation gives what `generate` of transformers gives with the same weights, whatever stands in the batch."""

import dataclasses

import pytest
import torch
from transformers import DynamicCache, EncoderDecoderCache, LogitsProcessorList
from transformers.modeling_outputs import BaseModelOutput

from hicm.config import load_config
from hicm.data.samples import Sample, SampleList
from hicm.data.speech import Speech
from hicm.errors import UserError
from hicm.systems.captioner import speech_encoder
from hicm.systems.captioner import system as captioner_system
from hicm.systems.captioner.batch import pad
from hicm.systems.captioner.batches import in_precision
from hicm.systems.captioner.decode import generate, generate_from
from hicm.systems.captioner.decoder import Decoder
from hicm.systems.captioner.given import GivenEvents
from hicm.systems.captioner.grammar import EventGrammar
from hicm.systems.captioner.parts import encode_parts, similar, take
from hicm.systems.captioner.search import _in_place
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.system import System
from hicm.systems.captioner.vocabulary import EOS, PAD, train_vocabulary
from tests.systems.test_captioner_parts import T5, WORDS, make_batch, make_model

SIZES = (1, 40, 7, 38, 3, 40, 16)  # tokens of speech


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(WORDS * 5, 60, 100)


def lively(vocabulary, seed=0, **changes):
    """A model with random weights that ends its sequences now and then, and does not repeat one token.

    Such a model multiplies rounding errors, hence float64; `test_ids_of_a_calm_model_in_float32` has float32.
    """
    model = make_model(vocabulary, **changes)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.t5.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=random)
        model.t5.shared.weight[EOS] *= 4
    return model.double()


def mixed(vocabulary, sizes=SIZES, seed=0):
    """Videos with different amounts of speech, and different numbers of frames."""
    batch = make_batch(vocabulary, rows=[10 - at for at in range(len(sizes))], seed=seed)
    random = torch.Generator().manual_seed(seed)
    speech = [[*torch.randint(3, vocabulary.size, (size - 1,), generator=random).tolist(), EOS] for size in sizes]
    return dataclasses.replace(batch, speech=pad(speech), frames=batch.frames.double(), memory=batch.memory.double())


@pytest.fixture
def system(vocabulary):
    """A captioner, and videos for it."""
    config = load_config(None, ["retrieval.search=none", "data.frames=10", "captioner.decode.max_tokens=20"])
    batch = mixed(vocabulary)
    samples = SampleList([
        Sample(f"v{row}", 20.0, batch.frames[row].float().numpy(), 1.0, Speech((1.0,), (9.0,), (WORDS[row],)))
        for row in range(3)], "here")
    return System(config, lively(vocabulary, memory=0).float(), vocabulary), samples


def with_decoding(config, **settings):
    room = dataclasses.replace(config.room, decode=dataclasses.replace(config.room.decode, **settings))
    return dataclasses.replace(config, room=room)


def predicted(system, samples, **settings):
    """The events of all videos."""
    system.config = with_decoding(system.config, **settings)
    return {video: events for batch in system.predict(samples) for video, events in batch.items()}


def cut(rows):
    """Without padding, for which transformers takes EOS in beam search."""
    return [row[:row.index(EOS) + 1] if EOS in row else row for row in rows]


@torch.inference_mode()
def by_transformers(model, batch, settings, rule=None):
    states, mask = model.encode(batch)
    how = {"length_penalty": settings.length_penalty} if settings.beams > 1 else {}
    return cut(model.t5.generate(
        encoder_outputs=BaseModelOutput(last_hidden_state=states), attention_mask=mask.long(), do_sample=False,
        past_key_values=EncoderDecoderCache(DynamicCache(), DynamicCache()), max_new_tokens=settings.max_tokens,
        num_beams=settings.beams, repetition_penalty=settings.repetition_penalty,
        logits_processor=None if rule is None else LogitsProcessorList([lambda ids, scores: rule(ids, scores)]),
        **how).tolist())


@pytest.mark.parametrize("settings", [
    DecodeSettings(beams=1), DecodeSettings(beams=4), DecodeSettings(beams=2, length_penalty=0.0),
    DecodeSettings(beams=3, length_penalty=-1.0), DecodeSettings(beams=4, length_penalty=2.0, repetition_penalty=1.3),
    DecodeSettings(beams=1, repetition_penalty=1.3), DecodeSettings(beams=4, grammar=True),
    DecodeSettings(beams=1, grammar=True)], ids=lambda one: ",".join(map(str, dataclasses.astuple(one)[2:6])))
def test_ids_are_those_of_transformers(vocabulary, settings):
    settings, lengths = dataclasses.replace(settings, max_tokens=24), set()
    for seed in range(2):
        model, batch = lively(vocabulary, seed, t5_config={**T5, "num_decoder_layers": 2}), mixed(vocabulary, seed=seed)
        rule = EventGrammar(vocabulary) if settings.grammar else None
        found = cut(generate(model, batch, vocabulary, settings))
        assert found == by_transformers(model, batch, settings, rule)
        lengths |= set(map(len, found))
    assert len(lengths) > 2, "videos end at different times"


@pytest.mark.parametrize("beams", [1, 4])
def test_ids_of_a_calm_model_in_float32(vocabulary, beams):
    model, batch, settings = lively(vocabulary).float(), mixed(vocabulary), DecodeSettings(beams=beams, max_tokens=20)
    with torch.no_grad():
        for weight in model.t5.decoder.parameters():
            weight *= 0.2
    batch = dataclasses.replace(batch, frames=batch.frames.float(), memory=batch.memory.float())
    assert cut(generate(model, batch, vocabulary, settings)) == by_transformers(model, batch, settings)


@pytest.mark.parametrize("beams", [1, 3])
def test_given_events_as_by_transformers(vocabulary, beams):
    model, batch, settings = lively(vocabulary), mixed(vocabulary), DecodeSettings(beams=beams, max_tokens=40)
    times = [[vocabulary.time_id(b) for b in bins] for bins in (
        (1, 2), (3, 9, 9, 12), (0, 99), (4, 4), (2, 3, 5, 7, 8, 9), (50, 60), (7, 8, 8, 10))]
    with torch.inference_mode():
        found = generate_from(model, encode_parts(model, batch), settings, GivenEvents(vocabulary, times))
    assert cut(found) == by_transformers(model, batch, settings, GivenEvents(vocabulary, times))


@pytest.mark.parametrize("own_head", [False, True])
def test_log_probabilities_are_those_of_the_whole_model(vocabulary, own_head):
    more = {"tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"} if own_head else {}
    model = lively(vocabulary, t5_config={**T5, "num_decoder_layers": 3, **more})
    batch = mixed(vocabulary)
    target = torch.randint(3, vocabulary.size, (len(SIZES), 40), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = model.logits(model.encode(batch), target).float().log_softmax(2)
        parts = encode_parts(model, batch)
        order = [video for part in parts for video in part.videos]
        decoder = Decoder(model, parts, 1, 40)
        inputs = torch.cat([torch.full_like(target[:, :1], PAD), target[:, :-1]], 1)[order]
        found = torch.stack([decoder.step(ids) for ids in inputs.T], 1).log_softmax(2)
    torch.testing.assert_close(found, expected[order], rtol=0, atol=1e-5)


@pytest.mark.parametrize("settings", [DecodeSettings(beams=1), DecodeSettings(beams=3), DecodeSettings(sample=True)],
                         ids=["greedy", "beams", "sampling"])
def test_other_videos_of_a_batch_change_nothing(vocabulary, settings):
    model, batch = lively(vocabulary), mixed(vocabulary)
    settings = dataclasses.replace(settings, max_tokens=30)
    together = generate(model, batch, vocabulary, settings)
    for row in range(len(SIZES)):
        alone = dataclasses.replace(batch, **{
            field.name: getattr(batch, field.name)[row:row + 1] for field in dataclasses.fields(batch)
            if getattr(batch, field.name) is not None})
        [own] = generate(model, alone, vocabulary, settings)
        assert own + [PAD] * (len(together[row]) - len(own)) == together[row]


def test_draws_depend_on_the_seed(vocabulary):
    model, batch = lively(vocabulary), mixed(vocabulary)
    one, again, other = (generate(model, batch, vocabulary, DecodeSettings(sample=True, max_tokens=9, seed=seed))
                         for seed in (0, 0, 1))
    assert one == again != other


def test_a_nucleus_of_nothing_is_greedy_and_draws_have_their_probabilities(vocabulary):
    model, batch = lively(vocabulary), mixed(vocabulary)
    greedy = generate(model, batch, vocabulary, DecodeSettings(beams=1, max_tokens=20))
    assert generate(model, batch, vocabulary, DecodeSettings(sample=True, top_p=0.0, max_tokens=20)) == greedy
    many = mixed(vocabulary, (5,))
    many = dataclasses.replace(many, ids=tuple(map(str, range(2000))), **{
        field.name: getattr(many, field.name).expand(2000, *getattr(many, field.name).shape[1:])
        for field in dataclasses.fields(many) if isinstance(getattr(many, field.name), torch.Tensor)})
    drawn = torch.tensor(generate(model, many, vocabulary, DecodeSettings(sample=True, top_p=0.7, max_tokens=1)))[:, 1]
    with torch.inference_mode():
        likely, ids = model.logits(model.encode(mixed(vocabulary, (5,))), torch.tensor([[3]]))[0, 0].sort(
            descending=True)
    wanted = likely[:50].float().softmax(0)
    wanted = wanted[:int((wanted.cumsum(0) < 0.7).sum()) + 1]
    shares = torch.stack([(drawn == i).float().mean() for i in ids[:len(wanted)]])
    assert shares.sum() == pytest.approx(1)
    torch.testing.assert_close(shares, wanted / wanted.sum(), rtol=0, atol=0.04)


def test_predictions_do_not_depend_on_the_batch_size(system):
    loaded, samples = system
    found = {}
    for size in (1, 2, 3, 8):
        for beams in (1, 3):
            found[size, beams] = predicted(loaded, samples, batch=size, beams=beams, grammar=beams == 1)
    for beams in (1, 3):
        assert all(found[size, beams] == found[1, beams] for size in (2, 3, 8))
    assert any(events for events in found[1, 1].values())


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")])
def test_a_batch_that_runs_out_of_memory_is_halved(system, monkeypatch, error):
    loaded, samples = system
    whole, sizes, real = predicted(loaded, samples, batch=8), [], captioner_system.find_events

    def small(model, batch, *more):
        sizes.append(len(batch.ids))
        if len(batch.ids) > 1:
            raise error
        return real(model, batch, *more)

    monkeypatch.setattr(captioner_system, "find_events", small)
    with pytest.warns(UserWarning, match=r"^out of memory with 3 videos at once .*; continuing with 1\. To start"):
        assert predicted(loaded, samples, batch=3) == whole
    assert sizes == [3, 1, 1, 1]


def test_finished_predictions_survive_a_batch_too_large(system, monkeypatch):
    """Those before the failure are handed out before it is raised, and are not made again."""
    loaded, samples = system
    seen, real = [], captioner_system.find_events

    def second_fails(model, batch, *more):
        seen.append(batch.ids)
        if len(seen) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(model, batch, *more)

    monkeypatch.setattr(captioner_system, "find_events", second_fails)
    loaded.config = with_decoding(loaded.config, batch=2)
    batches = loaded.predict(samples)
    assert len(next(batches)) == 2
    with pytest.raises(UserError, match=r"^out of memory with one video"):
        next(batches)
    assert [len(ids) for ids in seen] == [2, 1]


def test_bfloat16_is_of_a_copy(system):
    loaded, samples = system
    whole = predicted(loaded, samples, precision="float32")
    assert predicted(loaded, samples, precision="bf16").keys() == whole.keys()
    assert loaded.model.t5.dtype == torch.float32 and predicted(loaded, samples, precision="float32") == whole
    assert in_precision(loaded.model, "bf16", "cpu").t5.dtype == torch.bfloat16
    assert in_precision(loaded.model, "auto", "cpu") is loaded.model


def test_a_model_of_speech_alone_predicts_in_bfloat16(system, vocabulary):
    """Nothing stands before the speech; the states keep the type of the weights."""
    loaded, samples = system
    alone = System(loaded.config, lively(vocabulary, memory=0, use_video=False).float(), vocabulary)
    assert predicted(alone, samples, precision="bf16").keys() == {"v0", "v1", "v2"}


def test_parts_are_hardly_padded():
    lengths = [1000, 50, 990, 700, 640, 1, 1, 52, 980]
    parts = similar(lengths)
    assert sorted(row for part in parts for row in part) == list(range(len(lengths)))
    assert parts == [[0, 2, 8, 3], [4], [7, 1], [5, 6]]
    for part in parts:
        own = [lengths[row] for row in part]
        assert len(own) * max(own) <= 1.1 * sum(own)
    assert similar([0, 0, 0]) == [[0, 1, 2]] and similar([]) == []


def test_parts_hold_what_the_whole_batch_holds(vocabulary):
    model, batch = lively(vocabulary), mixed(vocabulary)
    with torch.inference_mode():
        states, mask = model.encode(batch)
        parts = encode_parts(model, batch)
    assert len(parts) > 2
    for part in [*parts, *take(parts, range(len(SIZES)))]:
        for row, video in enumerate(part.videos):
            torch.testing.assert_close(part.states[row][part.mask[row]], states[video][mask[video]])
    assert sorted(video for part in take(parts, [5, 0]) for video in part.videos) == [0, 1]


@pytest.mark.parametrize("at_once", [1, 41, 10**6])
def test_speech_is_encoded_as_by_transformers(vocabulary, monkeypatch, at_once):
    """However many tokens are taken at once; padding within speech keeps its place."""
    monkeypatch.setattr(speech_encoder, "AT_ONCE", at_once)
    model, batch = lively(vocabulary, t5_config={**T5, "num_layers": 2}), mixed(vocabulary)
    batch.speech[1, 5:9] = PAD
    speech = [row[:size] for row, size in zip(batch.speech, SIZES, strict=True)]
    with torch.inference_mode():
        expected, _ = model.encode_speech(batch.speech)
        found = speech_encoder.encode_packed(model.t5, [*speech, batch.speech[0, :0]])
    assert list(map(len, found)) == [*SIZES, 0]
    for states, whole, ids in zip(found[:-1], expected, speech, strict=True):
        torch.testing.assert_close(states[ids != PAD], whole[:len(ids)][ids != PAD])


def test_beams_stay_in_place_where_they_can():
    parents = torch.tensor([[0, 1, 2, 3], [2, 2, 0, 2], [3, 3, 3, 3], [3, 2, 1, 0]])
    moved = parents.gather(1, _in_place(parents))
    assert (moved != torch.arange(4)).sum(1).tolist() == [0, 2, 3, 0]
    assert [sorted(row) for row in moved.tolist()] == [sorted(row) for row in parents.tolist()]


