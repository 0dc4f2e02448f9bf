"""What predictions say, whatever the references: how much sentences vary, how long they are, how much is copied."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hicm.dvc_eval.words.tokenise import PtbTokeniser
from hicm.memory.bank import Bank
from hicm.retrieval.store import Retrieved, open_retrieved
from hicm.retrieval.texts import add_texts

GRAM = 4  # words
Texts = Mapping[str, Sequence[str]]  # by video


def sentences_of(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[str]]:
    """The sentences of a predictions file by video, in its order."""
    return {video: [event["sentence"] for event in events] for video, events in results.items()}


def variety(predicted: Texts) -> dict[str, float]:
    """``distinct``: different sentences as a share of all; ``events`` per video; ``words`` per sentence."""
    counts = Counter(sentence for sentences in predicted.values() for sentence in sentences)
    total = counts.total()
    words = sum(len(_words(sentence)) * count for sentence, count in counts.items())
    return {"distinct": len(counts) / max(1, total), "events": total / max(1, len(predicted)),
            "words": words / max(1, total)}


def copy_rate(predicted: Texts, read: Texts, of: Mapping[str, str] | None = None) -> float | None:
    """The share of the predicted runs of `GRAM` words that stand in a text that the video read.

    ``of``: by video, the one whose texts are meant; without it the video's own.  Words are those that are scored.  None
    where no sentence is that long.
    """
    found = total = 0
    for video, sentences in predicted.items():
        grams = [gram for sentence in sentences for gram in _grams(sentence)]
        known = {gram for text in read.get(of[video] if of else video, ()) for gram in _grams(text)}
        found += sum(gram in known for gram in grams)
        total += len(grams)
    return found / total if total else None


def texts_read(path: Path, bank: Bank, ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What videos recalled as a file of recalled vectors says, each text once.

    Where a slot stands for several nodes, the texts of all nodes that were kept, stand-ins in their place.
    """
    retrieved = open_retrieved(path)
    return {video: tuple(dict.fromkeys(_texts(retrieved, bank, video))) for video in ids}


def _texts(retrieved: Retrieved, bank: Bank, video: str) -> list[str]:
    if retrieved.of_nodes:
        tokens = add_texts(retrieved.tokens(video), bank)
        return [text for text, there in zip(tokens.texts or (), tokens.mask.tolist(), strict=True) if there and text]
    nodes = ((0, leaf) if leaf >= 0 else (level, node) for window in retrieved.visited(video)
             for level, node, _, leaf in window)
    return [bank.texts(level)[node] for level, node in nodes]


def _grams(text: str) -> list[tuple[str, ...]]:
    words = _words(text)
    return [words[start:start + GRAM] for start in range(len(words) - GRAM + 1)]


@cache
def _words(text: str) -> tuple[str, ...]:
    return tuple(PtbTokeniser().tokenise([text])[0].split())
