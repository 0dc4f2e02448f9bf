"""Java as a dependency like any other: absent, too old, failing, silent, each with its reason and never a hang."""

import importlib.util
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from hicm.dvc_eval import evaluate
from hicm.dvc_eval.crosscheck import differences_from_java
from hicm.dvc_eval.words.java import Unavailable, find_jar, find_java, run
from hicm.dvc_eval.words.meteor import CHUNKS, JarMeteor, total
from hicm.dvc_eval.words.tokenise import JarTokeniser
from hicm.errors import UserError

REFERENCE = {"a": {"timestamps": [[0, 10], [10, 20]], "sentences": ["add the salt", "stir the hot pot"]}}
PLAIN = {"a": [{"sentence": "add the salt", "timestamp": [0, 9]}, {"sentence": "stir it", "timestamp": [10, 20]}]}
HARD = {"a": [{"sentence": "add (some) salt", "timestamp": [0, 9]}, {"sentence": "stir it", "timestamp": [10, 20]}]}
TEXT = {"METEOR", "CIDEr", "Rouge-L", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "soda_c"}
VERSION = "if [ \"$1\" = -version ]; then echo 'openjdk version \"17.0.1\"' >&2; exit 0; fi"


def fake_java(folder: Path, *lines: str) -> Path:
    """A program called java that runs these shell lines."""
    folder.mkdir(exist_ok=True)
    path = folder / "java"
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)
    return path


def test_without_java_everything_is_computed(no_java: Path) -> None:
    for predictions in (PLAIN, HARD):
        result = evaluate(predictions, REFERENCE)
        assert not result.left_out and set(result.scores) >= TEXT
        assert "tok:ptb3.4.1-native|meteor:1.5-native" in result.signature


def test_the_cross_check_says_that_it_needs_java(no_java: Path) -> None:
    with pytest.raises(UserError, match="--check-with-java: no java on the path and none in JAVA_HOME"):
        differences_from_java(evaluate(PLAIN, REFERENCE), PLAIN, REFERENCE)


@pytest.mark.java
def test_the_cross_check_finds_no_difference() -> None:
    found = differences_from_java(evaluate(HARD, REFERENCE), HARD, REFERENCE)
    assert set(found) >= TEXT and max(found.values()) < 1e-12


def test_java_is_not_started_without_need(no_java: Path) -> None:
    fake_java(no_java, f"echo x >> {no_java}/started", "exit 1")
    result = evaluate(HARD, REFERENCE)
    assert not result.left_out
    assert not (no_java / "started").exists()


@pytest.mark.parametrize(("lines", "message"), [
    (["echo 'java version \"1.7.0_80\"' >&2"], r"bin/java is Java 7; install Java 8 or newer"),
    (["echo 'cannot open shared object' >&2", "exit 127"], r"fails at -version \(cannot open shared object\)"),
    (["echo hello"], "does not print its version"),
])
def test_unusable_java(no_java: Path, lines: list[str], message: str) -> None:
    fake_java(no_java, *lines)
    with pytest.raises(Unavailable, match=message):
        find_java()


def test_java_home_when_the_path_has_none(no_java: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    wanted = fake_java(tmp_path / "home" / "bin", "echo 'java version \"1.8.0_392\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java() == str(wanted)
    fake_java(no_java, "exit 3")  # the one on the path does not work
    assert find_java() == str(wanted)


def test_meteor_that_dies_tells_why(no_java: Path) -> None:
    fake_java(no_java, VERSION, "echo 'Could not reserve enough space for object heap' >&2", "exit 1")
    with JarMeteor() as meteor:
        result = evaluate(PLAIN, REFERENCE, meteor=meteor)
    assert set(result.left_out.values()) == {
        "METEOR (Java) ended with status 1: Could not reserve enough space for object heap"}
    assert result.scores["CIDEr"] > 0


def test_meteor_that_dies_in_between(no_java: Path) -> None:
    fake_java(no_java, VERSION, "read line", "echo 1.0", "exit 4")
    with JarMeteor() as meteor, pytest.raises(Unavailable, match="ended with status 4: no reason given"):
        meteor.score(np.ones((250, 23)))


def test_meteor_that_is_silent_is_stopped(no_java: Path) -> None:
    fake_java(no_java, VERSION, "exec /bin/sleep 600")
    started = time.monotonic()
    with JarMeteor(patience=0.3) as meteor, pytest.raises(Unavailable, match="no answer for 0 s and was stopped"):
        meteor.statistics([("add salt", "add salt")] * 50_000)  # more than a pipe holds
    assert time.monotonic() - started < 30
    assert meteor._process.poll() is not None


def test_meteor_that_answers_nonsense(no_java: Path) -> None:
    fake_java(no_java, VERSION, "while read line; do echo 'Error: specify SCORE or EVAL'; done")
    with JarMeteor() as meteor, pytest.raises(Unavailable, match=r"answered 'Error: specify .*expected 23 numbers"):
        meteor.statistics([("add salt", "add salt")])


def test_meteor_ends_with_its_block(no_java: Path) -> None:
    fake_java(no_java, VERSION, "exec /bin/sleep 600")
    with pytest.raises(ZeroDivisionError), JarMeteor() as meteor:
        1 / 0  # noqa: B018
    assert meteor._process.poll() is not None


def test_process_that_is_silent_is_stopped(no_java: Path) -> None:
    fake_java(no_java, VERSION, "exec /bin/sleep 600")
    with pytest.raises(Unavailable, match=r"the thing .Java. gave no answer within 0 s"):
        run([], "text", timeout=0.3, what="the thing")


@pytest.mark.parametrize(("line", "message"), [
    ("echo 'no such class' >&2; exit 1", "PTB tokeniser .Java. failed with status 1: no such class"),
    ("echo one line", "gave 2 lines for 4 captions"),
])
def test_tokeniser_that_fails(no_java: Path, line: str, message: str) -> None:
    fake_java(no_java, VERSION, line)
    with pytest.raises(Unavailable, match=message):
        JarTokeniser().tokenise(["a", "b", "c", "d"])
    assert set(evaluate(HARD, REFERENCE, tokeniser=JarTokeniser()).left_out) == TEXT


def test_without_pycocoevalcap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=r"pycocoevalcap/x\.jar is not installed; pip install pycocoevalcap"):
        find_jar("x.jar")


def test_sum_of_statistics() -> None:
    """A pair matched completely in one chunk adds no chunk to the sum; any other does."""
    whole = np.zeros(23)
    whole[[0, 1, 2, 3, 4, 5, 6, 7, CHUNKS, 21, 22]] = [5, 5, 2, 2, 3, 3, 2, 2, 1, 5, 5]
    part = whole.copy()
    part[0] = 6  # a word more
    sums = total(np.stack([whole, part, whole]), np.array([0, 0, 2]), 3)
    assert sums[0].tolist() == [*(whole + part)[:CHUNKS], 1, 10, 10]
    assert sums[1].tolist() == [0] * 23
    assert sums[2, CHUNKS] == 0


@pytest.mark.java
def test_aggregate_and_segments() -> None:
    """Measured with pycocoevalcap: segments 0.8 and 0.0, aggregate 0.43097643097643096; empty sides score 0."""
    with JarMeteor() as meteor:
        pairs = [("a man was here", "a man is here"), ("cats run", "the dog runs"), ("", "a man"), ("a man", ""),
                 ("", "")]
        statistics = meteor.statistics(pairs)
        assert meteor.score(statistics) == pytest.approx([0.8, 0, 0, 0, 0], abs=1e-12)
        aggregate = meteor.score(total(statistics[:2], np.zeros(2, dtype=int), 1))
        assert aggregate == pytest.approx([0.43097643097643096], abs=1e-12)
        assert meteor.statistics([]).shape == (0, 23)
        assert meteor.score(np.zeros((0, 23))).shape == (0,)


@pytest.mark.java
def test_another_locale_changes_nothing(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=tr")
    assert JarTokeniser().tokenise(["add 1 1/2 CUPS IN IT"]) == ["add 1\u00a01/2 cups in it"]
    with JarMeteor() as meteor:
        result = evaluate(HARD, REFERENCE, tokeniser=JarTokeniser(), meteor=meteor)
    assert not result.left_out
    assert capsys.readouterr().out == ""
    assert json.dumps(result.to_json())


def test_find_java_here() -> None:
    """Whatever this machine has: a path that exists, or a reason."""
    try:
        assert os.access(find_java(), os.X_OK)
    except Unavailable as reason:
        assert "install Java 8 or newer" in str(reason)
