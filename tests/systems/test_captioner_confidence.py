"""How sure a captioner is of its events."""

import dataclasses
import itertools
import json
import math

import pytest
import torch

from hicm.config import load_config
from hicm.dvc_eval import evaluate
from hicm.errors import UserError
from hicm.rooms import check_settings
from hicm.stages.predict import predict
from hicm.stages.train import train
from hicm.systems.captioner.confidence import confidences, log_probabilities, make_confidence
from hicm.systems.captioner.decode import find_events, generate, generate_from, parse_events
from hicm.systems.captioner.decoder import Decoder
from hicm.systems.captioner.given import caption_events
from hicm.systems.captioner.parts import encode_parts
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD, train_vocabulary
from hicm.types import Event, Span
from tests.systems import test_captioner_generation as plain
from tests.systems import test_captioner_pointing as pointing
from tests.systems.test_captioner_parts import WORDS
from tests.tiny import tiny_config

KINDS = ("words", "times", "both")


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(WORDS * 5, 60, 100)


@pytest.fixture(params=["plain", "pointing", "event_heads"])
def model_and_batch(request, vocabulary):
    if request.param == "plain":
        return plain.lively(vocabulary), plain.mixed(vocabulary)
    changes = {} if request.param == "pointing" else {"point_times": False, "copy_words": False}
    batch = pointing.batch_of(vocabulary)
    return (pointing.lively(vocabulary, **changes).double(),
            dataclasses.replace(batch, frames=batch.frames.double(), memory=batch.memory.double()))


@torch.inference_mode()
def step_by_step(model, batch, row, ids):
    """Log-probabilities of ids after the decoder start, as generation finds them, of one video alone."""
    alone = encode_parts(model, batch.take([row], int((batch.speech[row] != PAD).sum())))
    decoder, found = Decoder(model, alone, 1, len(ids)), []
    for before, following in itertools.pairwise(ids):
        found.append(float(decoder.step(torch.tensor([before])).log_softmax(1)[0, following]))
    return found


@pytest.mark.parametrize("settings", [DecodeSettings(beams=1, max_tokens=20), DecodeSettings(beams=3, max_tokens=20)],
                         ids=["greedy", "beams"])
def test_tokens_have_the_probabilities_of_generation(vocabulary, model_and_batch, settings):
    """Also those of the chosen hypothesis of several beams."""
    model, batch = model_and_batch
    with torch.inference_mode():
        parts = encode_parts(model, batch)
    rows = generate(model, batch, vocabulary, settings, parts)
    assert rows == generate(model, batch, vocabulary, settings)
    for row, (ids, logs) in enumerate(zip(rows, log_probabilities(model, parts, rows), strict=True)):
        real = ids[:ids.index(EOS) + 1] if EOS in ids else ids
        assert len(logs) == len(ids) and not any([logs[0], *logs[len(real):]])
        assert logs[1:len(real)] == pytest.approx(step_by_step(model, batch, row, real), abs=1e-4)


def test_the_score_of_beam_search_is_the_sum_of_the_log_probabilities(vocabulary):
    """The best of 3 beams with length_penalty 0: no other sequence found scores higher."""
    model, batch = plain.lively(vocabulary), plain.mixed(vocabulary)
    totals = []
    for beams in (1, 3):
        settings = DecodeSettings(beams=beams, max_tokens=24, length_penalty=0.0)
        with torch.inference_mode():
            parts = encode_parts(model, batch)
            rows = generate_from(model, parts, settings)
        totals.append([sum(logs) for logs in log_probabilities(model, parts, rows)])
    assert sum(totals[1]) > sum(totals[0])


def test_an_events_number_is_that_of_its_own_tokens(vocabulary):
    word, time = vocabulary.encode(WORDS[0], 3), vocabulary.time_id
    ids = [PAD, *word[:1], time(9), time(2), time(5), *word, time(7), word[1], time(8), time(8), *word[:2],
           time(10), time(20), *word[:2], EOS, PAD]
    logs = [-0.1 * place for place in range(len(ids))]
    times, words = [[3, 4], [14, 15]], [[5, 6, 7, 9], [16, 17]]
    assert [ids[place] for place in words[0]] == [*word, word[1]] and ids[14] == time(10)
    for kind in KINDS:
        found = parse_events(ids, 99.0, vocabulary, confidence=make_confidence(kind, logs))
        assert [dataclasses.replace(event, score=None) for event in found] == parse_events(ids, 99.0, vocabulary)
        for event, own_times, own_words in zip(found, times, words, strict=True):
            means = {"words": sum(logs[place] for place in own_words) / len(own_words),
                     "times": sum(logs[place] for place in own_times) / 2}
            means["both"] = (means["words"] + means["times"]) / 2
            assert event.score == pytest.approx(math.exp(means[kind])) and 0 < event.score < 1


@pytest.mark.parametrize("how", [{"beams": 1}, {"beams": 3}, {"sample": True}], ids=str)
def test_events_are_the_same_with_a_confidence_and_fewer_above_a_threshold(vocabulary, how):
    model, batch = plain.lively(vocabulary), plain.mixed(vocabulary)
    settings = DecodeSettings(max_tokens=40, grammar=True, **how)
    bare = find_events(model, batch, vocabulary, settings)
    assert sum(map(len, bare)) > 5 and all(event.score is None for events in bare for event in events)
    settings = dataclasses.replace(settings, confidence="both")
    scored = find_events(model, batch, vocabulary, settings)
    assert [[dataclasses.replace(event, score=None) for event in events] for events in scored] == bare
    scores = sorted(event.score for events in scored for event in events)
    middle = scores[len(scores) // 2]
    kept = find_events(model, batch, vocabulary, dataclasses.replace(settings, min_confidence=middle))
    assert kept == [[event for event in events if event.score >= middle] for events in scored]
    assert sum(map(len, kept)) == len(scores) - len(scores) // 2


def test_given_events_get_a_confidence_and_none_is_left_out(vocabulary):
    """Also where the events of a video take several passes."""
    model, batch = plain.lively(vocabulary), plain.mixed(vocabulary)
    given = [(Span(12, 17), Span(0, 4.5), Span(9, 6))] * len(batch.ids)
    settings = DecodeSettings(beams=1, max_tokens=12, event_bias=5.0)
    bare = caption_events(model, batch, given, vocabulary, settings)
    assert bare == caption_events(model, batch, given, vocabulary, dataclasses.replace(settings, event_bias=0.0))
    for kind in KINDS:
        strict = dataclasses.replace(settings, confidence=kind, min_confidence=1.0)
        scored = caption_events(model, batch, given, vocabulary, strict)
        assert [[Event(event.span, event.text) for event in events] for events in scored] == bare
        assert all(0 < event.score <= 1 for events in scored for event in events)


def test_a_forced_event_has_the_confidence_that_it_has_where_it_is_the_models_own(vocabulary):
    model, batch = plain.lively(vocabulary), plain.mixed(vocabulary)
    settings = DecodeSettings(beams=1, max_tokens=40, grammar=True, confidence="both")
    rows = generate(model, batch, vocabulary, settings)
    with torch.inference_mode():
        sure = confidences(model, encode_parts(model, batch), rows, settings)
    own = [parse_events(ids, 20.0, vocabulary, confidence=one) for ids, one in zip(rows, sure, strict=True)]
    ended = [row for row, ids in enumerate(rows) if EOS in ids and own[row]
             and [event.span.start for event in own[row]] == sorted(event.span.start for event in own[row])]
    assert ended
    for row in ended:
        one = batch.take([row], int((batch.speech[row] != PAD).sum()))
        found, = caption_events(model, one, [[event.span for event in own[row]]], vocabulary, settings)
        assert [event.text for event in found] == [event.text for event in own[row]]
        assert [event.score for event in found] == pytest.approx([event.score for event in own[row]], abs=1e-6)


def test_a_threshold_needs_a_confidence():
    with pytest.raises(UserError, match=r"min_confidence: 0\.2, but events get no confidence; set captioner\.decode\."):
        check_settings(load_config(None, ["captioner.decode.min_confidence=0.2", "data.speech=x.json"]))


def test_predictions_hold_it_and_are_scored_as_before(tmp_path):
    config = tiny_config(tmp_path, retrieval__search="none", train__epochs=1)
    run = train(config, "tiny", tmp_path / "run")
    paths = [predict(run, out=tmp_path / f"{kind}.json", overrides=[f"captioner.decode.confidence={kind}"])
             for kind in ("none", "both")]
    bare, scored = (json.loads(path.read_text())["results"] for path in paths)
    events = [event for found in scored.values() for event in found]
    scores = [event.pop("score") for event in events]
    assert scores and all(0 < score < 1 for score in scores) and scored == bare
    references = [str(tmp_path / "data" / "val.json")]
    results = [evaluate(path, references, "vidchapters", metrics=["F1", "soda_c"]).scores for path in paths]
    assert results[0] == results[1]
