"""Average linkage and k-means: what must hold for any points, and average linkage against scikit-learn's."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import AgglomerativeClustering

from hicm.errors import UserError
from hicm.memory.hierarchies import agglomerative as agglomerative_module
from hicm.memory.hierarchies import kmeans as kmeans_module
from hicm.memory.hierarchies.agglomerative import agglomerative
from hicm.memory.hierarchies.kmeans import kmeans

BOTH = pytest.mark.parametrize("cluster", [agglomerative, kmeans])
seeds = st.integers(0, 2**31)


def cloud(seed: int, count: int, copies: int = 0) -> np.ndarray:
    """Points around a few centres, ``copies`` of them written down again at random places."""
    rng = np.random.default_rng(seed)
    centres = 2 * rng.standard_normal((max(count // 8, 1), 12))
    points = centres[rng.integers(0, len(centres), count)] + rng.standard_normal((count, 12))
    points = np.concatenate([points, points[rng.integers(0, count, copies)]])
    return rng.permutation(points).astype(np.float32)


def numbered(labels: np.ndarray) -> np.ndarray:
    names = {}
    return np.asarray([names.setdefault(label, len(names)) for label in labels.tolist()])


@BOTH
@given(seed=seeds, count=st.integers(1, 150), copies=st.integers(0, 40), branching=st.integers(2, 6),
       top=st.integers(1, 12))
@settings(max_examples=40)
def test_partitions_are_nested_numbered_and_shrink(cluster, seed, count, copies, branching, top):
    points = cloud(seed, count, copies)
    labels = cluster(points, branching, top)
    assert labels.dtype == np.int64 and labels.shape[0] == len(points) and labels.shape[1] >= 1
    for column in labels.T:
        np.testing.assert_array_equal(column, numbered(column))
        assert column.max() > 0 or labels.shape[1] == 1
    for fine, coarse in zip(labels.T[:-1], labels.T[1:], strict=True):
        assert len(np.unique(np.stack([fine, coarse]), axis=1).T) == fine.max() + 1
        assert coarse.max() < fine.max()
    _, twin = np.unique(points, axis=0, return_inverse=True)
    assert len(np.unique(np.stack([twin.ravel(), labels[:, 0]]), axis=1).T) == count  # copies stay together
    np.testing.assert_array_equal(labels, cluster(points.copy(), branching, top))


@given(seed=seeds, count=st.integers(2, 120), branching=st.integers(2, 6), top=st.integers(1, 12))
@settings(max_examples=60)
def test_average_linkage_equals_scikit_learns_and_does_not_depend_on_the_order(seed, count, branching, top):
    points = cloud(seed, count)
    labels = agglomerative(points, branching, top)
    for column in labels.T:
        theirs = AgglomerativeClustering(int(column.max()) + 1, metric="cosine", linkage="average").fit(points).labels_
        np.testing.assert_array_equal(column, numbered(theirs))
    order = np.random.default_rng(seed).permutation(count)
    shuffled = agglomerative(points[order], branching, top)
    np.testing.assert_array_equal(shuffled, np.stack([numbered(column) for column in labels[order].T], axis=1))


@pytest.mark.parametrize(("count", "branching", "top", "sizes"), [
    (1000, 5, 8, [200, 40, 8]), (999, 5, 8, [199, 39]), (64, 2, 4, [32, 16, 8, 4]), (20, 5, 8, [8]), (9, 5, 8, [4]),
    (40, 5, 1, [8]), (100, 3, 1, [33, 11, 3]), (3, 5, 8, [1]), (2, 5, 8, [1]), (1, 5, 8, [1])])
def test_counts(count, branching, top, sizes):
    points = np.random.default_rng(0).standard_normal((count, 16)).astype(np.float32)
    assert (agglomerative(points, branching, top).max(axis=0) + 1).tolist() == sizes
    found = (kmeans(points, branching, top).max(axis=0) + 1).tolist()
    assert len(found) == len(sizes) and found[-1] == sizes[-1]
    assert np.allclose(found, sizes, rtol=0.15)


@BOTH
def test_planted_clusters_are_found_on_every_level(cluster):
    rng = np.random.default_rng(0)
    coarse = np.repeat(np.eye(4, 32), 16, axis=0)
    fine = 0.3 * np.tile(np.repeat(np.eye(4, 32, 10), 4, axis=0), (4, 1))
    order = rng.permutation(64)
    points = (coarse + fine + 0.01 * rng.standard_normal((64, 32)))[order]
    labels = cluster(points * rng.uniform(0.1, 9, (64, 1)), branching=4, top=4)  # lengths are not looked at
    np.testing.assert_array_equal(labels, np.stack([numbered(order // 4), numbered(order // 16)], axis=1))


def test_seeds_decide_k_means():
    points = cloud(3, 400)
    assert not np.array_equal(kmeans(points, seed=0)[:, 0][:400], kmeans(points, seed=1)[:, 0][:400])
    np.testing.assert_array_equal(kmeans(points, seed=1), kmeans(points, seed=1))


def test_large_clusters_go_by_batches(monkeypatch):
    points = cloud(5, 600)
    monkeypatch.setattr(kmeans_module, "LARGE", 100)
    labels = kmeans(points)
    assert labels.shape[1] == 2 and 18 <= labels[:, 1].max() + 1 <= 30
    np.testing.assert_array_equal(labels, kmeans(points))


@BOTH
@pytest.mark.parametrize(("points", "expected"), [
    ([[1, 0]], [[0]]), ([[1, 0], [0, 1]], [[0], [0]]), ([[1, 2]] * 50, [[0]] * 50), ([[0, 0]] * 3, [[0]] * 3),
    ([[0.0, 1], [-0.0, 1]] * 2, [[0]] * 4),
    ([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 0], [0, 1]], [[0], [0], [1], [1], [0], [1]])])
def test_few_points_and_copies(cluster, points, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cluster(np.asarray(points, np.float16)).tolist() == expected


@BOTH
def test_points_that_hardly_differ(cluster):
    """Differences that vanish in sums: fewer clusters than planned may come out, but no crash and no warning."""
    points = np.ones((300, 4), np.float32)
    points[:, 0] += np.linspace(0, 1e-5, 300, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels = cluster(points)
    assert (np.diff(labels.max(axis=0)) < 0).all()


@BOTH
def test_bad_input(cluster):
    points = np.eye(3, dtype=np.float32)
    with pytest.raises(UserError, match="no points to cluster"):
        cluster(points[:0])
    with pytest.raises(UserError, match=r"memory\.branching=1: expected 2 or more"):
        cluster(points, branching=1)
    with pytest.raises(UserError, match=r"memory\.top=0: expected 1"):
        cluster(points, top=0)


def test_too_many_points_for_all_distances(monkeypatch):
    with pytest.raises(UserError, match=r"20,001 different captions need 200,010,000 distances.*use kmeans or finch"):
        agglomerative(np.random.default_rng(0).standard_normal((20_001, 2)).astype(np.float32))
    monkeypatch.setattr(agglomerative_module, "MOST", 30)
    assert agglomerative(np.repeat(cloud(0, 30), 5, axis=0)).shape == (150, 1)  # copies cost nothing
