"""What is read out of a language model's answer for several events."""

import json
import time

import pytest

from hicm.systems.recall.answer import LONGEST, sentences_in

BOTH = {1: "chop it", 2: "fry it"}


@pytest.mark.parametrize("answer", [
    '{"1": "chop it", "2": "fry it"}',
    'Sure! Here it is:\n```json\n{"1": "chop it",\n "2": "fry it"}\n```\nHope that helps {smile}.',
    '{"captions": {"1": "chop it", "2": "fry it"}}',
    '{"events": [{"index": 1, "sentence": "chop it"}, {"index": "2", "Caption": "fry it"}]}',
    '[{"event": 1, "text": "chop it"}, {"event": 2, "text": "fry it"}]',
    '{"event 1": "chop it", "Event_02": "fry it"}',
    '{"1": {"caption": "chop it"}, "2": {"caption": "fry it"}}',
    '{"1": "chop it", "2": "fry it", "3": 7, "x": "y"}',
    '<think>{"1": "a", "2": "b"} no</think>{"1": "chop it", "2": "fry it"}',
    '{"1": "a"} or rather {"1": "chop it", "2": "fry it"}',
    '{"1": "chop it", "2": "fry it", "2": "fry it"}',
])
def test_sentences_are_found_in_many_forms(answer):
    assert sentences_in(answer, [1, 2]) == BOTH


@pytest.mark.parametrize(("answer", "found"), [
    ("", {}), ("I cannot help with that.", {}), ("[]", {}), ("{}", {}), ("null", {}),
    ('{"1": null, "2": ["fry it"]}', {}),
    ('{"1": "chop it", "2": "fry', {1: "chop it"}),  # cut off
    ('{"1": "chop it", "1": "fry it", "2": "fry it"}', {2: "fry it"}),  # which of them?
    ('{"1": "chop it", "9": "not asked"}', {1: "chop it", 9: "not asked"}),
    ('{"event": 1, "captions": ["cut", "chop"]}', {}),  # the question
    ('["chop it", "fry it"]', {}),
    ('{"1": "say \\"now\\"", "2": "\\u00e9"}', {1: 'say "now"', 2: "é"}),
    ('{"1": "two\nlines"}', {1: "two\nlines"}),
    ('{"1": "half \\ud83d"', {1: "half \ud83d"}), ('{"1": "bad \\x", "2": "fry it"}', {2: "fry it"}),
    ('{"true": "x", "1.5": "y", "-1": "z", "²": "w", "12345678": "v"}', {}),
])
def test_what_is_no_sentence_is_left_out(answer, found):
    assert sentences_in(answer, [1, 2]) == found


@pytest.mark.parametrize("answer", ["[" * 500_000, "{" * 500_000, '{"1":' * 100_000, "{[" * 200_000, '"a' * 300_000,
                                    '{"1": "' + "\\" * 500_000, json.dumps({"1": "x" * LONGEST * 2})])
def test_an_answer_made_to_hang_does_not(answer):
    started = time.perf_counter()
    sentences_in(answer, [1, 2])
    assert time.perf_counter() - started < 5
