"""The files that questions come from."""

import pytest

from hicm.errors import UserError
from hicm.memory.summarisers.prompt import LONG, Prompt, load_prompt


def test_a_question_holds_rule_and_texts_one_a_line():
    prompt = load_prompt("one-sentence-v1")
    system, user = prompt.question(["cut {it}", "cut\n  that"], 12)
    assert (system["role"], user["role"]) == ("system", "user")
    assert "at most 12 words" in system["content"] and user["content"].startswith("cut {it}\ncut that\n")
    again = prompt.repeat([system, user], "One. Two.", "has several sentences", 12)
    assert [message["role"] for message in again] == ["system", "user", "assistant", "user"]
    assert "it has several sentences" in again[-1]["content"]
    assert prompt.repeat([system, user], " ", "is empty", 12) == [system, user]
    assert len(prompt.repeat([system, user], "x" * 9999, "is long", 12)[-2]["content"]) == LONG


def test_the_instructions_are_the_clauses_of_the_wording():
    found = load_prompt("one-sentence-v1").instructions(12)
    assert "Write the one sentence, of at most 12 words, that stands for all of these" in found
    assert "Use at most 12 words" in found and "no list" not in found


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
