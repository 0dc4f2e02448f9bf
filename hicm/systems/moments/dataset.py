"""From samples to items: a video with the sentences whose moments are sought."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch.utils.data import Dataset

from hicm.data.kept import Kept
from hicm.data.samples import Sample, SplitSamples
from hicm.data.streams import normalise_rows, pool_rows, with_endpoints
from hicm.moments.cleaning import Cleaning
from hicm.systems.moments.collate import Asked, Item
from hicm.systems.moments.recalled import Memory
from hicm.systems.moments.tags import Tags, word_weights
from hicm.systems.moments.targets import relevant_rows, target_windows
from hicm.systems.moments.vocabulary import Vocabulary
from hicm.systems.moments.words import Sentence, Words
from hicm.types import Event, Span


def sentences_of(events: Sequence[Event]) -> dict[str, list[Span]]:
    """Sentences, each once, and the moments that they describe: one that stands at several places has several."""
    found: dict[str, list[Span]] = {}
    for event in events:
        found.setdefault(event.text, []).append(event.span)
    return found


class Preparation:
    """What makes items of samples: word vectors, classes of words, and the most rows that are kept (0: all).

    ``normalise``: whether rows have to be normalised, which those of several stores are already.
    """

    def __init__(self, words: Words, vocabulary: Vocabulary, frames: int, max_words: int, normalise: bool = True,
                 tags: Tags | None = None, tags_file: str = "") -> None:
        self.words, self.vocabulary, self.frames, self.max_words = words, vocabulary, frames, max_words
        self.normalise, self.tags, self.tags_file = normalise, tags, tags_file

    def rows(self, sample: Sample) -> np.ndarray:
        """The features as the network reads them, float32 [T, D + 2]."""
        rows = normalise_rows(sample.rows) if self.normalise else sample.rows
        return with_endpoints(pool_rows(rows, self.frames) if self.frames else rows)

    def sentence(self, text: str) -> Sentence:
        """The words of a sentence that are read."""
        found, most = self.words.split(text), self.max_words - 2 * self.words.ends
        return Sentence(found.words[:most], found.shown[:most])

    def item(self, sample: Sample, queries: dict[str, list[Span]], vectors: Sequence[np.ndarray],
             teaching: bool, recalled: Sequence[np.ndarray] | None = None) -> Item:
        """A video with queries, whose word vectors are given, and what they recall; without ``teaching`` their moments
        are not read.
        """
        rows = self.rows(sample)
        asked = [self._asked(sample, text, spans if teaching else [], words, len(rows))
                 for (text, spans), words in zip(queries.items(), vectors, strict=True)]
        if recalled is not None:
            asked = [replace(one, recalled=texts) for one, texts in zip(asked, recalled, strict=True)]
        return Item(sample.id, sample.duration, rows, tuple(asked))

    def _asked(self, sample: Sample, text: str, spans: Sequence[Span], vectors: np.ndarray, rows: int) -> Asked:
        sentence = self.sentence(text)
        labels, unknown = self.vocabulary.encode(sentence.words)
        weights = word_weights(text, sentence.shown, self.tags if spans else None, self.tags_file)
        windows = moments_within(spans, sample.duration)
        seconds = sample.seconds_per_row * len(sample.rows) / rows  # rows may have been pooled
        relevant = relevant_rows(windows, seconds, rows)
        return Asked(text, vectors, labels, unknown, np.pad(weights, int(self.words.ends)),
                     target_windows(windows, sample.duration), relevant, relevant.astype(np.float32))


def moments_within(spans: Sequence[Span], duration: float) -> list[Span]:
    """The moments that lie within the video, cleaned (`hicm.moments.cleaning`)."""
    cleaning = Cleaning()
    found = (cleaning.clean(span.start, span.end, duration) for span in spans)
    return [Span(*span) for span in found if span is not None]


class QueryDataset(Dataset[Item]):
    """Items of a training split, indexed with ``(epoch, row)``: videos with at most ``most`` sentences each.

    A video with more of them makes several items; one without any makes none.  Items are kept for the next epoch up to
    ``kept`` bytes (`hicm.data.kept`).  ``memory``: where sentences recall texts; None: they recall none.
    """

    def __init__(self, samples: SplitSamples, prepare: Preparation, most: int, kept: int = 0,
                 memory: Memory | None = None) -> None:
        self.samples, self.prepare = samples, prepare
        self.parts = [(row, dict(part)) for row, video in enumerate(samples.videos)
                      for part in _parts(learnable(video.events, video.duration), most)]
        texts = list(dict.fromkeys(text for _, part in self.parts for text in part))
        self.vectors = dict(zip(texts, prepare.words.vectors(texts, prepare.max_words), strict=True))
        self.recalled = None if memory is None else memory.teach(
            [(samples.ids[row], text) for row, part in self.parts for text in part])
        self._items = Kept(self._read, _size, kept)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: tuple[int, int]) -> Item:
        return self._items[index[1]]

    def _read(self, place: int) -> Item:
        row, queries = self.parts[place]
        recalled = None if self.recalled is None else [self.recalled(self.samples.ids[row], text) for text in queries]
        return self.prepare.item(self.samples[row], queries, [self.vectors[text] for text in queries], True, recalled)


def learnable(events: Sequence[Event], duration: float) -> dict[str, list[Span]]:
    """Sentences with at least one moment within a video of ``duration`` seconds (NaN: any)."""
    found = sentences_of(events)
    return {text: spans for text, spans in found.items()
            if duration != duration or moments_within(spans, duration)}


def _parts(queries: dict[str, list[Span]], most: int) -> list[list[tuple[str, list[Span]]]]:
    listed = list(queries.items())
    return [listed[start:start + most] for start in range(0, len(listed), most)]


def _size(item: Item) -> int:
    """Bytes, roughly."""
    texts = [query.words.nbytes + (0 if query.recalled is None else query.recalled.nbytes) for query in item.queries]
    return item.rows.nbytes + sum(size + 1000 for size in texts) + 1000
