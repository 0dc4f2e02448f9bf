"""From samples to items of the parallel system."""

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from hicm.data.features import sample_or_all
from hicm.data.kept import Kept
from hicm.data.samples import Sample, Samples
from hicm.systems.parallel.batch import Item
from hicm.systems.parallel.vocabulary import Vocabulary
from hicm.types import Event


class VideoDataset(Dataset[Item]):
    """Items of one split, in annotation order; indexed with ``(epoch, row)``.

    ``frames`` and ``sampling``: those of the data settings; ``max_words``: of a caption.  Without ``teaching`` the
    captions are not read.  Items are kept for the next epoch up to ``kept`` bytes (`hicm.data.kept`).
    """

    def __init__(self, samples: Samples, vocabulary: Vocabulary, frames: int, max_words: int,
                 teaching: bool = True, sampling: str = "even", kept: int = 0) -> None:
        self.samples, self.vocabulary, self.teaching = samples, vocabulary, teaching
        self.frames, self.sampling, self.max_words = frames, sampling, max_words
        self._items = Kept(self._read, _size, kept)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: tuple[int, int]) -> Item:
        return self._items[index[1]]

    def _read(self, row: int) -> Item:
        return self.item(self.samples[row])

    def item(self, sample: Sample) -> Item:
        """The item of one sample.  What it recalls keeps its order; masked slots are left out."""
        rows, real = sample_or_all(sample.rows, self.frames, sampling=self.sampling)
        memory = np.zeros((0, rows.shape[1]), np.float32)
        if sample.recalled is not None:
            memory = sample.recalled.vectors[sample.recalled.mask]
        events = (sample.events or ()) if self.teaching else ()
        return Item(sample.id, sample.duration, rows[real], memory, boxes_of(events, sample.duration),
                    [self.vocabulary.encode(event.text, self.max_words) for event in events])


def boxes_of(events: Sequence[Event], duration: float) -> np.ndarray:
    """Centre and length of each event as shares of a video of ``duration`` seconds: float32 [E, 2].

    Events are not cut to the video, as in PDVC; the times of one that ends before it starts are swapped.
    """
    spans = np.array([[event.span.start, event.span.end] for event in events], np.float64).reshape(-1, 2)
    spans.sort(axis=1)
    return np.stack([spans.sum(1) / (2 * duration), (spans[:, 1] - spans[:, 0]) / duration], 1).astype(np.float32)


def _size(item: Item) -> int:
    """Bytes, roughly."""
    return item.rows.nbytes + item.memory.nbytes + 40 * sum(map(len, item.sentences)) + 1000
