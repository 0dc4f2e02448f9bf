"""A build that is killed -9, again and again: it goes on where it was, and nobody is asked twice."""

import dataclasses
import random
import signal
import time

from hicm.config import Config
from hicm.files import sha256
from hicm.memory.bank import ARRAYS, TEXTS
from hicm.memory.summarisers.journal import JOURNAL, Journal
from hicm.stages.build_memory import build_memory
from tests.chat_server import sentence, serve
from tests.memory_data import asking, write_config
from tests.processes import start

KILLS, WORKERS = 10, 3


def bank_of(config: Config) -> tuple[str, str]:
    return sha256(config.bank / TEXTS), sha256(config.bank / ARRAYS)


def test_ten_kills(tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    config = write_config(tmp_path, videos=40)
    with serve() as server:
        elsewhere = dataclasses.replace(config.memory, path=str(tmp_path / "whole"))
        whole = asking(dataclasses.replace(config, memory=elsewhere), server.url)
        build_memory(whole)
        questions = set(server.questions)
        assert len(questions) == len(server.questions) > 4 * KILLS

        chance = random.Random(0)
        config = asking(config, server.url, concurrency=WORKERS)
        server.asked, server.behave = [], lambda asked: dataclasses.replace(sentence(asked), stall=0.03)
        journal, in_flight, torn = config.bank / JOURNAL, 0, 0
        for _ in range(KILLS):
            before = len(server.asked)
            process = start(build_memory, config)
            wanted = before + chance.randint(1, len(questions) // (KILLS + 2))
            until = time.monotonic() + 60
            while len(server.asked) < wanted and process.is_alive() and time.monotonic() < until:
                time.sleep(0.0005)
            time.sleep(chance.random() * 0.01)
            process.kill()
            process.join()
            assert process.exitcode == -signal.SIGKILL, "it was killed before it was done"
            time.sleep(0.05)  # requests that are on their way arrive
            if journal.exists() and chance.random() < 0.5:  # as a crash of the machine may leave it
                journal.write_bytes(journal.read_bytes()[:-chance.randint(1, 20)])
                torn += 1
            known = Journal(journal).known if journal.exists() else {}
            in_flight = len(server.asked) - len(known)
        assert torn > 2
        kept = {entry.text for entry in Journal(journal).known.values()}
        asked_before_the_last = len(server.asked)
        build_memory(config)
        last = [sentence(asked).text for asked in server.asked[asked_before_the_last:]]
        assert not kept & set(last), "what is in the journal is never asked for"
        assert len(last) == len(set(last)) == len(questions) - len(kept)
        assert set(server.questions) == questions
        assert in_flight <= KILLS * WORKERS + torn, "only what was on its way when the kill came is asked for again"
        assert len(server.asked) - len(questions) <= KILLS * WORKERS + torn
    assert bank_of(config) == bank_of(whole)
