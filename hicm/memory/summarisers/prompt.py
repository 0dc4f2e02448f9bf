"""The question for a language model, and the rule for its answer: one sentence, few words, nothing else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hicm.config import digest
from hicm.errors import UserError
from hicm.files import require
from hicm.strict import build, read_yaml

FOLDER = Path(__file__).parent.parent / "prompts"
Messages = list[dict[str, str]]  # [{"role": "system" | "user" | "assistant", "content": text}, ...]

_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_QUOTES = (('"', '"'), ("'", "'"), ("\u201c", "\u201d"), ("\u2018", "\u2019"), ("\u00ab", "\u00bb"), ("`", "`"),
           ("**", "**"))
_PREAMBLE = re.compile(r"(here('s| is| are)|sure|certainly|of course|okay|summary|(the )?sentence)\b[^.]*:",
                       re.IGNORECASE)
_LIST = re.compile(r"([-*\u2022]|\d+[.)])\s")
# the first letter after the end of a sentence
_NEXT = re.compile(r"[.!?][\"')\]\u201d\u2019]*\s+[\"'(\[\u201c\u2018]*(\w)|[\u3002\uff01\uff1f]\s*(\w)")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")  # scripts without spaces


@dataclass(frozen=True)
class Prompt:
    """A named, versioned question.  ``{words}``, ``{texts}`` and ``{problem}`` are filled in."""

    name: str = ""
    system: str = ""  # empty: no system message
    user: str = ""
    again: str = ""

    @property
    def label(self) -> str:
        """Name and hash of the wording."""
        return f"{self.name}@{digest([self.system, self.user, self.again])}"

    def question(self, texts: Sequence[str], words: int) -> Messages:
        """The messages that ask for a summary of ``texts``, one text per line."""
        lines = "\n".join(" ".join(text.split()) for text in texts)
        system = [{"role": "system", "content": self.system.format(words=words)}] if self.system else []
        return [*system, {"role": "user", "content": self.user.format(texts=lines, words=words)}]

    def repeat(self, messages: Messages, answer: str, problem: str, words: int) -> Messages:
        """The conversation, continued after an answer that breaks the rule."""
        if not answer.strip():
            return messages  # some servers reject an empty turn
        return [*messages, {"role": "assistant", "content": answer},
                {"role": "user", "content": self.again.format(problem=problem, words=words)}]


def load_prompt(name: str) -> Prompt:
    """The prompt of that name, or in that yaml file.  Raises UserError when there is none or a part is missing."""
    path = FOLDER / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")):
        path = require(name, "prompt", "correct summary.prompt")
    elif not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise UserError(f"summary.prompt: no prompt {name!r}; expected one of {known}, or a .yaml file")
    prompt = build(Prompt, read_yaml(path) or {}, str(path))
    if not prompt.name or "{texts}" not in prompt.user or not prompt.again:
        raise UserError(f"{path}: a prompt needs name, user (with {{texts}} in it) and again; see {FOLDER.name}/"
                        "one-sentence-v1.yaml")
    try:
        prompt.repeat(prompt.question(["text"], 1), "answer", "problem", 1)
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"{path}: only {{words}}, {{texts}} and {{problem}} can be filled in ({error}); double all "
                        "other braces") from error
    return prompt


def check_answer(answer: str, words: int) -> tuple[str, str]:
    """(the sentence, "") for an answer that keeps the rule, else ("", what is wrong with it).

    Surrounding spaces, one pair of quotation marks and the ``<think>`` part of a reasoning model are ignored.  Words
    are separated by spaces; in scripts without spaces, two characters count as one word.
    """
    text = _THOUGHT.sub("", answer).strip()
    for opening, closing in _QUOTES:
        inner = text[len(opening):len(text) - len(closing)]
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) and opening not in inner:
            text = inner.strip()
    if not any(map(str.isalnum, text)):
        return "", "is empty"
    if "\n" in text:
        return "", "has several lines"
    if text.startswith("<think>") or _PREAMBLE.match(text) or _LIST.match(text):
        return "", "is not a sentence alone"
    if any((first := "".join(match.groups(""))).isalpha() and not first.islower() for match in _NEXT.finditer(text)):
        return "", "has several sentences"
    if count_words(text) > words:
        return "", f"has more than {words} words"
    return text, ""


def count_words(text: str) -> int:
    """The number of words; two characters of a script without spaces count as one."""
    unspaced = len(_UNSPACED.findall(text))
    return sum(any(map(str.isalnum, word)) for word in _UNSPACED.sub(" ", text).split()) + (unspaced + 1) // 2
