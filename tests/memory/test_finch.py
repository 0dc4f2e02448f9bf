"""FINCH against hicm2.md 5.2 written with full matrices, and what must hold for any points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.errors import UserError
from hicm.memory.hierarchies import finch as module
from hicm.memory.hierarchies.finch import cluster, finch
from hicm.memory.neighbours import first_neighbours
from hicm.memory.neighbours.rows import Rows


def distances(rows: np.ndarray) -> np.ndarray:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    between = np.round(np.clip(1 - unit @ unit.T, 0, 2), 12)  # identical rows are at distance 0
    np.fill_diagonal(between, 1e12)
    return between


def adjacency(between: np.ndarray) -> np.ndarray:
    count = len(between)
    one_hot = np.eye(count)[between.argmin(axis=1)] + np.eye(count)
    links = one_hot @ one_hot.T
    np.fill_diagonal(links, 0)
    return links


def components(links: np.ndarray) -> np.ndarray:
    labels, found = np.full(len(links), -1), 0
    for start in range(len(links)):
        if labels[start] < 0:
            waiting = [start]
            while waiting:
                node = waiting.pop()
                if labels[node] < 0:
                    labels[node] = found
                    waiting.extend(np.flatnonzero(links[node]))
            found += 1
    return labels


def naive_finch(points: np.ndarray, early_exit: bool) -> np.ndarray:
    points = points.astype(np.float32).astype(np.float64)
    between = distances(points)
    links = adjacency(between)
    labels = components(links)
    widest = (between * links).max() if early_exit and len(points) > 2 else np.inf
    partitions = [labels]
    while labels.max() > 0:
        means = np.stack([points[labels == cluster].mean(axis=0) for cluster in range(labels.max() + 1)])
        between = distances(means)
        links = adjacency(between)
        links[between * links > widest] = 0
        merged = components(links)
        before, after = labels.max() + 1, merged.max() + 1
        if after in (1, before):
            break
        labels = merged[labels]
        partitions.append(labels)
        if before - after == 1:
            break
    return np.stack(partitions, axis=1)


def cloud(rng: np.random.Generator, count: int, copies: int = 0) -> np.ndarray:
    """Points around a few centres, some of them written down twice or more."""
    centres = 2 * rng.standard_normal((max(count // 8, 1), 12))
    points = centres[rng.integers(0, len(centres), count)] + rng.standard_normal((count, 12))
    return np.concatenate([points, points[rng.integers(0, count, copies)]]).astype(np.float32)


@given(st.integers(0, 2**31), st.integers(1, 90), st.integers(0, 12), st.booleans(), st.sampled_from([1, 3, 1024]))
@settings(max_examples=100, deadline=None)
def test_equals_the_equations(seed, count, copies, early_exit, block):
    points = cloud(np.random.default_rng(seed), count, copies)
    np.testing.assert_array_equal(finch(points, early_exit, block), naive_finch(points, early_exit))


@given(st.integers(0, 2**31), st.integers(1, 90), st.sampled_from([np.float32, np.float16]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_near_ties_do_not_depend_on_the_block(seed, count, dtype, early_exit):
    rng = np.random.default_rng(seed)
    kinds = rng.integers(-2, 3, (max(count // 5, 1), 6)).astype(dtype)  # many distances are equal
    points = kinds[rng.integers(0, len(kinds), count)]
    points *= 1 + rng.integers(-1, 2, points.shape) * rng.integers(0, 2, (count, 1)) * np.finfo(dtype).eps
    expected = finch(points, early_exit, block=1024)
    for block in (2, 7, 32):
        np.testing.assert_array_equal(finch(points, early_exit, block), expected)
    np.testing.assert_array_equal(finch(points.astype(np.float64), early_exit), expected)
    np.testing.assert_array_equal(finch(np.asfortranarray(points), early_exit), expected)


@given(st.integers(0, 2**31), st.integers(2, 200), st.booleans())
@settings(max_examples=60, deadline=None)
def test_partitions_are_nested_and_do_not_depend_on_the_order_of_points(seed, count, early_exit):
    rng = np.random.default_rng(seed)
    points = cloud(rng, count)
    labels = finch(points, early_exit)
    for column in labels.T:
        _, first = np.unique(column, return_index=True)
        assert (np.diff(first) > 0).all()  # numbered by first point, from 0 without gaps
        assert column.max() + 1 == len(first)
    for fine, coarse in zip(labels.T[:-1], labels.T[1:], strict=True):
        assert len(np.unique(np.stack([fine, coarse]), axis=1).T) == fine.max() + 1
        assert coarse.max() < fine.max()
    order = rng.permutation(count)
    shuffled = finch(points[order], early_exit)
    assert shuffled.shape == labels.shape
    for before, after in zip(labels[order].T, shuffled.T, strict=True):
        assert len(np.unique(np.stack([before, after]), axis=1).T) == before.max() + 1 == after.max() + 1


@given(st.integers(0, 2**31), st.integers(3, 60), st.sampled_from([2, 5, 1024]))
@settings(max_examples=60, deadline=None)
def test_widest_link_and_links_are_those_of_all_pairs(seed, count, block):
    """Limits that are the very distance of a pair: that pair still counts."""
    rng = np.random.default_rng(seed)
    rows = Rows(cloud(rng, count, copies=3))
    nearest, _ = first_neighbours(rows, "exact")
    between = 1 - rows.cosines(*np.divmod(np.arange(len(rows)**2), len(rows))).reshape(len(rows), len(rows))
    one_hot = np.eye(len(rows))[nearest] + np.eye(len(rows))
    links = one_hot @ one_hot.T
    np.fill_diagonal(links, 0)
    assert module._widest_link(rows, nearest, block) == (between * links).max()
    for widest in rng.choice(between[links == 1], 5) if (links == 1).any() else []:
        expected = components(np.where(between * links <= widest, links, 0))
        found = module._components(len(rows), module._links(rows, nearest, widest, block))
        np.testing.assert_array_equal(found, expected)


def test_links_may_be_folded_in_at_any_time(monkeypatch):
    points = cloud(np.random.default_rng(1), 300)
    expected = finch(points)
    monkeypatch.setattr(module, "PAIRS", 7)
    np.testing.assert_array_equal(finch(points, block=2), expected)


def test_a_hub_and_its_neighbours():
    """One point that is everybody's nearest: the number of pairs is the square of the number of points."""
    points = np.concatenate([np.eye(1, 400), np.eye(1, 400) + 0.9 * np.eye(400)[1:]])
    np.testing.assert_array_equal(finch(points, block=16), np.zeros((400, 1)))


@pytest.mark.parametrize(("points", "expected"), [
    ([[1, 0]], [[0]]), ([[1, 0], [0, 1]], [[0], [0]]), ([[1, 2]] * 4, [[0]] * 4),
    ([[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]], [[0], [1], [0], [1], [0]]),
])
def test_few_points_and_copies(points, expected):
    assert finch(np.asarray(points, np.float32)).tolist() == expected


@pytest.mark.parametrize("seed", range(12))
def test_equals_the_package_of_the_authors(seed):
    """Without the guard: in finch-clust 0.2.3 it has no effect, as links set to 0 stay links of the sparse graph.

    It also drops a last partition of one cluster less than the one before, which the equations keep.
    """
    package = pytest.importorskip("finch", reason="finch-clust is not installed (pip install finch-clust)")
    rng = np.random.default_rng(seed)
    points = cloud(rng, int(rng.integers(20, 600)))
    labels = finch(points, early_exit=False)
    if labels.shape[1] > 1 and labels[:, -2].max() - labels[:, -1].max() == 1:
        labels = labels[:, :-1]
    np.testing.assert_array_equal(labels, package.FINCH(points, distance="cosine", verbose=False)[0])


def test_approximate_neighbours_give_nearly_the_same_partitions():
    points = cloud(np.random.default_rng(2), 3000, copies=30)
    exact, near = cluster(points), cluster(points, neighbours="approximate", seed=3)
    assert exact.agreement is None and near.agreement > 0.9
    counts, expected = near.labels.max(axis=0) + 1, exact.labels.max(axis=0) + 1
    assert abs(counts[0] / expected[0] - 1) < 0.1 and len(counts) > 1
    for row in range(3000, 3030):
        first = np.flatnonzero((points[:3000] == points[row]).all(axis=1))[0]
        assert (near.labels[row] == near.labels[first]).all()
    np.testing.assert_array_equal(cluster(points, neighbours="approximate", seed=3).labels, near.labels)


def test_partitions_are_equal_where_approximate_neighbours_agree():
    points = np.random.default_rng(6).permutation(np.repeat(np.eye(40, 48), 20, axis=0))
    points += 0.05 * np.random.default_rng(7).standard_normal(points.shape)
    exact, near = cluster(points), cluster(points, neighbours="approximate")
    assert near.agreement == 1
    np.testing.assert_array_equal(near.labels, exact.labels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_a_point_that_is_not_finite(value):
    points = np.ones((5, 3))
    points[3, 1] = value
    with pytest.raises(UserError, match=r"embedding 3 of 5 .*not finite"):
        finch(points)


def test_numbers_as_large_and_small_as_float32_holds():
    points = cloud(np.random.default_rng(0), 60)
    points /= np.abs(points).max()
    for factor in (3e38, 1e-9):
        np.testing.assert_array_equal(finch(points * np.float32(factor)), finch(points))


@pytest.mark.parametrize("points", [np.ones(4), np.ones((4, 0)), np.ones((2, 2, 2))])
def test_points_of_another_shape(points):
    with pytest.raises(UserError, match=r"expected \[captions, width\]"):
        finch(points)


def test_no_point():
    with pytest.raises(UserError, match="no points to cluster"):
        finch(np.zeros((0, 3), np.float32))
