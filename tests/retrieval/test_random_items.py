"""Random items of a memory: every one that a video may recall, and no other."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_read import random_bank

from hicm.errors import UserError
from hicm.memory.bank import Bank
from hicm.retrieval.own_out import Provenance
from hicm.retrieval.random_items import RandomItems


@given(st.integers(0, 20), st.integers(0, 3), st.sampled_from(["video-00000", "video-00001", "another"]))
@settings(max_examples=25)
def test_all_that_a_video_may_recall_is_drawn_and_nothing_else(seed, level, video):
    bank, rng = random_bank(np.random.default_rng(seed), captions=12), np.random.default_rng(seed)
    own, items = Provenance(bank).own_out(video), RandomItems(bank)
    allowed = set()
    for node in range(len(bank.texts(level))):
        if own is not None and node in own.removed.get(level, ()):
            continue
        stand_ins = {} if own is None else dict(zip(*(part.tolist() for part in own.stand_ins.get(level, ())),
                                                    strict=True)) if level in own.stand_ins else {}
        allowed.add((0, stand_ins[node]) if node in stand_ins else (level, node))
    drawn = {items.draw(video, level, rng) for _ in range(200)}
    assert drawn == (allowed or {None})
    for where, node in drawn - {None}:
        assert where or bank.leaves.videos[node] != video
        source = bank.level(where) if where else bank.leaves
        assert items.text(where, node) == source.texts[node]
        np.testing.assert_array_equal(items.vector(where, node), source.embeddings[node])


def test_own_captions_are_drawn_where_they_may_be_recalled():
    bank = random_bank(np.random.default_rng(0), captions=6)
    items, rng = RandomItems(bank, leave_own_out=False), np.random.default_rng(0)
    assert {items.draw("video-00000", 0, rng) for _ in range(200)} == {(0, leaf) for leaf in range(6)}
    with pytest.raises(UserError, match=r"retrieval\.leave_own_out=false"):
        RandomItems(Bank(bank.levels))


def test_a_worker_process_draws_the_same():
    items = RandomItems(random_bank(np.random.default_rng(0), captions=12))
    drawn = [[one.draw("video-00001", 1, rng) for _ in range(20)] for one, rng in (
        (items, np.random.default_rng(1)), (pickle.loads(pickle.dumps(items)), np.random.default_rng(1)))]
    assert drawn[0] == drawn[1] and len(set(drawn[0])) > 2
