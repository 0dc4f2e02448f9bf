"""Captions by a language model from recalled captions: ask, check, ask again, else keep the recalled caption.

The model is given texts and event numbers, neither frames nor times.  Answers are stored as they arrive; no question is
sent twice.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hicm.config import digest
from hicm.errors import UserError
from hicm.locks import holding
from hicm.memory.summarisers.answers import REFUSES, Answer, Verdict, check_answer, printable
from hicm.memory.summarisers.journal import Entry, Journal, key_of
from hicm.memory.summarisers.language import KEPT, UNREACHED, Unreached
from hicm.memory.summarisers.openai import Names, OpenAIChat
from hicm.memory.summarisers.prompt import Prompt, load_prompt
from hicm.memory.summarisers.refusals import REFUSAL
from hicm.memory.summarisers.threads import in_threads
from hicm.systems.recall.answer import sentences_in
from hicm.systems.recall.settings import Settings, WritingSettings

CAPTIONS = "captions.jsonl"  # beside the memory bank
PROMPTS = Path(__file__).parent / "prompts"
WRITTEN, RECALLED = "written", "recalled"  # where captions come from
ABSENT, UNKNOWN_NUMBERS = "has no sentence", "sentences for other numbers"
MAX_UNREACHED = 3  # videos in a row without any answer, after which the prediction stops
MIN_CAPTIONS = 50  # captions before their failure rate is checked
NAMES = Names("recall.writer", "recall.writing", "texts")


@dataclass(frozen=True)
class Recollection:
    """The captions that one video recalls, for all of it and for each of its events, in order of time."""

    video: str
    whole: tuple[str, ...]
    events: tuple[tuple[str, ...], ...]


class Writer:
    """A chat model with a prompt, and its answers so far."""

    def __init__(self, chat: OpenAIChat, prompt: Prompt, settings: WritingSettings, journal: Journal) -> None:
        self.chat, self.prompt, self.settings, self.journal = chat, prompt, settings, journal
        self.name = f"{chat.name}, prompt {prompt.label}, {settings.words} words, {settings.attempts} attempts"
        self._instructions = prompt.instructions(settings.words)
        self._unreached, self._reached = 0, False
        self._outcomes = Counter[str]()  # problem of each caption so far, "" for none

    @property
    def about(self) -> dict[str, Any]:
        """The model, the host of its endpoint and the prompt, for what is written."""
        return {"model": self.chat.model, "host": self.chat.host, "prompt": self.prompt.label}

    def write(self, recollections: Sequence[Recollection]) -> Iterator[tuple[Recollection, list[Verdict]]]:
        """The sentence for every event of every video, or (no text) what is wrong with it; in order of arrival.

        Raises UserError when the endpoint refuses or is not reached, or most of its captions cannot be used; answers so
        far are kept.
        """
        with holding(self.journal.path.with_name(f".{self.journal.path.name}.lock"), "another prediction"):
            for one, found in in_threads(self._write, recollections, self.chat.workers):
                if isinstance(found, Unreached):
                    self._stop_if_unreachable(found)
                    found = [Verdict("", UNREACHED)] * len(one.events)
                elif isinstance(found, Exception):
                    raise found
                else:
                    self._unreached, self._reached = 0, True
                self._outcomes.update(verdict.problem for verdict in found)
                self._stop_if_mostly_unusable()
                yield one, found

    def _stop_if_unreachable(self, error: Unreached) -> None:
        self._unreached += 1
        if self._unreached >= MAX_UNREACHED or not self._reached:
            raise UserError(f"recall.writer: {self.chat.name}: no answer for {self._unreached} "
                            f"video{'s in a row' * (self._unreached > 1)} ({error}); answers so far are kept: fix the "
                            "cause and run the same command again")

    def _stop_if_mostly_unusable(self) -> None:
        kinds = {problem: count for problem, count in self._outcomes.most_common() if problem}
        failed, total = sum(kinds.values()), self._outcomes.total()
        if total >= MIN_CAPTIONS and failed > self.settings.failures * total:
            raise UserError(f"recall.writer: {self.chat.name}: {failed} of {total} captions so far cannot be used "
                            f"({', '.join(f'{kind}: {count}' for kind, count in kinds.items())}); read them in "
                            f"{self.journal.path}, use another model or prompt, or raise recall.writing.max_tokens; to "
                            "keep recalled captions in their place, set recall.writing.failures=1")

    def _write(self, recollection: Recollection) -> list[Verdict]:
        """The outcome for every event of a video.  Raises Unreached."""
        found: list[Verdict] = []
        numbers = range(1, len(recollection.events) + 1)
        for start in range(0, len(numbers), self.settings.events):
            part = numbers[start:start + self.settings.events]
            lines = [_line(video=recollection.whole)]
            lines += [_line(event=number, captions=recollection.events[number - 1]) for number in part]
            keys = [key_of(self.name, lines, number) for number in part]
            if not all(key in self.journal.known for key in keys):
                self.journal.add(self._ask(lines, dict(zip(part, keys, strict=True))))
            found += [self._read(self.journal.known[key]) for key in keys]
        return found

    def _ask(self, lines: list[str], keys: dict[int, str]) -> list[Entry]:
        """Ask one question, and again for events whose sentence cannot be used."""
        verdicts = {number: Verdict("", ABSENT) for number in keys}
        messages, rejected = self.prompt.question(lines, self.settings.words), []
        others = False
        for attempt in range(self.settings.attempts):
            pending = [number for number in keys if not verdicts[number].text]
            if not pending:
                break
            [answer] = self.chat.answer([messages], self._seed(lines, attempt))
            text = printable(answer.text)
            found = sentences_in(text, pending)
            others |= not keys.keys() >= found.keys()
            verdicts |= {number: self._check(answer, text, found.get(number)) for number in pending}
            problems = [f"{number} ({verdicts[number].problem})" for number in pending if verdicts[number].problem]
            if problems:
                rejected.append(text[:KEPT])
                wrong = f"is wrong for {', '.join(problems)}"
                messages = self.prompt.repeat(messages, text, wrong, self.settings.words)
        return [Entry(keys[number], verdict.text, verdict.problem, node=number, rejected=tuple(rejected),
                      cleaned=(*verdict.cleaned, *([UNKNOWN_NUMBERS] if others and number == min(keys) else [])))
                for number, verdict in verdicts.items()]

    def _check(self, answer: Answer, text: str, sentence: str | None) -> Verdict:
        if sentence is None:
            return Verdict("", answer.problem or (REFUSES if REFUSAL.search(text) else ABSENT))
        return check_answer(Answer(sentence), self.settings.words, self._instructions)

    def _read(self, entry: Entry) -> Verdict:
        return Verdict(entry.text, entry.fallback, entry.cleaned)

    def _seed(self, lines: list[str], attempt: int) -> int:
        """A seed that depends on what is asked, not on when."""
        text = f"{self.settings.seed} {attempt} {digest(lines, 32)}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def open_writer(settings: Settings, bank: Path) -> Writer | None:
    """The writer that the settings name, which continues the answers beside ``bank``; None: recalled captions are used.

    Raises UserError when the prompt or the answers so far cannot be read.
    """
    if not settings.writer:
        return None
    chat = OpenAIChat(settings.writer.partition(":")[2], settings.writing, NAMES)
    prompt = load_prompt(settings.writing.prompt, PROMPTS, "recall.writing.prompt")
    return Writer(chat, prompt, settings.writing, Journal(bank.parent / CAPTIONS))


def count(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """The number of captions of a video by kind."""
    found = Counter(f"{RECALLED}: {one.problem}" if one.problem else WRITTEN for one in verdicts)
    found.update(f"cleaned: {kind}" for one in verdicts for kind in one.cleaned)
    return dict(found)


def _line(**content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)
