"""A bank's statistics against numbers worked out by hand and by loops."""

import dataclasses
import json

import numpy as np
import pytest

from hicm.memory.bank import Bank, Leaves, Level, save_bank
from hicm.memory.stats import bank_stats
from tests.retrieval.naive_read import random_bank


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


@pytest.fixture
def bank() -> Bank:
    """Five captions, two of them alike; two directions."""
    east, north = np.eye(2, dtype=np.float32)
    leaves = Leaves(("a", "b", "a", "c d", "e"), np.stack([east, 2 * east, east, north, north]),
                    ("v", "v", "w", "w", "w"), ints(0, 1, 0, 1, 2))
    first = Level(("a", "b", "long " * 21), np.stack([east, east, 3 * north]), (ints(0, 2), ints(1), ints(3, 4)),
                  ints(0, 1, -1))
    top = Level(("x", "x"), np.stack([east, north]), (ints(0, 1), ints(2)), ints(-1, -1))
    return Bank((first, top), leaves, {"encoder": "made up", "summariser": "by hand"})


def test_numbers_by_hand(bank, tmp_path):
    found = bank_stats(save_bank(bank, tmp_path))
    assert (found.captions, found.videos, found.repeated_captions, found.depth, found.width) == (5, 2, 1, 2, 2)
    first, top = found.levels
    assert (first.nodes, first.children_median, first.children_most) == (3, 2, 2)
    assert first.children_mean == pytest.approx(5 / 3) and first.single == pytest.approx(1 / 3)
    assert (top.single, top.repeated, top.quoted) == (0.5, 1, 0)
    assert (first.words_median, first.words_most, first.repeated) == (1, 21, 0)
    assert first.long == pytest.approx(1 / 3) and first.quoted == pytest.approx(2 / 3)
    assert first.cosine == top.cosine == pytest.approx(1)
    assert found.compared == "captions" and found.summaries == {}


def test_cosines_equal_a_loop(tmp_path):
    bank = random_bank(np.random.default_rng(5), captions=40, exact=False)
    found = bank_stats(save_bank(bank, tmp_path))
    for stats in found.levels:
        level = bank.level(stats.level)
        cosines = []
        for leaf, node in enumerate(bank.ancestors(stats.level)):
            a, b = bank.leaves.embeddings[leaf], level.embeddings[node]
            cosines.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        assert stats.cosine == pytest.approx(np.mean(cosines), abs=1e-6)
    assert found == bank_stats(tmp_path), "the draw is seeded"
    assert found.levels[0].cosine_random != bank_stats(tmp_path, seed=1).levels[0].cosine_random


def test_a_planted_grouping_is_coherent(tmp_path):
    """Captions near one of ten directions, nodes at the directions: own captions are near, random ones are not."""
    rng = np.random.default_rng(0)
    centres = np.eye(10, 32, dtype=np.float32)
    owner = rng.permutation(np.repeat(np.arange(10), 30))
    embeddings = centres[owner] + 0.05 * rng.standard_normal((300, 32)).astype(np.float32)
    leaves = Leaves(tuple(map(str, range(300))), embeddings, ("v",) * 300, np.arange(300))
    level = Level(tuple("abcdefghij"), centres, tuple(np.flatnonzero(owner == node) for node in range(10)),
                  np.full(10, -1))
    stats = bank_stats(save_bank(Bank((level,), leaves), tmp_path)).levels[0]
    assert stats.cosine > 0.9 and abs(stats.cosine_random - 0.1) < 0.05 and stats.coherence > 0.75


def test_without_the_captions_embeddings_nodes_below_are_compared(bank, tmp_path):
    bank = dataclasses.replace(bank, leaves=dataclasses.replace(bank.leaves, embeddings=None, videos=("",) * 5))
    found = bank_stats(save_bank(bank, tmp_path))
    assert found.videos is None and found.compared == "children" and found.levels[0].cosine is None
    assert found.levels[1].cosine == pytest.approx(1)
    assert "of unknown videos" in str(found) and "cosines are to the nodes one level down" in str(found)


def test_without_captions(bank, tmp_path):
    first = dataclasses.replace(bank.levels[0], children=(ints(),) * 3, authors=ints(-1, -1, -1))
    found = bank_stats(save_bank(Bank((first, bank.levels[1])), tmp_path))
    assert found.captions is None and found.levels[0].children_median is None and found.levels[0].quoted is None
    assert found.levels[1].children_most == 2 and "captions    not stored" in str(found)


def test_how_the_summaries_came_about_is_shown(bank, tmp_path):
    counts = {"answered": 5, "quoted": 2, "fallbacks": {"too long": 1}}
    found = bank_stats(save_bank(dataclasses.replace(bank, info={"summaries": counts}), tmp_path))
    assert "answered 5, quoted 2, fallbacks: too long 1" in str(found) and found.encoder == "unknown"


def test_a_zero_embedding_counts_as_unlike(bank, tmp_path):
    bank.leaves.embeddings[3:] = 0
    assert bank_stats(save_bank(bank, tmp_path)).levels[0].cosine == pytest.approx(3 / 5)


def test_json_and_table(bank, tmp_path):
    found = bank_stats(save_bank(bank, tmp_path))
    content = json.loads(json.dumps(found.to_json()))
    assert content["levels"][0]["coherence"] == pytest.approx(found.levels[0].coherence)
    lines = str(found).splitlines()
    assert "captions    5 of 2 videos, 1 repeated word for word" in lines
    heads = [place for place, line in enumerate(lines) if line.startswith("level ")]
    assert len(heads) == 3 and all(lines[place + 1].split()[0] == "2" for place in heads), "coarse to fine"
