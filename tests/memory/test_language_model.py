"""Summaries by a language model behind an endpoint: asked once, checked, asked again, counted; and what goes wrong."""

import dataclasses
import json
import re
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from hicm.config import Config, SummaryConfig
from hicm.errors import UserError
from hicm.files import sha256
from hicm.memory.bank import ARRAYS, TEXTS, load_bank
from hicm.memory.plan import plan_memory
from hicm.memory.summarisers.answers import Answer
from hicm.memory.summarisers.journal import JOURNAL, Entry, Journal
from hicm.memory.summarisers.language import LanguageModel, Unreached
from hicm.memory.summarisers.medoid import medoid
from hicm.memory.summarisers.node import Members
from hicm.memory.summarisers.prompt import load_prompt
from hicm.stages.build_memory import build_memory
from tests.chat_server import Asked, Reply, sentence, serve
from tests.memory_data import asking, write_config

KEY = "sk-secret-0123456789"


@pytest.fixture
def config(tmp_path, monkeypatch) -> Config:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return write_config(tmp_path)


def files(config: Config) -> tuple[str, str]:
    return sha256(config.bank / TEXTS), sha256(config.bank / ARRAYS)


def quiet_build(config: Config, overwrite: bool = False) -> dict:
    """Build, and return the counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_bank(build_memory(config, overwrite)).info["summaries"]


def test_every_node_with_different_members_is_asked_for_once(config):
    with serve() as server:
        config = asking(config, server.url)
        bank = load_bank(build_memory(config))
        asked = len(server.questions)
        assert asked == len(set(server.questions)) and server.most_at_once <= 8
        assert all(request.body["temperature"] == 0 and request.body["max_tokens"] == 100 for request in server.asked)
        assert all(request.headers["Authorization"] == f"Bearer {KEY}" for request in server.asked)
        written = sum(text.startswith("Do the thing called") for text in bank.levels[0].texts)
        assert 0 < written <= len(bank.levels[0]) and (bank.levels[0].authors == -1).sum() == written
        texts = bank.level(2).texts
        encoded = bank.level(2).embeddings[[text.startswith("Do the") for text in texts]]
        assert np.linalg.norm(encoded, axis=1) == pytest.approx(1), "the summary is embedded by the bank's encoder"
        assert bank.info["summaries"] == {"answered": asked, "quoted": sum(map(len, bank.levels)) - asked,
                                          "fallbacks": {}}
        before = files(config)
        assert build_memory(config) == config.bank and len(server.asked) == asked, "the bank is there"
        (config.bank / TEXTS).unlink()
        (config.bank / ARRAYS).unlink()
        build_memory(config)
        assert len(server.asked) == asked and files(config) == before, "the journal knows all"


def test_the_plan_counts_what_the_build_asks(config):
    with serve() as server:
        config = asking(config, server.url)
        plan = plan_memory(config)
        assert not server.asked and not (config.bank / TEXTS).exists()
        first = plan.levels[-1]
        assert (first.level, first.answered) == (1, 0) and first.tokens > 10 * first.questions
        assert "questions, about" in str(plan) and f"-> {config.bank}" in str(plan)
        build_memory(config)
        assert [row.nodes for row in plan.levels] == [len(level) for level in reversed(load_bank(config.bank).levels)]
        asked = len(server.asked)
        assert asked == plan.calls
        again = plan_memory(config)
        assert (again.calls, sum(row.answered for row in again.levels)) == (0, asked)
        assert {path.name for path in config.bank.iterdir()} == {TEXTS, ARRAYS, JOURNAL}
    assert "no language model is asked" in str(plan_memory(dataclasses.replace(
        config, memory=dataclasses.replace(config.memory, summariser="medoid"))))


def test_answers_that_break_the_rule_are_asked_for_again_and_then_the_medoid_stands_in(config):
    """A third of the nodes never answer well, a third does at the second time."""
    turns: dict[str, int] = {}

    def behave(asked: Asked) -> Reply:
        kind = sum(asked.question.encode()) % 3
        turn = turns[asked.question] = turns.get(asked.question, 0) + 1
        if kind == 2 or (kind == 1 and turn > 1):
            return sentence(asked)
        return Reply(["One sentence. Another one.", "word " * 30, "", None][(len(asked.question) + turn) % 4])

    with serve(behave) as server:
        config = asking(config, server.url)
        with pytest.warns(UserWarning, match=r"medoid stands in .* in \d+ of \d+ nodes \(.*has several sentences: \d+"):
            bank = load_bank(build_memory(config))
        counts, asked = bank.info["summaries"], len(server.asked)
        kinds = [sum(question.encode()) % 3 for question in set(server.questions)]
        assert set(counts["fallbacks"]) == {"has several sentences", "has more than 20 words", "is empty"}
        assert sum(counts["fallbacks"].values()) >= kinds.count(0) > 3, "two nodes may ask the same"
        assert counts["answered"] >= kinds.count(1) + kinds.count(2)
        assert asked == 3 * kinds.count(0) + 2 * kinds.count(1) + kinds.count(2)
        total = counts["answered"] + counts["quoted"] + sum(counts["fallbacks"].values())
        assert total == sum(map(len, bank.levels))
        talks = [request.body["messages"] for request in server.asked if len(request.body["messages"]) > 2]
        assert any("it has several sentences" in talk[-1]["content"] for talk in talks)
        assert any("it has more than 20 words" in talk[-1]["content"] for talk in talks)
        before = files(config)
        quiet_build(config, overwrite=True)
        assert len(server.asked) == asked and files(config) == before, "a broken rule is an outcome too"
    journal = [entry for line in (config.bank / JOURNAL).read_text().splitlines() for entry in json.loads(line)]
    assert {bool(entry["text"]) for entry in journal} == {True, False}
    assert all(len(entry["rejected"]) == 3 for entry in journal if entry["fallback"])


def test_a_server_that_fails_in_every_way(config):
    """Some requests stall, some get 429, 500 or nonsense, some close: tried again; a few nodes never answer."""
    tries: dict[str, int] = {}
    misery = [Reply(status=429, headers={"retry-after-ms": "5"}), Reply(status=500, headers={"retry-after-ms": "5"}),
              Reply("late", stall=1.0), Reply(body=b""), Reply(status=503, headers={"retry-after-ms": "5"})]

    def behave(asked: Asked) -> Reply:
        number = tries[asked.question] = tries.get(asked.question, 0) + 1
        kind = sum(asked.question.encode()) % 12
        if kind == 11:
            return Reply(status=400, text=f"context too long for {asked.headers['Authorization']}")
        if kind == 10:
            return Reply(body=b"<html>not json</html>")
        return misery[kind] if kind < len(misery) and number == 1 else sentence(asked)

    with serve(behave) as server:
        config = asking(config, server.url, timeout=0.5)
        counts = quiet_build(config)
        kinds = [sum(question.encode()) % 12 for question in tries]
        lost = kinds.count(10) + kinds.count(11)
        assert lost > 0 and {0, 1, 2, 3, 4} <= set(kinds), "all of it happened"
        assert counts["fallbacks"] == {"was not reached": lost}
        assert counts["answered"] == len(tries) - lost
        server.behave, asked = sentence, len(server.asked)
        quiet_build(config)
        assert len(server.asked) == asked, "a finished bank is left alone"
        assert quiet_build(config, overwrite=True)["fallbacks"] == {}
        assert len(server.asked) >= asked + lost, "what was never reached is asked for again"
    assert not [path for path in config.bank.iterdir() if KEY in path.read_bytes().decode("latin1")]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_ends_the_build_at_once_and_hides_the_key(config, status, capfd):
    with serve(lambda asked: Reply(f"Incorrect key {KEY}, no model tiny", status=status)) as server:
        with pytest.raises(UserError, match=r"openai:tiny .*refuses .*\*\*\*.*OPENAI_API_KEY") as caught:
            build_memory(asking(config, server.url, concurrency=2))
        assert len(server.asked) <= 20  # of 81: those on their way while the refusal is noticed
    assert KEY not in str(caught.value) and KEY not in "".join(capfd.readouterr())


def test_nobody_there(config):
    started = time.perf_counter()
    with pytest.raises(UserError, match=r"no answer for 10 nodes in a row \(Connection error. http://127.0.0.1:9/v1/: "
                                        r".* refused; is the server running, and is summary.endpoint right\?\); an"):
        build_memory(asking(config, "http://127.0.0.1:9/v1", retries=0))
    assert time.perf_counter() - started < 20
    with pytest.raises(UserError, match=r"summary\.endpoint: 'no url': expected a base URL, e\.g\. http://localhost"):
        build_memory(asking(config, "no url", retries=0))


def test_a_small_build_without_any_answer_is_no_bank(tmp_path, config):
    """Fewer nodes than it takes to stop at once: their medoids stood in for all answers, and nothing said why."""
    lines = [f"{verb} the {thing}" for verb in ("fry", "cut") for thing in ("onion", "egg", "fish")]
    (tmp_path / "few.txt").write_text("\n".join(lines))
    with serve(lambda asked: Reply(status=400, text="Unsupported parameter")) as server:
        config = asking(config, server.url)
        config = dataclasses.replace(config, memory=dataclasses.replace(config.memory,
                                                                        source=[str(tmp_path / "few.txt")]))
        with pytest.raises(UserError, match=r"no answer for any of \d nodes \(.*Unsupported parameter.*"
                                            r"summary\.request.*\); fix the cause and run the same command again"):
            build_memory(config)
        assert not (config.bank / TEXTS).exists()
        server.behave = lambda asked: sentence(asked) if "fry" in asked.question else Reply(status=400, text="too long")
        with pytest.warns(UserWarning, match=r"not reached \(.*too long.*\) are asked for again with --overwrite"):
            build_memory(config)


def test_a_server_that_goes_away_and_comes_back(config):
    with serve() as server:
        config = asking(config, server.url, concurrency=1, retries=0)
        server.behave = lambda asked: sentence(asked) if len(server.asked) <= 7 else Reply(status=503)
        with pytest.raises(UserError, match="no answer for 10 nodes in a row"):
            build_memory(config)
        answered = set(server.questions[:7])
        server.behave, server.asked = sentence, []
        quiet_build(config)
        assert not answered & set(server.questions) and len(set(server.questions)) == len(server.questions)


def test_concurrency_is_bounded(config):
    with serve(lambda asked: dataclasses.replace(sentence(asked), stall=0.01)) as server:
        build_memory(asking(config, server.url, concurrency=3))
        assert server.most_at_once == 3


def test_fields_of_the_request(config):
    fields = {"max_tokens": None, "max_completion_tokens": 50, "reasoning_effort": "low"}
    with serve() as server:
        sampled = asking(config, server.url, sample=True, request=fields)
        build_memory(sampled)
        body = server.asked[0].body
        assert (body["max_completion_tokens"], body["reasoning_effort"], body["temperature"], body["top_p"]) == (
            50, "low", 0.6, 0.9)
        assert "max_tokens" not in body and isinstance(body["seed"], int)
        with pytest.raises(UserError, match=r"holds another memory bank \(summariser: 'openai:tiny"):
            build_memory(asking(config, server.url))


def test_no_key_is_needed(config, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with serve() as server:
        build_memory(asking(config, server.url))
        assert server.asked


def same_texts(count: int) -> Members:
    return Members(1, 0, ("fry it",) * count, np.ones((count, 3), np.float32))


class Answers:
    """A chat that is given its answers."""

    name, workers = "answers", 1

    def __init__(self, batch: int = 4) -> None:
        self.batch, self.seen, self.seeds = batch, [], []

    def answer(self, chats, seed):
        self.seen.append([chat[1]["content"] for chat in chats])
        self.seeds.append(seed)
        return [Answer(f"answer {len(chat[1]['content'])} {len(chats)} {seed % 1000}") for chat in chats]


def writer(chat, path: Path, **settings) -> LanguageModel:
    return LanguageModel(chat, load_prompt("one-sentence-v1"), SummaryConfig(**settings), Journal(path))


def nodes(count: int) -> list[Members]:
    rng = np.random.default_rng(1)
    return [Members(1, node, tuple(f"{'very ' * node}text {i}" for i in range(3)),
                    rng.standard_normal((3, 4)).astype(np.float32)) for node in range(count)]


def test_members_that_say_the_same_are_not_asked_for(tmp_path):
    chat = Answers()
    found = writer(chat, tmp_path / "j").summarise([same_texts(3)])
    assert (found[0].text, found[0].author, chat.seen) == ("fry it", 0, [])


def test_of_too_many_members_the_central_ones_are_shown(tmp_path):
    chat = Answers()
    embeddings = np.asarray([[1, 0], [0, 1], [1, 0.1], [1, 0.2]], np.float32)
    writer(chat, tmp_path / "j", members=2).summarise([Members(1, 0, ("a1", "b2", "c3", "d4"), embeddings)])
    assert chat.seen[0][0].startswith("c3\nd4\n")


def test_questions_go_in_batches_of_like_length_that_do_not_depend_on_the_journal(tmp_path):
    """So a continued build, with whatever was answered before, gets the same seeds and the same company."""
    whole = Answers()
    expected = [summary.text for summary in writer(whole, tmp_path / "whole").summarise(nodes(10))]
    assert [len(batch) for batch in whole.seen] == [4, 4, 2]
    assert [len(text) for batch in whole.seen for text in batch] == sorted(
        (len(text) for batch in whole.seen for text in batch), reverse=True)
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    (tmp_path / "part").write_text(lines[1] + lines[2][:-20])  # the second batch, and a third that was cut off
    part = Answers()
    assert [summary.text for summary in writer(part, tmp_path / "part").summarise(nodes(10))] == expected
    assert (part.seen, part.seeds) == (whole.seen[::2], whole.seeds[::2])


def test_the_medoid_stands_in_with_its_author(tmp_path):
    class Silent(Answers):
        def answer(self, chats, seed):
            raise Unreached("no")

    node = nodes(3)[2]
    found = writer(Silent(), tmp_path / "j").summarise([node])[0]
    assert found.fallback == "was not reached" and found.author == medoid(node).author
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize(("line", "message"), [
    ("nonsense", "line 2: not an answer of a language model"), ('[{"key": "a"}]', "line 2: not an answer"),
    ('[{"key": "a", "text": ""}]', "line 2: expected a key and either a text or a fallback"), ("[1]", "line 2: not an"),
    ('[{"key": "a", "text": "b", "extra": 1}]', "line 2: not an answer"),
    ('[{"key": 1, "text": "b"}]', "line 2: expected"),
])
def test_a_journal_that_is_none(tmp_path, line, message):
    Journal(tmp_path / "j").add([Entry("k", "text")])
    with open(tmp_path / "j", "a") as stream:
        stream.write(line + "\n")
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "j")) + f", {message}"):
        Journal(tmp_path / "j")


def test_a_journal_drops_what_was_cut_off_and_grows_on(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.add([Entry("a", "eins"), Entry("b", "", "is empty", 1, 2, ("",))])
    journal.add([Entry("d", "zwei")])
    content = (tmp_path / "j").read_bytes()
    for cut in (1, 5, len(content) // 2, len(content) - 1):
        (tmp_path / "j").write_bytes(content[:cut])
        shorter = Journal(tmp_path / "j")
        assert len(shorter.known) == 2 * content[:cut].count(b"\n")
        shorter.add([Entry("c", "drei")])
        assert list(Journal(tmp_path / "j").known)[-1] == "c"
    with pytest.raises(UserError, match="cannot be written"):
        Journal(tmp_path / "j" / "k").add([Entry("a", "b")])


@pytest.mark.parametrize("spec", ["", "median", "medoid:x", "openai:", "openai", "transformers:"])
def test_no_such_summariser(config, spec):
    with pytest.raises(UserError, match=r"memory\.summariser: .*expected"):
        build_memory(dataclasses.replace(config, memory=dataclasses.replace(config.memory, summariser=spec)))
