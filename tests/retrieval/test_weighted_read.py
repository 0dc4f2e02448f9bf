"""The read "weighted": between the plain mean and the nearest node."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_read import frames_of, random_bank

from hicm.config import RetrievalConfig, load_config
from hicm.errors import UserError
from hicm.recipes.memory_reads.conditions import why_not
from hicm.retrieval.reader import Reader

SETTINGS = RetrievalConfig(read="weighted", windows=3, top_k=3, mask_padding=False)


def made(seed):
    rng = np.random.default_rng(seed)
    return random_bank(rng, exact=False), frames_of(rng, 2, 12, exact=False)


@given(st.integers(0, 50), st.sampled_from([0.02, 0.1, 1.0]))
def test_weights_are_the_softmax_of_cosines_within_a_level(seed, temperature):
    bank, frames = made(seed)
    read = Reader(bank, replace(SETTINGS, temperature=temperature)).read(*frames)
    for video in range(2):
        for window in range(3):
            levels = []
            for level, nodes in read.nodes.items():
                there = nodes[video, window] >= 0
                cosines = read.scores[level][video, window][there].astype(np.float64)
                shares = np.exp(cosines / temperature) / np.exp(cosines / temperature).sum()
                levels.append(shares @ bank.level(level).embeddings[nodes[video, window][there]])
            np.testing.assert_allclose(read.vectors[video, window], np.mean(levels, axis=0), rtol=1e-4, atol=1e-5)


def test_equal_cosines_give_the_plain_mean_and_cold_ones_the_best_node():
    bank, frames = made(3)
    mean = Reader(bank, replace(SETTINGS, read="mean")).read(*frames)
    random = [Reader(bank, replace(SETTINGS, read=read, search="random")).read(*frames, ids=["a", "b"]).vectors
              for read in ("mean", "weighted")]
    np.testing.assert_array_equal(*random)
    hot = Reader(bank, replace(SETTINGS, temperature=1e6)).read(*frames).vectors
    np.testing.assert_allclose(hot, mean.vectors, rtol=1e-4, atol=1e-5)
    flat = replace(SETTINGS, search="flat", mask_padding=True)  # a window of padding would be as far from all nodes
    best = Reader(bank, replace(flat, read="mean", top_k=1)).read(*frames).vectors
    np.testing.assert_array_equal(Reader(bank, replace(flat, temperature=1e-6)).read(*frames).vectors, best)
    assert np.count_nonzero(best.any(axis=2)) == 3


def test_a_caption_that_stands_in_has_the_weight_of_its_own_cosine():
    bank, frames = made(4)
    own = bank.leaves.videos[0]
    read = Reader(bank, replace(SETTINGS, levels=[1], temperature=0.2)).read(*frames, exclude=[own, None])
    nodes, stand_ins, scores = (part[1][0] for part in (read.nodes, read.stand_in, read.scores))
    assert (stand_ins >= 0).any()
    for window in range(3):
        there = nodes[window] >= 0
        vectors = np.where((stand_ins[window] >= 0)[:, None], bank.leaves.embeddings[stand_ins[window]],
                           bank.level(1).embeddings[nodes[window]])[there]
        shares = np.exp(scores[window][there].astype(np.float64) / 0.2)
        np.testing.assert_allclose(read.vectors[0, window], shares @ vectors / shares.sum(), rtol=1e-4, atol=1e-5)


def test_a_temperature_without_effect_is_announced_and_one_of_zero_refused():
    with pytest.warns(UserWarning, match=r"retrieval\.temperature=0\.5 has no effect with retrieval\.read=mean"):
        Reader(made(0)[0], RetrievalConfig(temperature=0.5))
    with pytest.raises(UserError, match=r"retrieval\.temperature"):
        load_config(None, ["retrieval.temperature=0"])


def test_zero_vectors_can_be_read_in_place_of_weighted_ones():
    assert not why_not(load_config(None, ["retrieval.read=weighted"]), ("zero",))
