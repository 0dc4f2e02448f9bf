"""Biases of decoding: more or fewer events, longer or shorter captions."""

import dataclasses

import pytest
import torch

from hicm.data.text import normalise
from hicm.systems.captioner.biases import Biases, with_biases
from hicm.systems.captioner.decode import find_events, generate
from hicm.systems.captioner.repeats import NoRepeats
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD, train_vocabulary
from tests.systems.test_captioner_generation import lively, mixed
from tests.systems.test_captioner_parts import WORDS

V, SIZE = 6, 9
PAIR, STOP = [7, 8], 5


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(WORDS * 5, 60, 100)


@pytest.mark.parametrize(("said", "in_caption"), [
    ([], False), ([7], False), (PAIR, False), ([*PAIR, 3], True), ([*PAIR, 3, 4], True), ([*PAIR, 3, STOP], False),
    ([*PAIR, 3, 7], False)])
def test_only_ends_are_biased_and_those_of_captions_within_one(said, in_caption):
    ids = torch.tensor([[PAD, *said]])
    scores = torch.randn(1, SIZE, generator=torch.Generator().manual_seed(0))
    before = scores.clone()
    found = Biases(0.5, 2.0, [STOP], V)(ids, scores, torch.zeros(1, dtype=torch.int64)) - scores
    words = 2.0 if in_caption else 0.0
    expected = torch.zeros(1, SIZE)
    expected[0, [EOS, STOP]] = torch.tensor([-0.5 - words, -words])
    expected[0, V:] = -words
    torch.testing.assert_close(found, expected)
    assert torch.equal(scores, before), "what the search was given is not changed"


def test_what_another_rule_forbids_stays_forbidden():
    ids = torch.tensor([[PAD, *PAIR, 3, 4, 3]])
    found = Biases(-5.0, -5.0, [STOP], V, NoRepeats(2, V))(ids, torch.zeros(1, SIZE), torch.zeros(1, dtype=torch.int64))
    assert found.isinf().nonzero().tolist() == [[0, 4]]


def test_full_stops_are_those_of_the_vocabulary(vocabulary):
    settings = DecodeSettings(word_bias=1.0)
    assert with_biases(DecodeSettings(), vocabulary, None) is None
    stops = with_biases(settings, vocabulary, None).stops.tolist()
    ends = {vocabulary.encode(normalise(text), 50)[-1] for text in WORDS}
    assert ends == set(stops), "every caption ends with one"


def measured(model, batch, vocabulary, settings, **biases):
    """Events of all videos, and characters of an average caption."""
    found = find_events(model, batch, vocabulary, dataclasses.replace(settings, **biases))
    texts = [event.text for events in found for event in events]
    return len(texts), sum(map(len, texts)) / max(1, len(texts))


@pytest.mark.parametrize("beams", [1, 3])
def test_biases_move_the_numbers_of_events_and_words(vocabulary, beams):
    model, batch = lively(vocabulary), mixed(vocabulary)
    settings = DecodeSettings(beams=beams, max_tokens=60, grammar=True)
    none, few, many = (measured(model, batch, vocabulary, settings, event_bias=bias)[0] for bias in (-20.0, -3.0, 20.0))
    assert 0 == none < few < many, "the first ends the sequence before the first event"
    short, long = (measured(model, batch, vocabulary, settings, word_bias=bias)[1] for bias in (-4.0, 4.0))
    assert short < long


def test_biases_of_zero_are_no_biases(vocabulary):
    model, batch = lively(vocabulary), mixed(vocabulary)
    settings = DecodeSettings(beams=1, max_tokens=30)
    tiny = dataclasses.replace(settings, event_bias=1e-12)
    assert generate(model, batch, vocabulary, settings) == generate(model, batch, vocabulary, tiny)
