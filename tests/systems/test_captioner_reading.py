"""What the captioner tells of its reading: attention, and where its words are copied from."""

import dataclasses

import numpy as np
import pytest
import torch

from hicm.systems.captioner.dataset import Read
from hicm.systems.captioner.decode import generate
from hicm.systems.captioner.model import shifted
from hicm.systems.captioner.reading import (
    ENDS,
    FRAMES,
    GROUPS,
    SPEECH,
    TEXT,
    VECTORS,
    attention_weights,
    cross_attentions,
    groups_of,
    reread,
)
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD, train_vocabulary
from tests.systems.test_captioner_parts import WORDS
from tests.systems.test_captioner_pointing import batch_of, lively


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(WORDS * 5, 60, 100)


def recalled(batch, vocabulary):
    """The sentences at the beginning of each text of `batch_of`, each of which has two times."""
    found = []
    for ids, cosines in zip(batch.speech.tolist(), batch.cosines.tolist(), strict=True):
        ids = ids[:ids.index(EOS)]
        starts = [at for at, token in enumerate(ids) if token >= vocabulary.text_size][::2]
        parts = [(ids[start:end], cosines[start]) for start, end in zip(starts, [*starts, None][1:], strict=True)]
        found.append([Read(own, cosine, f"{number}: {vocabulary.decode(own[2:])}")
                      for number, (own, cosine) in enumerate(parts)])
    return found


def read_again(vocabulary, model, **changes):
    """A batch of texts alone, and what the model reads when it writes the targets."""
    batch = dataclasses.replace(batch_of(vocabulary, windows=0), **changes)
    return batch, reread(model, batch, batch.target, vocabulary, recalled(batch, vocabulary))


@pytest.mark.parametrize("heads", [0, 2])
def test_the_weights_are_those_that_the_decoder_uses(vocabulary, heads):
    model = lively(vocabulary, event_heads=heads, memory_as="text")
    batch = batch_of(vocabulary, windows=0)
    given, out = [], []
    layer = cross_attentions(model)[0]
    layer.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    layer.register_forward_hook(lambda _, inputs, output: out.append(output[0]))
    with torch.no_grad():
        encoded, before = model.encode(batch), shifted(batch.target)
        seen = model.seen(model.events(before), model.context(batch, encoded[1]))
        model.decode(encoded, model.embed(before)[0], seen)
        weights = attention_weights(layer, given[0], encoded, seen)
        values = layer.v(encoded[0]).view(*encoded[0].shape[:2], layer.n_heads, -1).transpose(1, 2)
        expected = layer.o((weights @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(expected, out[0], rtol=1e-4, atol=1e-4)


def test_states_belong_to_groups(vocabulary):
    batch = batch_of(vocabulary)
    vectors = lively(vocabulary, copy_words=False)
    found = groups_of(vectors, batch, vectors.encode(batch)[1])
    assert (found[0, :10] == FRAMES).all() and (found[1, 9] == -1) and (found[:, 10:15] == VECTORS).all()
    assert set(found[1, 15:].tolist()) == {SPEECH, ENDS, -1}, "without recalled text, all text is speech"
    texts, batch = lively(vocabulary, memory_as="text"), batch_of(vocabulary, windows=0)
    spoken = batch.speech.clone()
    end = spoken[1].tolist().index(EOS)
    spoken[1, end + 1:end + 4] = torch.tensor([vocabulary.time_id(3), vocabulary.time_id(9), EOS])
    batch = dataclasses.replace(batch, speech=spoken)
    found = groups_of(texts, batch, texts.encode(batch)[1])[1, 10:].tolist()
    assert found[:end] == [TEXT] * end and found[end:end + 4] == [ENDS, SPEECH, SPEECH, ENDS]


def test_attention_adds_up_over_groups(vocabulary):
    batch, found = read_again(vocabulary, lively(vocabulary, memory_as="text"))
    for row, one in enumerate(found):
        ids = batch.target[row]
        times = (ids >= vocabulary.text_size).sum()
        assert one.video == f"v{row}" and one.tokens.tolist() == [((ids != PAD) & (ids != EOS)).sum() - times, times]
        np.testing.assert_allclose(one.attention.sum(2), [one.tokens], rtol=1e-5)
        assert (one.attention[..., one.states == 0] == 0).all() and one.states[FRAMES] == batch.frame_mask[row].sum()
        assert (one.located[:, 1] <= one.located[:, 0] + 1e-9).all() and len(GROUPS) == len(one.states)
        assert (one.located[:, 0] <= one.attention[:, 0, TEXT] + 1e-4).all(), "only what has a time"
    assert found[2].states[TEXT] == 0 == found[2].located_states[0], "it recalled nothing"
    assert found[1].located_states[1] > 0


def test_heads_that_see_one_event_attend_to_what_is_in_it(vocabulary):
    _, bound = read_again(vocabulary, lively(vocabulary, memory_as="text", event_heads=4))
    for one in bound:
        np.testing.assert_allclose(one.located[:, 0], one.located[:, 1])
    _, free = read_again(vocabulary, lively(vocabulary, memory_as="text", event_heads=0))
    assert free[4].located[0, 1] < 0.9 * free[4].located[0, 0]


@pytest.mark.parametrize(("bias", "expected"), [(-100.0, 0.0), (100.0, 1.0)])
def test_a_gate_that_is_shut_copies_nothing_and_an_open_one_all_that_is_there(vocabulary, bias, expected):
    model = lively(vocabulary, memory_as="text")
    with torch.no_grad():
        model.pointing.words.gate.weight.zero_()
        model.pointing.words.gate.bias.fill_(bias)
        model.t5.lm_head.weight[vocabulary.text_size - 1] += 100  # what the vocabulary gives goes to one piece
    _, found = read_again(vocabulary, model)
    captions = [(one, wording) for one in found for wording in one.wordings]
    assert len(captions) == 2 * len(found)
    for one, wording in captions:
        assert all(-1e-6 <= chance <= 1 + 1e-4 for chance in (*wording.gate, *wording.copied))
        if not expected or not one.states[TEXT]:
            assert max(wording.gate) < 1e-6 and max(wording.copied) < 1e-3
    if expected:
        assert max(chance for _, wording in captions for chance in wording.copied) > 0.99


def test_copies_go_to_the_sentences_in_the_event(vocabulary):
    _, found = read_again(vocabulary, lively(vocabulary, memory_as="text"))
    many = found[4].wordings  # sentence k lasts from bin 10 k to 10 k + 9 and has the cosine k / 10; nine of them
    assert [(one.start, one.end) for one in many] == [pytest.approx((20 * a / 99, 20 * b / 99))
                                                      for a, b in ((5, 20), (30, 45))]
    assert [[source.text.partition(":")[0] for source in one.sources] for one in many] == [["2", "1", "0"], ["4", "3"]]
    for one in many:
        assert [source.rank for source in one.sources] == list(range(1, len(one.sources) + 1))
        assert sum(source.copied for source in one.sources) == pytest.approx(sum(one.copied), rel=1e-4), "no speech"
        assert len(one.gate) == len(one.copied) > 1 and one.text in " ".join(WORDS)
    assert all(not one.sources for one in found[2].wordings)


def test_a_model_that_copies_nothing_says_so(vocabulary):
    for changes in ({"copy_words": False}, {"copy_words": False, "point_times": False, "event_heads": 0}):
        _, found = read_again(vocabulary, lively(vocabulary, memory_as="text", **changes))
        assert all(one.wordings is None for one in found) and found[1].located_states[1] > 0


def test_captions_are_given_again_as_they_were_written(vocabulary):
    model, batch = lively(vocabulary, memory_as="text"), batch_of(vocabulary, windows=0)
    written = torch.tensor(generate(model, batch, vocabulary, DecodeSettings(beams=1, max_tokens=12)))[:, 1:]
    with torch.no_grad():
        encoded = model.encode(batch)
        scores = model.scores(encoded, model.context(batch, encoded[1]), written, model.embed(shifted(written))[0])
    real = written != PAD
    assert torch.equal(scores.argmax(2)[real], written[real]), "the states in which each token was the best one"
