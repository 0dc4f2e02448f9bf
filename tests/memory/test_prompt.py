"""The rule for answers, and the files that questions come from."""

import pytest

from hicm.errors import UserError
from hicm.memory.summarisers.prompt import Prompt, check_answer, count_words, load_prompt

UNSPACED = "\u6d0b\u8471\u3092\u5207\u308b\u3002"
KEPT = ["Chop an onion.", "Add approx. two tbsp. of oil", "Bake at 180 deg. for 1.5 h", " ".join(["word"] * 20),
        UNSPACED, '"Salt" and "pepper"', "Add salt, then: stir", "Summarise the steps of a cake",
        "Sure hands knead the dough"]
TRIMMED = ["  Chop it.\n", "<think>\nwell, well.\n</think>\n\nChop it.",
           '"Chop it."', "\u201cChop it.\u201d", "**Chop it.**"]
GOOD = [*((text, text) for text in KEPT), *((text, "Chop it.") for text in TRIMMED)]
BAD = [
    *((answer, "is empty") for answer in ("", " \n ", '""', "...", "<think>a</think>")),
    ("Chop.\nFry.", "has several lines"),
    *((answer, "has several sentences") for answer in (
        "Chop it. Fry it.", 'He said "chop." Then he fried.', UNSPACED * 2, "Режь лук. Жарь его.")),
    *((answer, "is not a sentence alone") for answer in (
        "Here is the summary: chop it", "Sure! Here's the sentence: chop", "Summary: chop it", "- chop it",
        "1. chop it", "<think> I wonder")),
    ("word " * 21, "has more than 20 words"), ("\u5207" * 41, "has more than 20 words"),
]


@pytest.mark.parametrize(("answer", "text"), GOOD)
def test_answers_that_keep_the_rule(answer, text):
    assert check_answer(answer, 20) == (text, "")


@pytest.mark.parametrize(("answer", "problem"), BAD)
def test_answers_that_break_it(answer, problem):
    assert check_answer(answer, 20) == ("", problem)


def test_words():
    texts = ("", "a", "a - b", "don't stop", "\u5207\u308b", "salt \u5207\u308b\u5207")
    assert [count_words(text) for text in texts] == [0, 1, 2, 2, 1, 3]


def test_a_question_holds_rule_and_texts_one_a_line():
    prompt = load_prompt("one-sentence-v1")
    system, user = prompt.question(["cut {it}", "cut\n  that"], 12)
    assert (system["role"], user["role"]) == ("system", "user")
    assert "at most 12 words" in system["content"] and user["content"].startswith("cut {it}\ncut that\n")
    again = prompt.repeat([system, user], "One. Two.", "has several sentences", 12)
    assert [message["role"] for message in again] == ["system", "user", "assistant", "user"]
    assert "it has several sentences" in again[-1]["content"]
    assert prompt.repeat([system, user], " ", "is empty", 12) == [system, user]


def test_the_label_changes_with_the_wording():
    prompt = Prompt("mine", "", "{texts}", "again")
    others = {Prompt("mine", "x", "{texts}", "again").label, Prompt("your", "", "{texts}", "again").label}
    assert len({prompt.label, *others}) == 3
    assert [message["role"] for message in prompt.question(["a"], 5)] == ["user"]


@pytest.mark.parametrize(("content", "message"), [
    (None, "prompt not found; correct summary.prompt"), ("", "needs name, user"),
    ("name: x\nuser: no texts\nagain: a\n", "needs name, user"),
    ("name: x\nuser: '{texts} {other}'\nagain: a\n", r"only \{words\}, \{texts\} and \{problem\} can be filled in"),
    ("name: x\nuser: '{texts} {'\nagain: a\n", "can be filled in"),
    ("nam: x\n", "unknown setting nam; the nearest known one is name"),
])
def test_prompt_files_that_cannot_be_used(tmp_path, content, message):
    if content is not None:
        (tmp_path / "p.yaml").write_text(content)
    with pytest.raises(UserError, match=message):
        load_prompt(str(tmp_path / "p.yaml"))
    with pytest.raises(UserError, match="no prompt 'one'; expected one of one-sentence-v1"):
        load_prompt("one")
