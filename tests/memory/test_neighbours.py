"""Nearest neighbours: against float64 written plainly, whatever block, device or cell they were found in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.errors import UserError
from hicm.memory import neighbours as module
from hicm.memory.neighbours import approximate, cells, exact, first_neighbours, gpu, projected
from hicm.memory.neighbours import rows as rows_module
from hicm.memory.neighbours.rows import Rows

SEEDS = st.integers(0, 2**31)


def crowd(rng: np.random.Generator, count: int, width: int = 12, dtype: type = np.float32) -> np.ndarray:
    """A few rows again and again: as they are, with the last bits of some numbers changed, or twice as long."""
    kinds = rng.standard_normal((max(count // 6, 1), width)).astype(dtype)
    rows = kinds[rng.integers(0, len(kinds), count)]
    rows *= 1 + rng.integers(-2, 3, rows.shape) * rng.integers(0, 2, (count, 1)) * np.finfo(dtype).eps
    rows *= 2.0 ** rng.integers(0, 2, (count, 1))
    return rows.astype(dtype)


def clustered(rng: np.random.Generator, count: int, width: int = 32) -> np.ndarray:
    centres = 2 * rng.standard_normal((count // 20, width))
    return (centres[rng.integers(0, len(centres), count)] + rng.standard_normal((count, width))).astype(np.float32)


def plain(rows: Rows) -> np.ndarray:
    """Neighbours out of all exact cosines; identical rows first."""
    count = len(rows)
    i, j = np.divmod(np.arange(count**2), count)
    cosines = rows.cosines(i, j).reshape(count, count)
    same = (rows.values[:, None] == rows.values[None]).all(axis=2)
    twin = same.argmax(axis=1)
    cosines[:, twin != np.arange(count)] = -2  # all others see the first of identical rows
    cosines[same] = 2
    np.fill_diagonal(cosines, -3)
    return cosines.argmax(axis=1)


@given(SEEDS, st.integers(2, 60), st.sampled_from([1, 3, 7, 1024]), st.sampled_from([np.float32, np.float16]))
@settings(max_examples=60, deadline=None)
def test_near_ties_and_twins_whatever_the_block(seed, count, block, dtype):
    rows = Rows(crowd(np.random.default_rng(seed), count, dtype=dtype).astype(np.float32))
    found, agreement = first_neighbours(rows, "exact", block=block)
    np.testing.assert_array_equal(found, plain(rows))
    assert agreement is None


@given(SEEDS, st.integers(1, 700), st.integers(2, 40), st.floats(-12, 12))
@settings(max_examples=60, deadline=None)
def test_float32_products_stay_within_the_margin(seed, width, count, power):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((count, width)) * np.exp(rng.standard_normal(width)) * 10**power
    for dtype in (np.float32, np.float64):
        rows = Rows(values.astype(dtype))
        i, j = np.divmod(np.arange(count**2), count)
        unit = rows.unit(np.arange(count))
        assert np.abs((unit @ unit.T).ravel() - rows.cosines(i, j)).max() <= rows.margin / 2
        assert np.abs(unit[0, 0] * np.sqrt(rows.squares[0]) / rows.values[0, 0] - 1) < 1e-6


@given(SEEDS, st.integers(1, 50), st.integers(1, 900))
@settings(max_examples=60, deadline=None)
def test_a_cosine_depends_on_its_two_rows_alone(seed, count, width):
    rng = np.random.default_rng(seed)
    rows = Rows(rng.standard_normal((count, width)).astype(np.float32))
    i, j = rng.integers(0, count, (2, 40))
    together = rows.cosines(i, j)
    alone = [rows.cosines(i[k:k + 1], j[k:k + 1])[0] for k in range(40)]
    assert together.tolist() == alone == rows.cosines(j, i).tolist()
    assert (rows.cosines(i, i) == 1).all()


def test_small_chunks_change_nothing(monkeypatch):
    values = clustered(np.random.default_rng(5), 300)
    rows, (expected, _) = Rows(values), first_neighbours(Rows(values), "exact")
    monkeypatch.setattr(rows_module, "CHUNK", 7)
    again = Rows(values)
    assert again.squares.tolist() == rows.squares.tolist()
    np.testing.assert_array_equal(first_neighbours(again, "exact", block=16)[0], expected)


@pytest.mark.parametrize("block", [5, 64, 1024])
def test_many_equal_cosines_are_settled_in_between(monkeypatch, block):
    """Of orthogonal rows each is as near as any other: the first one is, and for the first the second."""
    monkeypatch.setattr(exact, "HELD", 100)
    rows = Rows(np.eye(150, dtype=np.float32)[::-1])
    assert first_neighbours(rows, "exact", block=block)[0].tolist() == [1] + [0] * 149


def test_signed_zeros_are_identical_and_a_row_of_zeros_is_near_to_none():
    rows = Rows(np.array([[0., 1], [1, 1], [-0., 1], [0, 0]], np.float32))
    assert rows.twins().tolist() == [0, 1, 0, 3]
    assert first_neighbours(rows, "exact")[0].tolist() == [2, 0, 0, 0]
    assert rows.cosines(np.array([3, 3]), np.array([0, 3])).tolist() == [0, 0]


@given(SEEDS, st.integers(2, 100), st.sampled_from([9, 64, 8192]))
@settings(max_examples=25, deadline=None)
def test_torch_finds_the_same(seed, count, block):
    pytest.importorskip("torch")
    rows = Rows(crowd(np.random.default_rng(seed), count))
    own = np.unique(rows.twins())
    if len(own) > 1:
        np.testing.assert_array_equal(gpu.nearest(rows, own, "cpu", block), exact.nearest(rows, own))


def test_torch_computes_in_full_precision_and_leaves_the_setting():
    torch = pytest.importorskip("torch")
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with gpu._full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_many_rows_go_to_the_device(monkeypatch):
    rows = Rows(clustered(np.random.default_rng(0), 200))
    monkeypatch.setattr(module, "GPU_FROM", 200)
    monkeypatch.setattr(gpu, "available", lambda: True)
    monkeypatch.setattr(gpu, "nearest", lambda rows, own: np.full(len(own), 7))
    assert first_neighbours(rows, "exact")[0].tolist() == [7] * 200
    monkeypatch.setattr(gpu, "available", lambda: False)
    assert first_neighbours(rows, "exact")[0].tolist() == plain(rows).tolist()


def test_approximate_neighbours_agree_and_say_how_well():
    rng = np.random.default_rng(3)
    values = clustered(rng, 3000)
    rows = Rows(np.concatenate([values, values[:50]]))
    expected, _ = first_neighbours(rows, "exact")
    found, agreement = first_neighbours(rows, "approximate", seed=1)
    assert np.mean(found == expected) > 0.9 and abs(agreement - np.mean(found == expected)) < 0.03
    assert found[3000:].tolist() == list(range(50)) and found[:50].tolist() == list(range(3000, 3050))
    again, _ = first_neighbours(rows, "approximate", seed=1)
    np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize("dimensions", [2, 32])
def test_the_agreement_is_that_of_all_rows_when_they_are_few(monkeypatch, dimensions):
    monkeypatch.setattr(approximate, "WANTED", 0)
    monkeypatch.setattr(approximate, "PROBES", (1,))
    rows = Rows(clustered(np.random.default_rng(4), 900, dimensions))
    found, agreement = first_neighbours(rows, "approximate")
    assert agreement == np.mean(found == plain(rows)) and 0.2 < agreement < 1


def test_more_cells_are_read_where_few_agree_badly(monkeypatch):
    rows = Rows(np.random.default_rng(4).standard_normal((2000, 24)).astype(np.float32))  # no clusters at all
    found = []
    for wanted in (0, 0.5):
        monkeypatch.setattr(approximate, "PROBES", (1, 8, 32))
        monkeypatch.setattr(approximate, "WANTED", wanted)
        found.append(first_neighbours(rows, "approximate")[1])
    assert found[0] < 0.5 < found[1] < 1


def test_all_pairs_are_compared_where_no_number_of_cells_is_enough(monkeypatch):
    rows = Rows(np.random.default_rng(4).standard_normal((2000, 24)).astype(np.float32))
    monkeypatch.setattr(approximate, "PROBES", (1, 8))
    with pytest.warns(UserWarning, match=r"agree .* for \d\d\.\d% of rows.*; all 4\.0e\+06 pairs are compared instead"):
        found, agreement = first_neighbours(rows, "approximate")
    np.testing.assert_array_equal(found, first_neighbours(rows, "exact")[0])
    assert agreement == 1


def test_approximate_neighbours_are_kept_where_there_are_too_many_pairs(monkeypatch):
    rows = Rows(np.random.default_rng(4).standard_normal((2000, 24)).astype(np.float32))
    monkeypatch.setattr(approximate, "PROBES", (1, 8))
    monkeypatch.setattr(approximate, "MOST_PAIRS", 2000**2 - 1)
    with pytest.warns(UserWarning, match=r"4\.0e\+06 pairs are too many to compare; the approximate ones are used"):
        found, agreement = first_neighbours(rows, "approximate")
    assert 0.3 < agreement == np.mean(found == first_neighbours(rows, "exact")[0]) < approximate.WANTED


@pytest.mark.parametrize("count", [2, 3, 9, 40])
def test_a_row_alone_in_its_cells_is_compared_with_all(monkeypatch, count):
    monkeypatch.setattr(approximate, "WANTED", 0)
    monkeypatch.setattr(approximate, "PROBES", (1,))
    rng = np.random.default_rng(count)
    values = np.eye(count, 64) + 0.01 * rng.standard_normal((count, 64))
    rows = Rows(np.concatenate([values, -values[:1]]).astype(np.float32))
    found, _ = first_neighbours(rows, "approximate")
    assert (found != np.arange(count + 1)).all() and (found >= 0).all() and (found <= count).all()


def test_auto_is_approximate_above_the_limit(monkeypatch):
    rows = Rows(clustered(np.random.default_rng(0), 200))
    monkeypatch.setattr(approximate, "nearest", lambda rows, own, seed: (own[::-1], 0.5))
    assert first_neighbours(rows)[1] is None
    monkeypatch.setattr(module, "EXACT_UP_TO", 199)
    assert first_neighbours(rows)[1] == 0.5
    assert first_neighbours(rows, "exact")[1] is None


def test_an_unknown_kind_of_neighbours():
    with pytest.raises(UserError, match="auto, exact or approximate"):
        first_neighbours(Rows(np.eye(3, dtype=np.float32)), "nearly")


@given(SEEDS, st.integers(2, 150), st.sampled_from([3, 1024]))
@settings(max_examples=15, deadline=None)
def test_where_every_cell_is_searched_the_nearest_is_found(seed, count, block):
    """Near ties and twins included, and in however many rounds."""
    rows = Rows(crowd(np.random.default_rng(seed), count))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approximate, "PROBES", (1, 2, 1000))
        patch.setattr(approximate, "WANTED", 2)
        patch.setattr(approximate, "BLOCK", block)
        np.testing.assert_array_equal(first_neighbours(rows, "approximate", seed)[0], plain(rows))


@given(SEEDS, st.integers(1, 200), st.integers(1, 40))
@settings(max_examples=15, deadline=None)
def test_cells_hold_every_row_once_and_are_asked_at_most_once(seed, count, most):
    rows = Rows(crowd(np.random.default_rng(seed), count))
    found = cells.Cells(rows, np.arange(count), seed)
    assert sorted(np.concatenate(found.members)) == list(range(count))
    askers = found.askers(1, most + 1)
    for members, asking in zip(found.members, askers, strict=True):
        assert len({*members, *asking}) == len(members) + len(asking)
    assert sum(map(len, askers)) == count * min(most, len(found.members) - 1)


def test_approximate_neighbours_of_clusters_agree_with_the_exact_ones():
    rng = np.random.default_rng(8)
    spread = rng.standard_normal((24, 96))
    rows = Rows((clustered(rng, 6000, 24) @ spread).astype(np.float32))
    found, agreement = first_neighbours(rows, "approximate")
    assert agreement >= 0.995 and np.mean(found == first_neighbours(rows, "exact")[0]) >= 0.995


def test_approximate_neighbours_do_not_depend_on_the_number_of_threads(monkeypatch):
    limits = pytest.importorskip("threadpoolctl").threadpool_limits
    monkeypatch.setattr(approximate, "WANTED", 0.3)
    monkeypatch.setattr(approximate, "PROBES", (1, 3))
    rows = Rows(np.random.default_rng(9).standard_normal((2500, 32)).astype(np.float32))
    found = []
    for threads in (1, 2):
        with limits(threads, "blas"):
            found.append(first_neighbours(rows, "approximate"))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1] < 1


@given(SEEDS, st.integers(60, 150), st.sampled_from([3, 32, 1024]), st.integers(1, 24), st.floats(0, 0.3))
@settings(max_examples=40, deadline=None)
def test_projected_rows_rule_out_no_nearest_one(seed, count, block, rank, noise):
    """Rows near few dimensions, some twice or nearly so, one of zeros; the bound is at least every cosine."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((count, rank)) @ rng.standard_normal((rank, 60))
    values += noise * rng.standard_normal((count, 60))
    values[:6] = values[6:12] * (1 + 1e-7 * rng.standard_normal((6, 60)))
    values[12] = 0
    rows = Rows(values.astype(np.float32))
    own = np.flatnonzero(rows.twins() == np.arange(count))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projected, "FROM", 2)
        patch.setattr(projected, "LEFT", 2.0)
        found = projected.projected_rows(exact.unit_rows(rows, own))
        assert found.shape == (len(own), projected.STEP + 1)
        i, j = np.divmod(np.arange(len(own)**2), len(own))
        bounds = np.einsum("nd,nd->n", found[i], found[j])
        assert (bounds >= rows.cosines(own[i], own[j]) - rows.margin / 2)[i != j].all()
        np.testing.assert_array_equal(first_neighbours(rows, "exact", block=block)[0], plain(rows))


def test_projected_rows_are_used_where_they_pay():
    rng = np.random.default_rng(0)
    near = rng.standard_normal((projected.FROM, 20)) @ rng.standard_normal((20, 96))
    everywhere = rng.standard_normal((projected.FROM, 96))

    def project(values: np.ndarray) -> np.ndarray | None:
        return projected.projected_rows(exact.unit_rows(Rows(values.astype(np.float32)), np.arange(len(values))))

    assert project(near).shape[1] == 33
    assert project(everywhere) is None
    assert project(near[:-1]) is None, "few rows are quickly multiplied"
    assert project(near[:, :40]) is None, "not three times shorter"
