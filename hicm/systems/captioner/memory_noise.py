"""Which of the recalled items are read, and training noise on them: sampled from a longer list, or exchanged.

A captioner that always reads the nearest sentences learns to copy what most of them say.  Sampling from a longer list
makes that less likely (sample-k of Li et al., Understanding Retrieval Robustness for Retrieval-Augmented Image
Captioning, ACL 2024, arXiv 2406.02265).  Items are slots that stand for one node each (``retrieval.read: items``).
"""

from dataclasses import replace

import numpy as np

from hicm.config import Config
from hicm.data.samples import MemoryTokens
from hicm.memory.bank import load_bank
from hicm.retrieval.random_items import RandomItems
from hicm.retrieval.reader import needs_bank
from hicm.systems.captioner.memory_positions import ranks
from hicm.systems.captioner.settings import reads_items


def open_random_items(config: Config) -> RandomItems | None:
    """What ``captioner.memory_swap`` exchanges recalled items for; None where it has no effect."""
    if not (config.room.memory_swap and reads_items(config) and needs_bank(config.retrieval)):
        return None
    return RandomItems(load_bank(config.bank), config.retrieval.leave_own_out)


def chosen(tokens: MemoryTokens, count: int, rng: np.random.Generator | None = None) -> MemoryTokens:
    """At most ``count`` items of each window: the nearest ones, or with ``rng`` any, all equally likely.

    All of them with ``count`` 0, and where slots do not stand for one node each.
    """
    if not count or tokens.cosines is None:
        return tokens
    scores = tokens.cosines if rng is None else rng.random(len(tokens.mask))
    kept = tokens.mask & (ranks(tokens.slots[:, 0], scores, tokens.mask) < count)
    return replace(tokens, mask=kept, vectors=np.where(kept[:, None], tokens.vectors, np.float32(0)))


def exchanged(tokens: MemoryTokens, chance: float, items: RandomItems, video: str,
              rng: np.random.Generator) -> MemoryTokens:
    """Each item is replaced with that chance by a random one of its level, which ``video`` may recall.

    The new one is read with the cosine of the old, so that a high cosine is no proof.  Nothing changes where slots do
    not stand for one node each.
    """
    if tokens.cosines is None:
        return tokens
    vectors, slots, texts = tokens.vectors.copy(), tokens.slots.copy(), list(tokens.texts or ())
    for slot in np.flatnonzero(tokens.mask & (rng.random(len(tokens.mask)) < chance)).tolist():
        found = items.draw(video, int(slots[slot, 1]), rng)
        if found is not None:
            vectors[slot], slots[slot, 1:] = items.vector(*found), found
            if texts:
                texts[slot] = items.text(*found)
    return replace(tokens, vectors=vectors, slots=slots, texts=None if tokens.texts is None else tuple(texts))
