"""Texts of the memory that sentences recall, as vectors in the space of words.

A text enters as the mean of its word vectors.  The projection of words then serves texts, too, and no weights depend on
the bank, which may hold embeddings of any encoder.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from hicm.config import Config
from hicm.encoders import make_encoder
from hicm.memory.bank import load_bank
from hicm.retrieval.held_out import refuse_held_out
from hicm.retrieval.reader import needs_bank
from hicm.retrieval.sentences import SentenceReader, refuse_other_encoder
from hicm.systems.moments.settings import recalls
from hicm.systems.moments.words import Words

AT_ONCE = 1000  # texts whose word vectors are in memory at once
KEPT = 100_000  # texts and sentences that are remembered


class Recalled:
    """The recalled texts of a training split.  Safe to hand to worker processes."""

    def __init__(self, table: np.ndarray, rows: Mapping[tuple[str, str], Sequence[int]]) -> None:
        """``table`` float32 [U, E]: vectors of texts; ``rows``: those of each (video, sentence)."""
        self.table, self.rows = table, rows

    def __call__(self, video: str, sentence: str) -> np.ndarray:
        """float32 [R, E] of what a sentence of the video recalls, the nearest first; R may be 0."""
        return self.table[list(self.rows[video, sentence])]


class Memory:
    """Looks up what sentences recall, and makes vectors of it; both are kept for the next time."""

    def __init__(self, reader: SentenceReader, words: Words, most: int, max_words: int, leave_own_out: bool = True,
                 best_out: bool = False) -> None:
        """At most ``most`` texts per sentence, of which ``max_words`` words are read; the rest: see `SentenceReader`.
        """
        self.reader, self.words, self.most, self.max_words = reader, words, most, max_words
        self.leave_own_out, self.best_out = leave_own_out, best_out
        self._vectors: dict[str, np.ndarray] = {}
        self._texts: dict[str, tuple[str, ...]] = {}

    def teach(self, queries: Sequence[tuple[str, str]]) -> Recalled:
        """What (video, sentence) pairs recall in training, where the video's own captions are left out.

        Raises UserError when the bank cannot tell whose captions it holds.
        """
        queries = list(dict.fromkeys(queries))
        own = [video for video, _ in queries] if self.leave_own_out else None
        found = tqdm(self.reader.read([text for _, text in queries], self.most, own, self.best_out), "recall",
                     len(queries), unit="sentence")
        texts = dict(zip(queries, found, strict=True))
        number = {text: row for row, text in enumerate(dict.fromkeys(one for some in texts.values() for one in some))}
        return Recalled(self._table(list(number)), {query: [number[text] for text in some]
                                                    for query, some in texts.items()})

    def vectors(self, sentences: Sequence[str]) -> list[np.ndarray]:
        """For each sentence float32 [R, E] of what it recalls, the nearest first; R may be 0."""
        texts = self.texts(sentences)
        new = list(dict.fromkeys(text for some in texts for text in some if text not in self._vectors))
        self._vectors |= dict(zip(new, self._table(new), strict=True))
        found = [np.array([self._vectors[text] for text in some], np.float32).reshape(-1, self.words.width)
                 for some in texts]
        _forget(self._vectors)
        return found

    def texts(self, sentences: Sequence[str]) -> list[tuple[str, ...]]:
        """For each sentence the texts that it recalls, the nearest first."""
        new = [text for text in dict.fromkeys(sentences) if text not in self._texts]
        self._texts |= dict(zip(new, self.reader.read(new, self.most), strict=True)) if new else {}
        found = [self._texts[text] for text in sentences]
        _forget(self._texts)
        return found

    def _table(self, texts: list[str]) -> np.ndarray:
        """The mean word vector of each text, float32 [U, E]."""
        table = np.zeros((len(texts), self.words.width), np.float32)
        for start in range(0, len(texts), AT_ONCE):
            vectors = self.words.vectors(texts[start:start + AT_ONCE], self.max_words)
            table[start:start + AT_ONCE] = [one.mean(axis=0) for one in vectors]
        return table


def _forget(known: dict[str, Any]) -> None:
    """Keeps a system that runs for months from growing."""
    if len(known) > KEPT:
        known.clear()


def open_memory(config: Config, words: Words, training: bool = False) -> Memory | None:
    """The memory that the settings ask for; None: they ask for none.

    Raises UserError when the bank is missing, damaged, or does not fit the settings or its encoder; for ``training``
    also when it holds captions of held-out videos.
    """
    if not recalls(config.room):
        return None
    bank = encoder = None
    if needs_bank(config.retrieval):
        bank, encoder = load_bank(config.bank), make_encoder(config.memory.encoder, config.offline)
        refuse_other_encoder(bank, encoder, config.bank)
        if training:
            refuse_held_out(bank, config)
    retrieval = config.retrieval
    return Memory(SentenceReader(bank, retrieval, encoder), words, config.room.recalled, config.room.max_words,
                  retrieval.leave_own_out, retrieval.leave_best_out)
