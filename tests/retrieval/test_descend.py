"""The way down: what is scored, how wide it is, and that it may end at the captions."""

import dataclasses
import warnings
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_read import WIDTH, frames_of, random_bank

from hicm.config import RetrievalConfig
from hicm.memory.bank import Bank, Leaves, Level
from hicm.retrieval import scoring
from hicm.retrieval.reader import Reader
from hicm.retrieval.records import Recalled
from hicm.retrieval.scoring import Queries, Tables
from hicm.retrieval.search import descend

pytestmark = pytest.mark.filterwarnings("ignore:retrieval.beam=.* with select=similarity")

ONE_BY_ONE, ALL_AT_ONCE = 0, 10**9
descents = st.builds(RetrievalConfig, select=st.sampled_from(["top-k", "max", "similarity"]), windows=st.just(3),
                     top_k=st.integers(1, 5), beam=st.sampled_from([0, 5, 9]),
                     threshold=st.sampled_from([-0.2, 0.13, 0.37]), read=st.sampled_from(["mean", "levels"]),
                     levels=st.lists(st.integers(0, 3), max_size=3, unique=True),
                     precision=st.sampled_from(["float32", "stored"]), mask_padding=st.booleans())
seeds = st.integers(0, 2**31)


def read(bank: Bank, retrieval: RetrievalConfig, gather: int, *asked) -> Recalled:
    with mock.patch.object(scoring, "GATHER", gather):
        return Reader(bank, retrieval).read(*asked)


@given(descents, seeds, st.booleans(), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_scoring_candidates_alone_changes_nothing(retrieval, seed, exact, half, own_out, best_out):
    """``exact``: full of ties; otherwise free of them, so that rounding decides nothing."""
    rng = np.random.default_rng(seed)
    bank = random_bank(rng, captions=40, exact=exact, dtype=np.float16 if half else np.float32)
    asked = (*frames_of(rng, 3, 12, exact), ["video-00000", None, "video-00001"] if own_out else None, None, best_out)
    few, every = (read(bank, retrieval, gather, *asked) for gather in (ONE_BY_ONE, ALL_AT_ONCE))
    np.testing.assert_array_equal(few.vectors, every.vectors)
    np.testing.assert_array_equal(few.mask, every.mask)
    np.testing.assert_array_equal(few.slots, every.slots)
    assert list(few.nodes) == list(every.nodes)
    for level, nodes in few.nodes.items():
        np.testing.assert_array_equal(nodes, every.nodes[level])
        np.testing.assert_array_equal(few.stand_in[level], every.stand_in[level])
        np.testing.assert_allclose(few.scores[level], every.scores[level], atol=1e-6)


@given(descents, seeds, st.booleans(), st.sampled_from([ONE_BY_ONE, ALL_AT_ONCE]))
@settings(max_examples=100, deadline=None)
def test_a_beam_as_wide_as_the_widest_level_is_a_flat_search_of_every_level(retrieval, seed, own_out, gather):
    """A query of padding alone would have nothing but ties, which the two searches order differently."""
    rng, retrieval = np.random.default_rng(seed), dataclasses.replace(retrieval, mask_padding=True)
    bank = random_bank(rng, captions=40, exact=False)
    asked = (*frames_of(rng, 2, 12, exact=False), ["video-00000", None] if own_out else None)
    for level in range(bank.depth + 1):
        wide = dataclasses.replace(retrieval, levels=[level], beam=40)
        flat = dataclasses.replace(retrieval, search="flat", flat_level=level, beam=0)
        down, expected = read(bank, wide, gather, *asked), read(bank, flat, ALL_AT_ONCE, *asked)
        np.testing.assert_array_equal(down.nodes[level], expected.nodes[level])
        np.testing.assert_allclose(down.vectors, expected.vectors, atol=1e-6)
        through = read(bank, dataclasses.replace(wide, levels=[level, 0], read="levels"), gather, *asked)
        own = np.nonzero(through.slots[0, :, 1] == level)[0]
        levels = dataclasses.replace(flat, read="levels")
        np.testing.assert_allclose(through.vectors[:, own], read(bank, levels, ALL_AT_ONCE, *asked).vectors, atol=1e-6)


def planted() -> tuple[Bank, np.ndarray]:
    """Two top nodes of two captions each, and a query nearer to the first, though the best caption is the second's."""
    leaves = np.asarray([[6, 8, 0], [6, -8, 0], [10, 0, 0], [0, 0, 10]], np.float32) / 10
    videos = ("v", "v", "w", "w")
    level = Level(("one", "other"), np.asarray([[1, 0, 0.1], [1, 0, 1]], np.float32),
                  (np.asarray([0, 1]), np.asarray([2, 3])), np.asarray([-1, -1]))
    return Bank((level,), Leaves(tuple("abcd"), leaves, videos, np.arange(4))).validate(), np.asarray([1, 0, 0], "f")


def test_a_beam_finds_what_the_way_of_the_best_misses():
    bank, query = planted()
    asked = query[None, None], np.ones((1, 1), bool)
    narrow, wide = (Reader(bank, RetrievalConfig(windows=1, top_k=1, beam=beam, levels=[1, 0], read="levels"))
                    .read(*asked) for beam in (0, 2))
    assert narrow.visited(0)[0][1][:2] == (0, 0) and wide.visited(0)[0][-1][:2] == (0, 2)
    assert [entry[:2] for entry in wide.visited(0)[0]] == [(1, 0), (1, 1), (0, 2)], "all that was kept on the way"
    np.testing.assert_array_equal(wide.vectors[0], [bank.level(1).embeddings[0], bank.leaves.embeddings[2]])


def test_a_beam_is_cut_by_the_rule_where_it_is_read():
    bank, query = planted()
    asked = query[None, None], np.ones((1, 1), bool)
    near = Reader(bank, RetrievalConfig(windows=1, select="similarity", threshold=0.8, beam=2, levels=[1, 0],
                                        read="levels")).read(*asked)
    np.testing.assert_array_equal(near.vectors[0], [bank.level(1).embeddings[0], bank.leaves.embeddings[2]])
    none = Reader(bank, RetrievalConfig(windows=1, select="similarity", threshold=0.8, levels=[0])).read(*asked)
    assert (none.nodes[0] == -1).all() and not none.vectors.any(), "without a beam the rule also decides the way"


def test_the_own_captions_are_not_reached():
    bank, query = planted()
    asked = query[None, None], np.ones((1, 1), bool)
    for gather in (ONE_BY_ONE, ALL_AT_ONCE):
        found = read(bank, RetrievalConfig(windows=1, top_k=4, levels=[0]), gather, *asked, ["w"])
        assert sorted(found.nodes[0][0, 0].tolist()) == [0, 1]


def test_equal_embeddings_have_equal_scores_wherever_they_stand():
    rng = np.random.default_rng(0)
    matrix = np.tile(rng.standard_normal(300).astype(np.float32), (4000, 1))
    level = Level(("x",) * 4000, matrix, (np.zeros(0, int),) * 4000, np.full(4000, -1))
    queries = Queries(Tables(Bank((level,))), rng.standard_normal((1, 1, 300)).astype("f"), np.ones((1, 1), bool),
                      [None])
    assert len(np.unique(queries.listed(1, np.arange(47)[None]))) == 1


def test_the_scores_of_a_video_do_not_depend_on_the_others():
    """Its few candidates are scored one by one though another video has many, whose level is scored as a whole."""
    rng = np.random.default_rng(0)
    matrix = np.tile(rng.standard_normal(300).astype(np.float32), (4000, 1))
    tables = Tables(Bank((Level(("x",) * 4000, matrix, (np.zeros(0, int),) * 4000, np.full(4000, -1)),)))
    means = rng.standard_normal((3, 2, 300)).astype("f")
    candidates = np.full((6, 4000), -1)
    candidates[2:4, :47] = np.arange(4000 - 47, 4000)
    candidates[:2] = candidates[4:] = np.arange(4000)
    together = Queries(tables, means, np.ones((3, 2), bool), [None] * 3)
    alone = Queries(tables, means[1:2], np.ones((1, 2), bool), [None])
    scores = together.listed(1, candidates)
    np.testing.assert_array_equal(scores[2:4, :47], alone.listed(1, candidates[2:4, :47]))
    np.testing.assert_allclose(scores[[0, 1, 4, 5]], together.scores(1)[[0, 1, 4, 5]], atol=1e-6)
    assert (scores[2:4, 47:] == -np.inf).all()
    assert alone.cosines == 2 * 47 and together.cosines == 2 * 47 + 4 * 4000 + 6 * 4000


@given(descents.filter(lambda s: s.beam), seeds, st.integers(0, 60), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_division_of_the_videos_among_the_two_ways_keeps_the_same(retrieval, seed, gather, own_out):
    rng = np.random.default_rng(seed)
    bank = random_bank(rng, captions=40)
    frames, mask = frames_of(rng, 3, 12)
    mask[2, 3:] = False
    asked = (frames * mask[..., None], mask, ["video-00000", None, "video-00001"] if own_out else None)
    mixed, every = (read(bank, retrieval, way, *asked) for way in (gather, ALL_AT_ONCE))
    np.testing.assert_array_equal(mixed.vectors, every.vectors)
    for level, nodes in mixed.nodes.items():
        np.testing.assert_array_equal(nodes, every.nodes[level])


@pytest.mark.filterwarnings("default")
def test_a_beam_that_may_cut_what_passes_the_threshold_is_announced():
    bank, _ = planted()
    with pytest.warns(UserWarning, match="retrieval.beam=3 with select=similarity: .* at most 3 nodes per level"):
        Reader(bank, RetrievalConfig(select="similarity", beam=3))
    for quiet in (RetrievalConfig(select="similarity"), RetrievalConfig(top_k=2, beam=3)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Reader(bank, quiet)


@pytest.mark.filterwarnings("ignore:retrieval.search=top_only")
def test_a_beam_without_effect_is_announced():
    bank, _ = planted()
    for search in ("flat", "random", "top_only"):
        with pytest.warns(UserWarning, match=f"retrieval.beam=20 has no effect with retrieval.search={search}"):
            Reader(bank, RetrievalConfig(search=search, beam=20))


def test_the_way_down_a_large_tree_scores_few_of_its_nodes():
    rng = np.random.default_rng(0)
    captions = rng.standard_normal((20_000, WIDTH)).astype(np.float32)
    below, levels = captions, []
    while len(below) > 10:
        children = tuple(np.array_split(np.arange(len(below)), -(-len(below) // 4)))
        below = np.stack([below[ids].mean(axis=0) for ids in children])
        levels.append(Level(("x",) * len(below), below, children, np.full(len(below), -1)))
    leaves = Leaves(("x",) * len(captions), captions, ("v",) * len(captions), np.arange(len(captions)))
    bank = Bank(tuple(levels), leaves)
    queries = Queries(Tables(bank), rng.standard_normal((2, 3, WIDTH)).astype("f"), np.ones((2, 3), bool), [None] * 2)
    kept = descend.search(queries, RetrievalConfig(), list(range(bank.depth + 1)))
    assert list(kept.nodes) == list(range(bank.depth, -1, -1))
    candidates = 6 * 4 * 10  # of six windows at a level
    assert queries.cosines < candidates * (bank.depth + 1) + 6 * 4 * 10 * scoring.GATHER * 2 < 6 * len(captions)


@pytest.mark.parametrize("beam", [0, 5])
def test_a_wide_read_hands_over_top_k(beam):
    rng = np.random.default_rng(0)
    bank = random_bank(rng, captions=60, depth=2)
    frames, mask = frames_of(rng, 2, 12)
    found = Reader(bank, RetrievalConfig(windows=3, top_k=2, beam=beam, levels=[2], mask_padding=False)).read(
        frames, mask)
    np.testing.assert_allclose(found.vectors, bank.level(2).embeddings[found.nodes[2][..., :2]].mean(axis=2), atol=1e-6)
    wider = Reader(bank, RetrievalConfig(windows=3, top_k=2, beam=beam, levels=[2, 0], read="levels",
                                         mask_padding=False)).read(frames, mask)
    assert wider.nodes[2].shape[2] == (beam or 2) and wider.nodes[0].shape[2] == 2
    np.testing.assert_allclose(wider.vectors[:, ::2], found.vectors, atol=1e-6)
