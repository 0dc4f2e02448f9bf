"""The question for a language model: files with the wording, filled in with the texts of a node."""

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

LONG = 2000  # characters of a rejected answer that are sent back: longer ones would fill the model's context
_CLAUSE = 5  # words, the fewest by which an instruction is recognised


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

    def instructions(self, words: int) -> tuple[str, ...]:
        """The clauses of the wording without the texts, by which an answer that repeats it is recognised."""
        said = "\n".join([self.system.format(words=words), self.user.format(texts="\n", words=words),
                          self.again.format(problem="\n", words=words)])
        clauses = (" ".join(clause.split()) for clause in re.split(r"[.:!?;\n]+", said))
        return tuple(clause for clause in clauses if clause.count(" ") >= _CLAUSE - 1)

    def repeat(self, messages: Messages, answer: str, problem: str, words: int) -> Messages:
        """The conversation, continued after an answer that breaks the rule."""
        if not answer.strip():
            return messages  # some servers reject an empty turn
        return [*messages, {"role": "assistant", "content": answer[:LONG]},
                {"role": "user", "content": self.again.format(problem=problem, words=words)}]


def load_prompt(name: str, folder: Path = FOLDER, setting: str = "summary.prompt") -> Prompt:
    """The prompt of that name in ``folder``, or in that yaml file; ``setting`` is what named it.

    Raises UserError when there is none or a part is missing.
    """
    path = folder / f"{name}.yaml"
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    if name.endswith((".yaml", ".yml")):
        path = require(name, "prompt", f"correct {setting}")
    elif not path.is_file():
        raise UserError(f"{setting}: no prompt {name!r}; expected one of {', '.join(known)}, or a .yaml file")
    prompt = build(Prompt, read_yaml(path) or {}, str(path))
    if not prompt.name or "{texts}" not in prompt.user or not prompt.again:
        raise UserError(f"{path}: a prompt needs name, user (with {{texts}} in it) and again; see {folder.name}/"
                        f"{known[-1]}.yaml")
    try:
        prompt.repeat(prompt.question(["text"], 1), "answer", "problem", 1)
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"{path}: only {{words}}, {{texts}} and {{problem}} can be filled in ({error}); double all "
                        "other braces") from error
    return prompt
