"""Words for given events: the events are those given, and only the captions are the model's."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch

from hicm.data.time_tokens import to_seconds
from hicm.errors import UserError
from hicm.systems.captioner.decode import generate, parse_events
from hicm.systems.captioner.given import GivenEvents, _time_id, caption_events
from hicm.systems.captioner.grammar import EventGrammar
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD, train_vocabulary
from hicm.types import Span
from tests.systems.test_captioner_parts import WORDS, make_batch, make_model

ODD = (Span(12, 17), Span(0, 4.5), Span(3, 3), Span(19, 31), Span(-2, 1), Span(9, 6), Span(12, 17))  # of 20 seconds
DECODING = [DecodeSettings(beams=1, max_tokens=40), DecodeSettings(beams=3, max_tokens=40),
            DecodeSettings(sample=True, max_tokens=40)]


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(WORDS * 5, 60, 100)


def noise(vocabulary, seed):
    """A model whose scores for the next id are noise of all ids before, with ends of captions now and then."""
    def scores(prefix):
        digest = hashlib.sha256(repr((seed, prefix)).encode()).digest()
        found = torch.tensor(np.random.default_rng(list(digest)).standard_normal(vocabulary.size), dtype=torch.float32)
        found[EOS] += 1.0
        return found
    return scores


def greedy(scores, rule, limit=120):
    ids = [PAD]
    while ids[-1] != EOS and len(ids) < limit:
        ids.append(int(rule(torch.tensor([ids]), scores(tuple(ids))[None]).argmax()))
    return ids


def test_greedy_decoding_is_the_unconstrained_one_where_that_has_these_events(vocabulary):
    """Whatever the captions: each ends where it ended without constraint, and says the same."""
    lengths = set()
    for seed in range(40):
        scores = noise(vocabulary, seed)
        free = greedy(scores, EventGrammar(vocabulary))
        times = [i for i in free if i >= vocabulary.text_size]
        if times and free[-1] == EOS:
            lengths.add(len(times) // 2)
            assert greedy(scores, GivenEvents(vocabulary, [times])) == free
    assert len(lengths) > 2, "several events as well"


def test_forced_times_cost_nothing_and_the_end_of_a_caption_what_any_end_costs(vocabulary):
    start, end, other = (vocabulary.time_id(b) for b in (3, 7, 50))
    word = vocabulary.encode(WORDS[0], 50)[1]
    scores = torch.full((1, vocabulary.size), -9.0)
    scores[0, other], scores[0, EOS], scores[0, start] = 2.0, 1.0, 0.0

    def allowed(rule, *prefix):
        found = rule(torch.tensor([[PAD, *prefix]]), scores)[0]
        return {int(i): float(found[i]) for i in torch.isfinite(found).nonzero()}

    rule = GivenEvents(vocabulary, [[start, end, start, start]])
    assert allowed(rule) == {start: 0.0} and allowed(rule, start) == {end: 0.0}
    assert set(allowed(rule, start, end)) == set(rule.text.nonzero().flatten().tolist()), "text, and no end yet"
    after = allowed(rule, start, end, word)
    assert after.pop(start) == 2.0 and after == allowed(rule, start, end)
    assert allowed(rule, start, end, word, start) == {start: 0.0}, "zero length"
    last = allowed(rule, start, end, word, start, start, word)
    assert last[EOS] == 2.0 and not any(i >= vocabulary.text_size for i in last)
    summed = allowed(GivenEvents(vocabulary, [[start, end]], sampled=True), start, end, word)
    ends = scores[0, [EOS, *range(vocabulary.text_size, vocabulary.size - 1)]]
    assert summed[EOS] == pytest.approx(float(ends.exp().sum().log()))


@pytest.mark.parametrize("settings", DECODING)
def test_the_events_are_those_given_in_their_order(vocabulary, settings):
    """Also those of zero length, past the end, before the beginning, reversed, given twice; and in passes."""
    model, batch = make_model(vocabulary), make_batch(vocabulary, rows=(10, 6, 3))
    torch.manual_seed(0)
    given = (ODD, (), ODD[:1])
    for most in (4, 20):
        found = caption_events(model, batch, given, vocabulary, dataclasses.replace(settings, max_tokens=most))
        assert [tuple(event.span for event in events) for events in found] == list(given)
        texts = [event.text for events in found for event in events]
        assert all(text.strip() and "<time" not in text and "<extra_id" not in text for text in texts)


def test_an_event_without_room_is_refused(vocabulary):
    model, batch = make_model(vocabulary), make_batch(vocabulary)
    with pytest.raises(UserError, match=r"captioner.decode.max_tokens=3: is too short for one of the given events"):
        caption_events(model, batch, (ODD, ODD), vocabulary, DecodeSettings(max_tokens=3))


@pytest.mark.parametrize("beams", [1, 3])
def test_the_batch_changes_nothing(vocabulary, beams):
    model, rows, settings = make_model(vocabulary), (10, 6, 3), DecodeSettings(beams=beams, max_tokens=12)
    batch = make_batch(vocabulary, rows=rows)
    given = (ODD, ODD[:2], ODD[1:5])
    together = caption_events(model, batch, given, vocabulary, settings)
    for row, spans in enumerate(given):
        alone = dataclasses.replace(batch, ids=batch.ids[row:row + 1], durations=batch.durations[row:row + 1], **{
            field.name: getattr(batch, field.name)[row:row + 1] for field in dataclasses.fields(batch)
            if isinstance(getattr(batch, field.name), torch.Tensor)})
        assert caption_events(model, alone, (spans,), vocabulary, settings) == [together[row]]


def test_the_order_of_the_file_changes_no_caption(vocabulary):
    """The decoder sees events in order of time."""
    model, batch = make_model(vocabulary), make_batch(vocabulary, rows=(10,))
    spans = (Span(1, 4), Span(5, 9), Span(12, 19))
    [there], [back] = (caption_events(model, batch, (given,), vocabulary, DECODING[0])
                       for given in (spans, spans[::-1]))
    assert back == there[::-1]


def test_an_untrained_model_says_of_its_own_events_what_it_said(vocabulary):
    """From its own seconds, which may lie a rounding error before their bin."""
    model, batch = make_model(vocabulary), make_batch(vocabulary, rows=(10, 6, 3))
    settings, seen = DecodeSettings(beams=1, max_tokens=30, grammar=True), 0
    for row, ids in enumerate(generate(model, batch, vocabulary, settings)):
        own = parse_events(ids, batch.durations[row], vocabulary)
        if len(own) == 1:  # with more, the limit cuts the last one
            given = tuple((own[0].span,) if at == row else () for at in range(3))
            assert caption_events(model, batch, given, vocabulary, settings)[row] == own
            seen += 1
    assert seen


def test_seconds_of_a_bin_go_back_to_it(vocabulary):
    for duration in (7.0, 30.0, 61.37, 211.3, 899.99):
        for b in range(100):
            assert _time_id(to_seconds(b, duration, 100), duration, vocabulary) == vocabulary.time_id(b)
    assert [_time_id(second, 20.0, vocabulary) for second in (-1.0, 25.0)] == [vocabulary.time_id(b) for b in (0, 99)]
