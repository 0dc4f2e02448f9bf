"""Several kinds of features on one clock."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm.config import DataConfig
from hicm.data.features import write_features
from hicm.data.joined import open_all
from hicm.data.samples import open_samples
from hicm.data.streams import join_streams, normalise_rows, pool_rows, with_endpoints
from hicm.errors import UserError
from hicm.files import write_json


def test_rows_are_normalised_and_zeros_stay():
    np.testing.assert_allclose(normalise_rows(np.array([[3.0, 4.0], [0, 0]])), [[0.6, 0.8], [0, 0]])


def test_streams_are_cut_to_the_shortest():
    found = join_streams([np.array([[2.0], [5.0], [1.0]]), np.array([[0.0, -3.0], [4.0, 3.0]])])
    np.testing.assert_allclose(found, [[1, 0, -1], [1, 0.8, 0.6]], rtol=1e-6)
    assert found.dtype == np.float32


@given(st.integers(1, 60), st.integers(1, 60))
def test_pooled_rows(rows, most):
    x = np.arange(rows, dtype=np.float32)[:, None]
    found = pool_rows(x, most)
    assert len(found) == min(rows, most) and (np.diff(found[:, 0]) >= 0).all()
    assert found.min() >= 0 and found.max() <= rows - 1
    if rows <= most:
        np.testing.assert_array_equal(found, x)


def test_bins_are_rounded_half_to_even():
    x = np.arange(5.0, dtype=np.float32)[:, None]
    assert pool_rows(x, 2)[:, 0].tolist() == [0.5, 2.5], "edges 0, 2.5 -> 2, 5 -> 4: the last row is left out"
    assert pool_rows(x, 4)[:, 0].tolist() == [0.0, 1.0, 2.5, 4.0], "edges 0, 1.25, 2.5, 3.75, 5: 0, 1, 2, 4, 4"


def test_endpoints_say_where_rows_begin_and_end():
    np.testing.assert_allclose(with_endpoints(np.zeros((4, 1)))[:, 1:], [[0, .25], [.25, .5], [.5, .75], [.75, 1]])


@pytest.fixture
def stores(tmp_path):
    one = write_features(tmp_path / "clip.h5", {"v": np.full((4, 2), 2.0), "w": np.ones((3, 2))})
    two = write_features(tmp_path / "slow.h5", {"v": np.ones((3, 4))})
    return one, two


def joined(one, *streams):
    return open_all(DataConfig(features=str(one), streams=[str(path) for path in streams]))


def test_joined_stores(stores, tmp_path):
    one, two = stores
    features = joined(one, two)
    assert features.width == 6 and "v" in features and "w" not in features and features.missing(["v", "w"]) == ["w"]
    np.testing.assert_allclose(features.read("v"), [[0.5 ** 0.5] * 2 + [0.5] * 4] * 3, rtol=1e-6)
    before = features.fingerprint(["v"])
    assert before == joined(one, two).fingerprint(["v"]) != joined(one).fingerprint(["v"])
    write_features(two, {"v": np.full((3, 4), 2.0)})
    assert joined(one, two).fingerprint(["v"]) != before
    with pytest.raises(UserError, match="none\\.h5: features not found"):
        joined(one, "none.h5")


def test_samples_of_joined_stores(stores, tmp_path):
    one, two = stores
    write_json(tmp_path / "a.json", {name: {"duration": 4.0, "timestamps": [[0, 1]], "sentences": ["x"]}
                                     for name in ("v", "w")})
    config = DataConfig(annotations={"train": [str(tmp_path / "a.json")]}, features=str(one), streams=[str(two)],
                        missing_features="skip")
    samples = open_samples(config, "train")
    assert samples.ids == ("v",) and samples[0].rows.shape == (3, 6) and samples.width == 6
    assert samples.where == f"{one} + {two}"
