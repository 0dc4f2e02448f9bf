"""Made-up banks, and the read of hicm2.md 2.5 written as loops over windows and nodes, straight from its equations."""

from dataclasses import replace

import numpy as np

from hicm.config import RetrievalConfig
from hicm.memory.bank import Bank, Leaves, Level

WIDTH = 8


def exact_vectors(rng: np.random.Generator, count: int, dtype=np.float32) -> np.ndarray:
    """Vectors of norm 1 or 2 with entries 0, 1, -1: cosines of equal value stay equal in floating point."""
    out = np.zeros((count, WIDTH), dtype)
    for row in out:
        places = rng.choice(WIDTH, size=rng.choice([1, 4]), replace=False)
        row[places] = rng.choice([-1, 1], size=len(places))
    return out


def random_bank(rng: np.random.Generator, depth: int = 3, captions: int = 24, videos: int = 4, exact: bool = True,
                dtype=np.float32, written: float = 0.3) -> Bank:
    """A proper random tree; a share ``written`` of the nodes has a text of its own, the others quote a leaf."""
    def vectors(count: int) -> np.ndarray:
        return exact_vectors(rng, count, dtype) if exact else rng.standard_normal((count, WIDTH)).astype(dtype)

    leaves = Leaves(tuple(f"caption {leaf}" for leaf in range(captions)), vectors(captions),
                    tuple(f"video-{video:05d}" for video in rng.integers(0, videos, captions)), np.arange(captions))
    levels, below, under = [], captions, [np.asarray([leaf]) for leaf in range(captions)]
    for number in range(1, depth + 1):
        count = max(1, below // int(rng.integers(1, 4)))
        parent = np.concatenate([np.arange(count), rng.integers(0, count, below - count)])
        rng.shuffle(parent)
        children = tuple(rng.permutation(np.flatnonzero(parent == node)) for node in range(count))
        under = [np.concatenate([under[child] for child in ids]) for ids in children]
        authors = np.asarray([-1 if rng.random() < written else rng.choice(ids) for ids in under])
        own = vectors(count)
        embeddings = np.where(authors[:, None] >= 0, leaves.embeddings[authors], own)
        texts = tuple(leaves.texts[author] if author >= 0 else f"summary {number}.{node}"
                      for node, author in enumerate(authors))
        levels.append(Level(texts, embeddings, children, authors))
        below = count
    return Bank(tuple(levels), leaves).validate()


def garbled(bank: Bank, video: str, rng: np.random.Generator) -> Bank:
    """The bank with other texts and embeddings wherever ``video`` had a hand in them."""
    mine = np.asarray([name == video for name in bank.leaves.videos])

    def change(texts, embeddings, where):
        noise = 100 * rng.standard_normal(embeddings.shape)
        return (tuple("OWN" if hit else text for text, hit in zip(texts, where, strict=True)),
                np.where(where[:, None], noise, embeddings).astype(np.float32))

    levels = []
    for number, level in enumerate(bank.levels, start=1):
        wrote = np.asarray([mine[author] if author >= 0 else mine[bank.leaves_of(number, node)].any()
                            for node, author in enumerate(level.authors)])
        levels.append(Level(*change(level.texts, level.embeddings, wrote), level.children, level.authors))
    leaves = Leaves(*change(bank.leaves.texts, bank.leaves.embeddings, mine), bank.leaves.videos,
                    bank.leaves.sentences)
    return Bank(tuple(levels), leaves).validate()


def frames_of(rng: np.random.Generator, batch: int, rows: int, exact: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Frames [B, T, WIDTH], zero after each video's end, and their mask; when exact, rows are integers, four alike."""
    frames = (np.repeat(rng.integers(-3, 4, (batch, -(-rows // 4), WIDTH)), 4, axis=1)[:, :rows] if exact
              else rng.standard_normal((batch, rows, WIDTH)))
    mask = np.arange(rows) < rng.integers(1, rows + 1, batch)[:, None]
    return (frames * mask[..., None]).astype(np.float32), mask


def naive_query(frames: np.ndarray, mask: np.ndarray, settings: RetrievalConfig, window: int) -> np.ndarray | None:
    """q_w of one video [T, D]; None for a window without a real frame (only with mask_padding)."""
    if settings.tail == "drop":
        size = len(frames) // settings.windows
        rows = np.arange(window * size, (window + 1) * size)
    else:
        rows = np.array_split(np.arange(len(frames)), settings.windows)[window]
    if settings.mask_padding:
        rows = rows[mask[rows]]
    return frames[rows].astype(np.float64).mean(axis=0) if len(rows) else None


def naive_node(bank: Bank, level: int, node: int, video: str | None) -> tuple[np.ndarray | None, int]:
    """What stands for a node when ``video`` reads: its embedding (None: removed) and the leaf in its place or -1."""
    leaves = bank.leaves
    if level == 0:
        return (None if leaves.videos[node] == video else leaves.embeddings[node]), -1
    author, under = bank.level(level).authors[node], bank.leaves_of(level, node)
    writers = under if author < 0 else [author]
    if video is None or all(leaves.videos[writer] != video for writer in writers):
        return bank.level(level).embeddings[node], -1
    others = [leaf for leaf in under if leaves.videos[leaf] != video]
    if not others:
        return None, -1
    center = leaves.embeddings[others].astype(np.float32).mean(axis=0)
    cosines = [leaves.embeddings[leaf] @ center / max(np.linalg.norm(leaves.embeddings[leaf]), 1e-8)
               for leaf in others]
    leaf = others[int(np.argmax(np.round(cosines, 5)))]
    return leaves.embeddings[leaf], leaf


def naive_select(bank: Bank, level: int, candidates: list[int], query: np.ndarray, video: str | None,
                 settings: RetrievalConfig) -> list[tuple[int, float, int]]:
    """Kept (node, score, stand-in), best first; Python's sort is stable."""
    scored = []
    for node in candidates:
        embedding, leaf = naive_node(bank, level, node, video)
        if embedding is not None:
            embedding = embedding.astype(np.float64)
            cosine = query @ embedding / max(np.linalg.norm(embedding), 1e-8) / max(np.linalg.norm(query), 1e-8)
            scored.append((node, float(cosine), leaf))
    scored.sort(key=lambda entry: -entry[1])
    return naive_picked(scored, settings)


def naive_picked(scored: list[tuple[int, float, int]], settings: RetrievalConfig) -> list[tuple[int, float, int]]:
    """Of entries (node, score, stand-in), best first, those that the rule picks."""
    if settings.select == "similarity":
        return [entry for entry in scored if entry[1] >= settings.threshold]
    return scored[: 1 if settings.select == "max" else settings.top_k]


def naive_read(bank: Bank, query: np.ndarray, video: str | None,
               settings: RetrievalConfig) -> tuple[np.ndarray, dict[int, list[tuple[int, float, int]]]]:
    """r_w [D] and the kept nodes by level."""
    def half(vector: np.ndarray) -> np.ndarray:
        rounds = settings.precision == "stored" and bank.levels[0].embeddings.dtype == np.float16
        return vector.astype(np.float16).astype(np.float64) if rounds else vector

    def mean(level: int, entries: list[tuple[int, float, int]]) -> np.ndarray:
        return half(np.mean([naive_node(bank, level, node, video)[0].astype(np.float64) for node, _, _ in entries],
                            axis=0))

    used = settings.levels or list(range(1, bank.depth + 1))
    top, collected, kept = bank.depth, [], {}
    if settings.search == "flat":
        count = len(bank.level(settings.flat_level)) if settings.flat_level else len(bank.leaves)
        level = settings.flat_level
        kept[level] = naive_select(bank, level, list(range(count)), query, video, settings)
        return (mean(level, kept[level]) if kept[level] else np.zeros(len(query))), kept
    candidates = list(range(len(bank.level(top))))
    for level in range(top, min(used) - 1, -1):
        if settings.search == "descend" or level == top:
            wide = replace(settings, select="top-k", top_k=settings.beam) if settings.beam and level > min(used) and \
                settings.search == "descend" else settings
            kept[level] = naive_select(bank, level, candidates, query, video, wide)
            chosen = kept[level]
            if not chosen:
                break
        elif settings.select == "similarity":  # released: the children of the top, looked up at the wrong level
            children = [child for node, _, _ in kept[top] for child in bank.level(top).children[node]]
            if not naive_select(bank, level, children, query, video, settings):
                break
        read = naive_picked(chosen, settings)
        if level in used and read:
            collected.append(mean(level if settings.search == "descend" else top, read))
        if settings.search == "descend" and level > min(used):
            candidates = [child for node, _, _ in chosen for child in bank.level(level).children[node]]
    return (half(np.mean(collected, axis=0)) if collected else np.zeros(len(query))), kept
