"""From samples to items: a video with the queries whose moments are sought."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch.utils.data import Dataset

from hicm.data.kept import Kept
from hicm.data.samples import Sample, SplitSamples
from hicm.data.streams import normalise_rows, pool_rows, with_endpoints
from hicm.moments.cleaning import Cleaning
from hicm.moments.dense import queries_of
from hicm.moments.records import Query
from hicm.systems.moments.collate import Asked, Item
from hicm.systems.moments.recalled import Memory
from hicm.systems.moments.tags import Tags, word_weights
from hicm.systems.moments.targets import rated_rows, relevant_rows, target_windows
from hicm.systems.moments.vocabulary import Vocabulary
from hicm.systems.moments.words import Sentence, Words
from hicm.types import Span, Video


class Preparation:
    """What makes items of samples: word vectors, classes of words, and the most rows that are kept (0: all).

    ``normalise``: whether rows have to be normalised, which those of several stores are already.  ``reach``: seconds of
    a video that are read; the rows of a longer one are then cut off, and else pooled.
    """

    def __init__(self, words: Words, vocabulary: Vocabulary, frames: int, max_words: int, normalise: bool = True,
                 tags: Tags | None = None, tags_file: str = "", reach: float = math.inf) -> None:
        self.words, self.vocabulary, self.frames, self.max_words = words, vocabulary, frames, max_words
        self.normalise, self.tags, self.tags_file, self.reach = normalise, tags, tags_file, reach

    def rows(self, sample: Sample) -> np.ndarray:
        """The features as the network reads them, float32 [T, D + 2]."""
        rows = normalise_rows(sample.rows) if self.normalise else sample.rows
        if self.frames:
            rows = pool_rows(rows, self.frames) if self.reach == math.inf else rows[:self.frames]
        return with_endpoints(rows)

    def sentence(self, text: str) -> Sentence:
        """The words of a sentence that are read."""
        return self.words.split(text).first(self.max_words - 2 * self.words.ends)

    def weights(self, text: str) -> np.ndarray:
        """How likely each word of a sentence is masked (`word_weights`).  Raises UserError for one without tags."""
        return word_weights(text, self.sentence(text), self.tags, self.tags_file)

    def item(self, sample: Sample, queries: Sequence[Query], vectors: Sequence[np.ndarray], teaching: bool,
             recalled: Sequence[np.ndarray] | None = None) -> Item:
        """A video with queries, whose word vectors are given, and what they recall; without ``teaching`` their moments
        are not read.
        """
        rows, duration = self.rows(sample), min(sample.duration, self.reach)
        # seconds per row: rows may have been pooled, but not where the rest was cut off
        seconds = sample.seconds_per_row * (len(sample.rows) / len(rows) if self.reach == math.inf else 1)
        asked = [self._asked(query, words, duration, seconds, len(rows), teaching)
                 for query, words in zip(queries, vectors, strict=True)]
        if recalled is not None:
            asked = [replace(one, recalled=texts) for one, texts in zip(asked, recalled, strict=True)]
        return Item(sample.id, duration, seconds, rows, tuple(asked))

    def _asked(self, query: Query, vectors: np.ndarray, duration: float, seconds: float, rows: int,
               teaching: bool) -> Asked:
        sentence = self.sentence(query.text)
        labels, unknown = self.vocabulary.encode(sentence.words)
        weights = self.weights(query.text) if teaching else np.ones(len(sentence.words), np.float32)
        windows = moments_within(query, duration, self.reach) if teaching else []
        ratings = relevant_rows(windows, seconds, rows).astype(np.float32)
        if teaching and query.clips is not None and query.ratings is not None:
            ratings = rated_rows(query.clips, query.ratings, seconds, rows)
        return Asked(query.id, query.text, vectors, labels, unknown, np.pad(weights, int(self.words.ends)),
                     target_windows(windows, duration), ratings > 0, ratings)


def moments_within(query: Query, duration: float, reach: float = math.inf) -> list[Span]:
    """The moments of a query within a video of ``duration`` seconds (NaN: unknown), cleaned (`hicm.moments.cleaning`).

    ``reach``: the seconds of the video that are read.  Moments that start after these are left out, others are cut.
    """
    cleaning, limit = Cleaning(), duration if math.isfinite(duration) else None
    found = (cleaning.clean(start, end, limit) for start, end in query.windows.tolist())
    return [Span(span[0], min(span[1], reach)) for span in found if span is not None and span[0] < reach]


class QueryDataset(Dataset[Item]):
    """Items of a training split, indexed with ``(epoch, row)``: videos with at most ``most`` queries each.

    A video with more of them makes several items, of queries in random order; one without any makes none.  Of a query
    with more than ``windows`` moments (0: any number) that many are drawn for each epoch.  Items are kept for the next
    epoch up to ``kept`` bytes (`hicm.data.kept`).  ``memory``: where sentences recall texts; None: they recall none.
    """

    def __init__(self, samples: SplitSamples, prepare: Preparation, most: int, windows: int = 0, seed: int = 0,
                 kept: int = 0, memory: Memory | None = None) -> None:
        self.samples, self.prepare, self.windows, self.seed = samples, prepare, windows, seed
        self.parts = [(row, part) for row, video in enumerate(samples.videos)
                      for part in _parts(learnable(video, prepare.reach), most, seed)]
        texts = list(dict.fromkeys(query.text for _, part in self.parts for query in part))
        if prepare.tags is not None:
            for text in texts:
                prepare.weights(text)  # raises for one without tags, before training begins
        self.vectors = dict(zip(texts, prepare.words.vectors(texts, prepare.max_words), strict=True))
        self.recalled = None if memory is None else memory.teach(
            [(samples.ids[row], query.text) for row, part in self.parts for query in part])
        self._items = Kept(self._read, _size, kept)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: tuple[int, int]) -> Item:
        item = self._items[index[1]]
        if not self.windows or all(len(query.windows) <= self.windows for query in item.queries):
            return item
        rng = np.random.default_rng([self.seed, *index])
        return replace(item, queries=tuple(replace(query, windows=_some(query.windows, self.windows, rng))
                                           for query in item.queries))

    def videos(self) -> list[int]:
        """The video of each item, by its row in the samples."""
        return [row for row, _ in self.parts]

    def _read(self, place: int) -> Item:
        row, queries = self.parts[place]
        texts, video = [query.text for query in queries], self.samples.ids[row]
        recalled = None if self.recalled is None else [self.recalled(video, text) for text in texts]
        return self.prepare.item(self.samples[row], queries, [self.vectors[text] for text in texts], True, recalled)


def learnable(video: Video, reach: float = math.inf) -> list[Query]:
    """The queries of a video with at least one moment within it, and within the seconds that are read."""
    return [query for query in queries_of(video) if moments_within(query, video.duration, reach)]


def _parts(queries: list[Query], most: int, seed: int) -> list[list[Query]]:
    if len(queries) > most:
        order = np.random.default_rng([seed, len(queries)]).permutation(len(queries))
        queries = [queries[place] for place in order]
    return [queries[start:start + most] for start in range(0, len(queries), most)]


def _some(windows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most ``most`` of the windows [N, 2], drawn at random, in their order."""
    if len(windows) <= most:
        return windows
    return windows[np.sort(rng.permutation(len(windows))[:most])]


def _size(item: Item) -> int:
    """Bytes, roughly."""
    texts = [query.words.nbytes + (0 if query.recalled is None else query.recalled.nbytes) for query in item.queries]
    return item.rows.nbytes + sum(size + 1000 for size in texts) + 1000
