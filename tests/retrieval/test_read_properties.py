"""The batched read against the loops of naive_read.py, and what must hold for any bank."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_read import WIDTH, frames_of, garbled, naive_query, naive_read, random_bank

from hicm.config import RetrievalConfig
from hicm.retrieval import scoring
from hicm.retrieval.reader import Reader

pytestmark = [pytest.mark.filterwarnings(f"ignore:retrieval.{name}") for name in ("search=top_only", "beam")]

searches = st.builds(
    RetrievalConfig,
    search=st.sampled_from(["descend", "descend", "top_only", "flat"]),
    select=st.sampled_from(["top-k", "max", "similarity"]),
    windows=st.sampled_from([1, 3, 4]),
    top_k=st.integers(1, 5),
    threshold=st.sampled_from([0.13, 0.37, 0.61]),
    beam=st.sampled_from([0, 0, 5, 8]),
    levels=st.lists(st.integers(0, 3), max_size=3, unique=True),
    flat_level=st.integers(0, 3),
    tail=st.sampled_from(["spread", "drop"]),
    mask_padding=st.booleans(),
    precision=st.sampled_from(["float32", "stored"]),
).filter(lambda settings: settings.search != "top_only" or 0 not in settings.levels)  # which is refused
seeds = st.integers(0, 2**31)
gathers = st.sampled_from([0, scoring.GATHER])  # 0: candidates are scored one by one, however many they are


@given(searches, seeds, st.booleans(), st.booleans(), st.booleans(), gathers)
@settings(max_examples=300, deadline=None)
def test_batched_read_equals_the_loops(retrieval, seed, exact, half, leave_out, gather):
    """``exact`` banks are full of ties, which the candidate order decides; zero queries come from the padding."""
    if exact:  # windows of four like rows have means without rounding
        retrieval = dataclasses.replace(retrieval, windows=3)
    rng = np.random.default_rng(seed)
    bank = random_bank(rng, exact=exact, dtype=np.float16 if half else np.float32)
    frames, mask = frames_of(rng, 3, 12, exact)
    exclude = ["video-00000", None, "video-00009"] if leave_out else None
    with mock.patch.object(scoring, "GATHER", gather):
        read = Reader(bank, retrieval).read(frames, mask, exclude)
    assert read.vectors.shape == (3, retrieval.windows, WIDTH)
    assert read.vectors.dtype == np.float32
    for b in range(3):
        for w in range(retrieval.windows):
            query = naive_query(frames[b], mask[b], retrieval, w)
            assert read.mask[b, w] == (query is not None)
            if query is None:
                assert not read.vectors[b, w].any()
                assert all((nodes[b, w] == -1).all() for nodes in read.nodes.values())
                continue
            vector, kept = naive_read(bank, query, exclude and exclude[b], retrieval)
            for level, nodes in read.nodes.items():
                found = nodes[b, w] >= 0
                expected = kept.get(level, [])
                assert nodes[b, w][found].tolist() == [node for node, _, _ in expected]
                assert read.stand_in[level][b, w][found].tolist() == [leaf for _, _, leaf in expected]
                np.testing.assert_allclose(read.scores[level][b, w][found], [score for _, score, _ in expected],
                                           atol=1e-6)
                assert not found[found.sum():].any()  # padding comes last
            step = 2e-3 if half and retrieval.precision == "stored" else 2e-6  # one unit of float16 around 1 to 2
            np.testing.assert_allclose(read.vectors[b, w], vector, atol=step)


@given(searches.filter(lambda s: s.search == "descend"), seeds)
@settings(max_examples=60, deadline=None)
def test_every_visited_node_is_a_child_of_a_kept_one(retrieval, seed):
    rng = np.random.default_rng(seed)
    bank = random_bank(rng, depth=4, captions=40, exact=False)
    read = Reader(bank, retrieval).read(*frames_of(rng, 2, 12, exact=False))
    assert list(read.nodes) == list(range(4, min(retrieval.levels or [1]) - 1, -1))
    for upper, lower in zip(list(read.nodes)[:-1], list(read.nodes)[1:], strict=True):
        for b, w in np.ndindex(read.mask.shape):
            children = [child for node in read.nodes[upper][b, w] if node >= 0
                        for child in bank.level(upper).children[node]]
            visited = read.nodes[lower][b, w]
            visited = visited[visited >= 0].tolist()
            assert set(visited) <= set(children)
            assert len(set(visited)) == len(visited)


@given(searches, seeds, st.sampled_from([0.0, 0.5, 1.0]), gathers)
@settings(max_examples=160, deadline=None)
def test_what_a_video_wrote_never_reaches_it(retrieval, seed, written, gather):
    rng = np.random.default_rng(seed)
    bank = random_bank(rng, exact=False, written=written)
    video = bank.leaves.videos[0]
    changed = garbled(bank, video, rng)
    frames, mask = frames_of(rng, 2, 12, exact=False)
    for search in (retrieval.search, "random"):
        retrieval = dataclasses.replace(retrieval, search=search)
        with mock.patch.object(scoring, "GATHER", gather):
            read, again = (Reader(b, retrieval).read(frames, mask, [video, video], ["a", "b"])
                           for b in (bank, changed))
        np.testing.assert_array_equal(read.vectors, again.vectors)
        for level, nodes in read.nodes.items():
            np.testing.assert_array_equal(nodes, again.nodes[level])
            np.testing.assert_array_equal(read.stand_in[level], again.stand_in[level])
            for node, leaf in zip(nodes[nodes >= 0], read.stand_in[level][nodes >= 0], strict=True):
                texts = changed.level(level).texts if level else changed.leaves.texts
                assert (changed.leaves.texts[leaf] if leaf >= 0 else texts[node]) != "OWN"


def test_a_video_is_known_by_its_youtube_id():
    bank = random_bank(np.random.default_rng(0))  # ids of 11 characters
    frames, mask = frames_of(np.random.default_rng(1), 1, 12)
    reader = Reader(bank, RetrievalConfig(search="flat", flat_level=0, windows=3, top_k=100))
    for spelling in ("video-00000", "v_video-00000", "0_video-00000"):
        nodes = reader.read(frames, mask, [spelling]).nodes[0]
        assert all(bank.leaves.videos[node] != "video-00000" for node in nodes[nodes >= 0])
    assert reader.read(frames, mask, ["stranger"]).nodes[0].shape[2] == 24


def test_random_nodes_depend_on_video_and_window_alone():
    rng = np.random.default_rng(0)
    bank = random_bank(rng, captions=60, depth=2)
    retrieval = RetrievalConfig(search="random", windows=4, top_k=3, mask_padding=False)
    reader = Reader(bank, retrieval)
    (frames, mask), (others, _) = frames_of(rng, 2, 12), frames_of(rng, 2, 12)
    read = reader.read(frames, mask, ids=["a", "b"])
    swapped = reader.read(others, mask, ids=["b", "a"])
    for level, nodes in read.nodes.items():
        np.testing.assert_array_equal(nodes, swapped.nodes[level][::-1])
        assert nodes.shape == (2, 4, 3)
        assert all(len(set(row)) == 3 for row in nodes.reshape(-1, 3).tolist())
    assert not np.array_equal(read.nodes[1][0], read.nodes[1][1])
    assert not np.array_equal(read.nodes[1][0, 0], read.nodes[1][0, 1])
    other_seed = Reader(bank, dataclasses.replace(retrieval, seed=1)).read(frames, mask, ids=["a", "b"])
    assert not np.array_equal(read.nodes[1], other_seed.nodes[1])
    np.testing.assert_allclose(read.vectors[0, 0], np.mean([bank.level(level).embeddings[read.nodes[level][0, 0]]
                                                            .mean(axis=0) for level in (1, 2)], axis=0), atol=1e-6)
