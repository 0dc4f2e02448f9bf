"""Endpoints that answer badly: one line that says what to do, and a bank without anything that is no summary."""

import dataclasses
import json
import time

import pytest

from hicm.config import Config, SummaryConfig
from hicm.errors import UserError
from hicm.memory.bank import ARRAYS, TEXTS, load_bank
from hicm.memory.stats import bank_stats
from hicm.memory.summarisers import tally
from hicm.memory.summarisers.answers import BLOCKED, CUT, EMPTY, REFUSES, THINKING, TOOL, Answer
from hicm.memory.summarisers.journal import JOURNAL
from hicm.memory.summarisers.language import Unreached
from hicm.memory.summarisers.openai import LARGEST, OpenAIChat, read_answer
from hicm.stages.build_memory import build_memory
from tests.chat_server import Asked, Reply, sentence, serve
from tests.memory_data import asking, write_config


@pytest.fixture
def config(tmp_path, monkeypatch) -> Config:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return write_config(tmp_path, 6)


def completion(message: object, finish: str = "stop") -> bytes:
    return json.dumps({"choices": [{"finish_reason": finish, "message": message}]}).encode()


@pytest.mark.parametrize(("body", "answer"), [
    (completion({"content": "Chop it."}), Answer("Chop it.")),
    (completion({"content": "Chop it \ud83d"}), Answer("Chop it \ud83d")),
    (completion({"content": "Chop the"}, "length"), Answer("Chop the", CUT)),
    (completion({"content": None}, "content_filter"), Answer("", BLOCKED)),
    (completion({"content": None, "refusal": "I can't."}), Answer("", REFUSES)),
    (completion({"content": None, "reasoning_content": "They chop."}), Answer("", THINKING)),
    (completion({"content": "Chop it.", "reasoning_content": "They chop."}), Answer("Chop it.")),
    (completion({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls"), Answer("", TOOL)),
    (completion({"content": [{"type": "thinking", "thinking": "They chop."}, {"type": "text", "text": "Chop it."}]}),
     Answer("Chop it.")),
    (completion({"content": 5}), Answer("")), (completion({}), Answer("")), (completion(None), Answer("")),
])
def test_what_a_completion_says(body, answer):
    assert read_answer(body) == answer


@pytest.mark.parametrize(("body", "message"), [
    (b"<html>login</html>", r"is not json \('<html>login</html>'\); is summary\.endpoint the base URL, with /v1"),
    (b"", "is not json"), (b"[" * 100_000, "is not json"), (b"\xff\xfe", "is not json"),
    (b'{"error": {"message": "model overloaded"}}', r"reports an error \(model overloaded\)"),
    (b'{"error": "busy"}', r"reports an error \(busy\)"),
    (b'{"choices": []}', "no choices"), (b'{"choices": null}', "no choices"), (b"[]", "no choices"),
    (b'{"choices": ["x"]}', "no choices"),
])
def test_what_is_no_completion(body, message):
    with pytest.raises(Unreached, match=message):
        read_answer(body)


QUESTION = [{"role": "user", "content": "cut\nchop"}]


def ask(url: str, **settings) -> Answer:
    return OpenAIChat("tiny", SummaryConfig(endpoint=url, **{"retries": 0, "timeout": 5.0, **settings})).answer(
        [QUESTION], 0)[0]


@pytest.mark.parametrize(("status", "kind", "message"), [
    (400, Unreached, "no; if a field of the request is meant, change it with summary.request"),
    (402, UserError, "refuses .*no.*; pay"), (404, UserError, "check the model's name"),
    (413, Unreached, "lower summary.members"), (429, Unreached, "lower summary.concurrency"), (500, Unreached, "500"),
    (304, UserError, "does it redirect"),
])
def test_every_status_says_what_to_do(status, kind, message):
    with serve(lambda asked: Reply("no", status=status)) as server, pytest.raises(kind, match=message):
        ask(server.url)


def test_slow_and_endless_responses():
    """Each byte comes in time, the whole never does."""
    with serve(lambda asked: dataclasses.replace(sentence(asked), drip=0.02)) as server:
        started = time.monotonic()
        with pytest.raises(Unreached, match=r"not complete after 0\.2 seconds; raise summary\.timeout"):
            ask(server.url, timeout=0.2)
        assert time.monotonic() - started < 3
    with serve(lambda asked: Reply(body=b" " * (LARGEST + 1))) as server, pytest.raises(Unreached, match="more than"):
        ask(server.url)


def test_a_slow_server_is_named_and_a_pause_is_kept():
    with serve(lambda asked: Reply("late", stall=0.5)) as server, pytest.raises(Unreached, match=r"summary\.timeout"):
        ask(server.url, timeout=0.1)
    with serve(lambda asked: sentence(asked) if len(server.asked) > 1 else
               Reply(status=429, headers={"Retry-After": "1"})) as server:
        started = time.monotonic()
        assert ask(server.url, retries=1).text and time.monotonic() - started >= 1


@pytest.mark.parametrize("key", ["sk-\u2013copied", "sk-a\nb"])
def test_a_key_that_was_copied_wrongly_is_not_printed(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UserError, match="OPENAI_API_KEY has characters that no key has") as caught:
        ask("http://127.0.0.1:9/v1")
    assert "sk-" not in str(caught.value)


def test_an_address_that_is_none():
    for address in ("http://", "http://:80/v1", "http://my host/v1", "http://[::1/v1", "http://local:port/v1"):
        with pytest.raises(UserError, match=r"summary\.endpoint: .* base URL, e\.g\. http://localhost:8000/v1"):
            ask(address)
    with pytest.raises(Unreached, match=r" http://127\.0\.0\.1:9/v1/: "):  # and not the password
        ask("http://me:secret@127.0.0.1:9/v1")


@pytest.mark.parametrize("status", [302, 307])
def test_redirects(status):
    """307 repeats the question elsewhere; 302 makes a GET of it, which no server answers."""
    with serve() as there, serve(lambda asked: Reply(
            "moved", status=status, headers={"Location": f"{there.url}/chat/completions"})) as here:
        if status == 307:
            assert ask(here.url).text.startswith("Do the thing")
        else:
            with pytest.raises(UserError, match=rf"redirects to {there.url}/chat/completions; set summary\.endpoint"):
                ask(here.url)


def build(config: Config, **settings) -> dict:
    """Build a bank of a few nodes, and return its counts."""
    with pytest.warns(UserWarning, match="language model's answer"):
        build_memory(dataclasses.replace(config, summary=dataclasses.replace(config.summary, **settings)))
    return load_bank(config.bank).info["summaries"]


def texts(config: Config) -> str:
    return (config.bank / TEXTS).read_text(encoding="utf-8")


@pytest.mark.parametrize(("reply", "kind"), [
    (Reply("I'm sorry, but I can't help with that."), REFUSES), (Reply("<think>They all cut"), THINKING),
    (Reply("a person is cutting the", finish="length"), CUT), (Reply(None), EMPTY),
    (Reply("The video shows cooking."), tally.SAME),
    (Reply("Write the one sentence, of at most 20 words, that stands for all of these."), "repeats the question"),
])
def test_bad_answers_are_counted_by_kind_and_never_stored(config, reply, kind):
    with serve(lambda asked: reply) as server:
        config = asking(config, server.url, attempts=1)
        counts = build(config)
    assert set(counts["fallbacks"]) == {kind} and counts["answered"] == 0
    assert not reply.text or reply.text not in texts(config)
    assert f"fallbacks: {kind} {counts['fallbacks'][kind]}" in str(bank_stats(config.bank))
    leaves = set(load_bank(config.bank).leaves.texts)
    assert all(set(level.texts) <= leaves for level in load_bank(config.bank).levels), "captions stand in"


def test_what_is_around_an_answer_is_removed_counted_and_not_asked_about_again(config):
    def behave(asked: Asked) -> Reply:
        return Reply(f'<think>So \ud83d</think>\n\nSummary: "{sentence(asked).text}"\udc00<|im_end|>')

    with serve(behave) as server:
        config = asking(config, server.url)
        counts = build(config)
        asked = len(server.asked)
    assert asked == len(set(server.questions)) > 3
    assert counts["fallbacks"] == {} and set(counts["cleaned"]) == {
        "thinking", "label", "quotes", "special tokens", "invalid characters"}
    assert counts["cleaned"]["label"] == counts["answered"]
    assert "cleaned: label" in str(bank_stats(config.bank)) and "Summary:" not in texts(config)


def test_when_most_answers_are_unusable_the_build_stops_and_nothing_is_lost(config, monkeypatch):
    monkeypatch.setattr(tally, "FEW", 4)
    with serve(lambda asked: Reply("I cannot assist with that request.")) as server:
        config = asking(config, server.url, concurrency=1, attempts=1)
        with pytest.raises(UserError, match=r"openai:tiny .*: 4 of 4 answers so far cannot be used \(refuses: 4\); "
                                            r"read them in .*summaries\.jsonl, .*set summary\.failures=1"):
            build_memory(config)
        assert len(server.asked) == 4
        with pytest.raises(UserError, match="4 of 4"):
            build_memory(config)
        assert len(server.asked) == 4, "the journal knows that it is pointless"
        counts = build(config, failures=1.0)
        assert len(server.asked) == len(set(server.questions)) and counts["fallbacks"][REFUSES] >= 4


def test_a_journal_of_an_earlier_version_is_read_and_its_refusals_are_not_believed(config):
    with serve() as server:
        config = asking(config, server.url)
        build_memory(config)
        before = set(server.questions)
        _replace_texts(config)
        server.asked = []
        counts = build(config)
        assert not before & set(server.questions), "only what lies above the changed sentences is asked for"
        assert len(server.asked) <= 2
    assert counts["fallbacks"] == {REFUSES: 1} and counts["cleaned"] == {"label": 1}
    assert "language model" not in texts(config).partition('"levels"')[2]


def _replace_texts(config: Config) -> None:
    """Remove the bank, and make a refusal and a labelled answer of the first two texts in its journal."""
    entries = [entry for line in (config.bank / JOURNAL).read_text().splitlines() for entry in json.loads(line)]
    for entry in entries:
        del entry["cleaned"]
    entries[0]["text"] = "As an AI language model, I cannot watch videos."
    entries[1]["text"] = f"Answer: {entries[1]['text']}"
    (config.bank / JOURNAL).write_text("".join(json.dumps([entry]) + "\n" for entry in entries))
    for name in (TEXTS, ARRAYS):
        (config.bank / name).unlink()
