"""Summaries by a language model: ask, check, ask again, else use the medoid.  Nothing is asked twice.

`Chat` hides how the model is reached; its answers are kept in the journal.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from hicm.config import SummaryConfig
from hicm.errors import UserError
from hicm.memory.summarisers.answers import CUT, Answer, Verdict, check_answer, printable
from hicm.memory.summarisers.journal import JOURNAL, Entry, Journal, key_of
from hicm.memory.summarisers.medoid import centrality, medoid
from hicm.memory.summarisers.node import Members, Summary
from hicm.memory.summarisers.prompt import Messages, Prompt, load_prompt
from hicm.memory.summarisers.tally import SAME, Tally
from hicm.memory.summarisers.threads import in_threads

IN_A_ROW = 10  # nodes in a row without any answer, after which the build stops
UNREACHED = "was not reached"
SPREAD = 8  # passes over the groups of questions
KEPT = 300  # characters of a rejected answer kept in the journal


class Unreached(Exception):
    """No answer came, for a reason that may be temporary."""


class Chat(Protocol):
    """A language model that continues conversations."""

    name: str  # model, revision and decoding: equal names, (nearly) equal answers
    batch: int  # questions answered together
    workers: int  # batches at once

    def answer(self, chats: Sequence[Messages], seed: int) -> list[Answer]:
        """One answer per conversation.  Raises Unreached, or UserError when it is pointless to ask on."""


@dataclass(frozen=True, eq=False)
class Question:
    """A node that needs an answer."""

    members: Members
    texts: tuple[str, ...]  # the different member texts, as many as fit a question
    key: str
    messages: Messages


class LanguageModel:
    """Summaries by a chat model under the rule "one sentence, at most ``settings.words`` words, nothing else".

    Every answer is cleaned and checked (`hicm.memory.summarisers.answers`); after ``settings.attempts`` bad ones the
    node's medoid is used, with the reason, and so it is where one sentence is given for many nodes.  Nothing is asked
    for a node whose members all say the same.  Questions of similar length are asked together; how they are grouped
    does not depend on the journal, so that a continued build gets the answers of an uninterrupted one.
    """

    def __init__(self, chat: Chat, prompt: Prompt, settings: SummaryConfig, journal: Journal) -> None:
        self.chat, self.prompt, self.settings, self.journal = chat, prompt, settings, journal
        self.name = (f"{chat.name}, prompt {prompt.label}, {settings.words} words, {settings.attempts} attempts, "
                     f"{settings.members} members")
        self._instructions = prompt.instructions(settings.words)
        self._tally = Tally()
        self.why_unreached = ""  # the last reason why a node was not reached

    def summarise(self, nodes: Sequence[Members]) -> list[Summary]:
        """One summary per node.

        Raises UserError after many nodes in a row without answer, and when more than ``settings.failures`` of the
        answers cannot be used; answers so far are kept.
        """
        questions = self.questions(nodes)
        for question in questions:
            self._count(question)
        pending = {question.key for question in questions} - self.journal.known.keys()
        if pending:
            self._refuse_failures()
            self._ask(questions, pending, nodes[0].level)
        return [self.look_up(node) for node in nodes]

    def questions(self, nodes: Sequence[Members]) -> list[Question]:
        """The questions of these nodes, each different one once, the longest first."""
        found: dict[str, Question] = {}
        for node in nodes:
            texts = self._shown(node)
            if len(texts) > 1:
                messages = self.prompt.question(texts, self.settings.words)
                question = Question(node, texts, self._key(texts), messages)
                found.setdefault(question.key, question)
        return sorted(found.values(), key=lambda question: -len(question.messages[-1]["content"]))

    def _shown(self, node: Members) -> tuple[str, ...]:
        """The different texts in tree order; if there are too many, those nearest to the mean."""
        first: dict[str, int] = {}
        for position, text in enumerate(node.texts):
            first.setdefault(text, position)
        if len(first) > self.settings.members:
            positions = np.asarray(list(first.values()))
            nearest = np.argsort(-centrality(node.embeddings)[positions], kind="stable")[:self.settings.members]
            return tuple(node.texts[position] for position in sorted(positions[nearest]))
        return tuple(first)

    def _key(self, texts: tuple[str, ...]) -> str:
        return key_of(self.name, texts)

    def _ask(self, questions: list[Question], pending: set[str], level: int) -> None:
        """Ask all pending questions and write the outcomes to the journal, except those that were not reached."""
        in_a_row, medoids = 0, 0
        groups = list(self._groups(questions, pending))
        with tqdm(total=len(questions), initial=len(questions) - len(pending), desc=f"summaries, level {level}",
                  unit="node", smoothing=0.05) as bar:
            answered = in_threads(self._settle_and_record, groups, self.chat.workers)
            for done, (group, outcome) in enumerate(answered, start=1):
                if isinstance(outcome, Unreached):
                    self.why_unreached = str(outcome)
                    in_a_row += len(group)
                    medoids += len(group)
                    for question in group:
                        self._tally.add(question.key, Verdict("", UNREACHED), ())
                    if in_a_row >= IN_A_ROW:
                        raise UserError(f"memory.summariser: {self.chat.name}: no answer for {in_a_row} nodes in a row "
                                        f"({outcome}); answers so far are kept: fix the cause and run the same "
                                        "command again")
                elif isinstance(outcome, Exception):
                    raise outcome
                else:
                    in_a_row = 0
                    medoids += sum(bool(entry.fallback) for entry in outcome)
                    for question in group:
                        self._count(question)
                if done < len(groups):  # afterwards nothing is saved by stopping
                    self._refuse_failures()
                bar.update(len(group))
                if medoids:
                    bar.set_postfix(medoids=medoids)

    def _count(self, question: Question) -> None:
        if (entry := self.journal.known.get(question.key)) is not None:
            self._tally.add(question.key, self._read(entry, question.texts), question.texts)

    def _refuse_failures(self) -> None:
        if found := self._tally.too_many(self.settings.failures):
            tokens = f", or raise summary.max_tokens ({self.settings.max_tokens})" if CUT in found else ""
            raise UserError(f"memory.summariser: {self.chat.name}: {found}; read them in {self.journal.path}, use "
                            f"another model or prompt{tokens}; to keep medoids in their place, set summary.failures=1")

    def _groups(self, questions: list[Question], pending: set[str]) -> Iterator[list[Question]]:
        """Every eighth group first, and so on: what the first answers show holds for long and short questions."""
        starts = range(0, len(questions), self.chat.batch)
        for start in (start for first in range(SPREAD) for start in starts[first::SPREAD]):
            if group := [q for q in questions[start:start + self.chat.batch] if q.key in pending]:
                yield group

    def _settle_and_record(self, group: list[Question]) -> list[Entry]:
        """Write the outcomes down before the next question is asked: a kill loses only requests in flight."""
        entries = self._settle(group)
        self.journal.add(entries)
        return entries

    def _settle(self, group: list[Question]) -> list[Entry]:
        """The outcomes of questions that are asked together, each repeated until its answer keeps the rule."""
        verdicts: dict[str, Verdict] = {}
        chats = {question.key: question.messages for question in group}
        rejected: dict[str, list[str]] = {question.key: [] for question in group}
        for attempt in range(self.settings.attempts):
            asked = [question for question in group if question.key not in verdicts or verdicts[question.key].problem]
            if not asked:
                break
            keys = [question.key for question in asked]
            answers = self.chat.answer([chats[key] for key in keys], self._seed(keys, attempt))
            for question, answer in zip(asked, answers, strict=True):
                key, said = question.key, printable(answer.text)
                verdict = verdicts[key] = self._check(answer, question)
                if verdict.problem:
                    rejected[key].append(said[:KEPT])
                    chats[key] = self.prompt.repeat(chats[key], said, verdict.problem, self.settings.words)
        return [Entry(q.key, verdicts[q.key].text, verdicts[q.key].problem, q.members.level, q.members.node,
                      tuple(rejected[q.key]), verdicts[q.key].cleaned if verdicts[q.key].text else ()) for q in group]

    def _check(self, answer: Answer, question: Question) -> Verdict:
        """The verdict on an answer, without the question where the model begins by repeating all of it."""
        _, repeated, rest = answer.text.rpartition(question.messages[-1]["content"])
        verdict = check_answer(Answer(rest, answer.problem), self.settings.words, self._instructions, question.texts)
        return dataclasses.replace(verdict, cleaned=("question", *verdict.cleaned)) if repeated else verdict

    def _read(self, entry: Entry, texts: tuple[str, ...]) -> Verdict:
        """The verdict on an outcome in the journal, which may have been written under an earlier, laxer rule."""
        if not entry.text:
            return Verdict("", entry.fallback)
        verdict = check_answer(Answer(entry.text), self.settings.words, self._instructions, texts)
        return dataclasses.replace(verdict, cleaned=tuple(dict.fromkeys((*entry.cleaned, *verdict.cleaned))))

    def _seed(self, keys: list[str], attempt: int) -> int:
        """A seed that depends on what is asked, not on when."""
        text = f"{self.settings.seed} {attempt} {' '.join(keys)}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1

    def look_up(self, node: Members) -> Summary:
        """The summary of a node from the journal; the medoid where the journal has none."""
        texts = self._shown(node)
        if len(texts) == 1:
            return Summary(node.texts[0], node.embeddings[0], 0)
        entry = self.journal.known.get(self._key(texts))
        verdict = Verdict("", UNREACHED) if entry is None else self._read(entry, texts)
        if verdict.text and self._tally.is_everywhere(verdict.text, texts):
            verdict = Verdict("", SAME)
        if verdict.problem:
            return dataclasses.replace(medoid(node), fallback=verdict.problem)
        return Summary(verdict.text, cleaned=verdict.cleaned)


def open_language_model(chat: Chat, settings: SummaryConfig, folder: Path) -> LanguageModel:
    """Summaries by ``chat`` with the prompt named in the settings; continues the journal in ``folder``.

    Raises UserError when the prompt or the journal cannot be read.
    """
    return LanguageModel(chat, load_prompt(settings.prompt), settings, Journal(folder / JOURNAL))
