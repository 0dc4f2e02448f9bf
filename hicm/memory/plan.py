"""What a build would do: nodes per level, questions to a language model, tokens.  Nothing is asked."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from hicm.config import Config
from hicm.encoders import make_encoder
from hicm.memory.bank import TEXTS
from hicm.memory.captions import read_captions
from hicm.memory.encoding import check_encoder
from hicm.memory.summarise import summarise_tree
from hicm.memory.summarisers import make_summariser
from hicm.memory.summarisers.language import LanguageModel
from hicm.memory.summarisers.medoid import medoid
from hicm.memory.summarisers.node import Members, Summariser, Summary
from hicm.memory.tree import build_tree, remove_intermediates
from hicm.rooms import memory_need

CHARACTERS = 4  # per token, roughly, in English


@dataclass(frozen=True)
class LevelPlan:
    """One level: its nodes, the questions they need, how many were answered before, and how long the open ones are."""

    level: int
    nodes: int
    questions: int
    answered: int
    tokens: int  # of the open questions, roughly


@dataclass(frozen=True)
class Plan:
    """What `plan_memory` counted; prints as a table."""

    head: str
    levels: tuple[LevelPlan, ...]  # coarse to fine
    answer_tokens: int  # limit of one answer; 0: no language model is asked

    @property
    def calls(self) -> int:
        """Open questions: the build sends at least as many requests, more where answers are rejected."""
        return sum(level.questions - level.answered for level in self.levels)

    def __str__(self) -> str:
        lines = [self.head, "",
                 f"{'level':<7}{'nodes':>9}{'questions':>12}{'answered':>10}{'open':>9}{'tokens about':>15}"]
        lines += [f"{row.level:<7}{row.nodes:>9,}{row.questions:>12,}{row.answered:>10,}"
                  f"{row.questions - row.answered:>9,}{row.tokens:>15,}" for row in self.levels]
        if not self.answer_tokens:
            return "\n".join([*lines, "", "no language model is asked"]) + "\n"
        tokens = sum(level.tokens for level in self.levels)
        return "\n".join([*lines, "", f"{self.calls:,} questions, about {tokens:,} tokens in and at most "
                          f"{self.calls * self.answer_tokens:,} out, at one attempt each; above level 1 the medoids "
                          "give the length until there are answers"]) + "\n"


def plan_memory(config: Config) -> Plan:
    """Embed, cluster and count; embeddings and partitions are kept for the build.

    Raises UserError where `hicm.stages.build_memory.build_memory` does.
    """
    offline = config.offline
    encoder = make_encoder(config.memory.encoder, offline)
    summariser = make_summariser(config.memory.summariser, config.summary, config.bank, offline)
    captions = read_captions(config.data, config.memory.source)
    check_encoder(encoder, config.data, captions.texts[0], isinstance(summariser, LanguageModel),
                  memory_need(config) != "sentences")
    tree = build_tree(captions, encoder, config.memory, config.bank)
    counting = _Counting(summariser, [])
    summarise_tree(tree, counting, encoder)
    if (config.bank / TEXTS).exists():
        remove_intermediates(config.bank)  # the bank is finished: no build will read them
    rows = []
    for number in range(tree.labels.shape[1], 0, -1):
        questions, answered, tokens = counting.seen[number - 1]
        rows.append(LevelPlan(number, int(tree.labels[:, number - 1].max()) + 1, questions, answered, tokens))
    head = (f"{len(captions.texts):,} captions of {', '.join(config.memory.source)} -> {config.bank}\nencoder "
            f"{encoder.name}\nhierarchy {config.memory.hierarchy}\nsummaries by {summariser.name}")
    return Plan(head, tuple(rows), config.summary.max_tokens if isinstance(summariser, LanguageModel) else 0)


@dataclass
class _Counting:
    """Takes the place of a summariser and asks nothing: known answers, and the medoid elsewhere."""

    summariser: Summariser
    seen: list[tuple[int, int, int]]  # per level: questions, answered, tokens

    @property
    def name(self) -> str:
        return self.summariser.name

    def summarise(self, nodes: Sequence[Members]) -> list[Summary]:
        if not isinstance(self.summariser, LanguageModel):
            self.seen.append((0, 0, 0))
            return [medoid(node) for node in nodes]
        questions = self.summariser.questions(nodes)
        pending = [question for question in questions if question.key not in self.summariser.journal.known]
        characters = sum(len(message["content"]) for question in pending for message in question.messages)
        self.seen.append((len(questions), len(questions) - len(pending), characters // CHARACTERS))
        return [dataclasses.replace(self.summariser.look_up(node), embedding=medoid(node).embedding) for node in nodes]
