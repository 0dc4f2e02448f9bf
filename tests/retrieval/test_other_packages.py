"""Searches, reads and windows of another package, from the settings to the stored file, without a change here."""

import sys

import numpy as np
import pytest
from naive_read import frames_of, random_bank
from planted import plant

from hicm.config import RetrievalConfig, load_config
from hicm.errors import UserError
from hicm.retrieval.reader import Reader


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(plant(tmp_path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "foreign"]:
        del sys.modules[name]


def test_a_read_of_another_package(foreign):
    changes = ["retrieval.search=whole-top", "retrieval.read=best-node", "retrieval.windows=3"]
    settings = load_config(None, changes).retrieval
    bank = random_bank(np.random.default_rng(0))
    recalled = Reader(bank, settings).read(*frames_of(np.random.default_rng(1), 2, 12))
    assert list(recalled.nodes) == [3] and recalled.nodes[3].shape[2] == len(bank.level(3))
    for (_, level, node), vector in zip(recalled.slots[recalled.mask], recalled.vectors[recalled.mask], strict=True):
        np.testing.assert_array_equal(vector, bank.level(level).embeddings[node])


def test_windows_of_another_package(foreign):
    settings = load_config(None, ["retrieval.window_shape=first-frames", "retrieval.windows=3"]).retrieval
    recalled = Reader(random_bank(np.random.default_rng(0)), settings).read(*frames_of(np.random.default_rng(1), 2, 12))
    assert recalled.window_rows.tolist() == [[[0, 1], [1, 2], [2, 12]]] * 2


def test_without_the_package_its_names_are_unknown():
    with pytest.raises(UserError, match=r"retrieval\.search: expected one of 'descend', .* found 'whole-top'"):
        load_config(None, ["retrieval.search=whole-top"])
    with pytest.raises(UserError, match=r"retrieval\.read: expected one of .*'levels', .*'mean'.*found 'best-node'"):
        RetrievalConfig(read="best-node")
    with pytest.raises(UserError, match=r"retrieval\.window_shape: expected one of 'uniform', 'ward', found 'x'"):
        RetrievalConfig(window_shape="x")


def test_a_read_that_breaks_the_agreement_is_named(foreign):
    bank, frames = random_bank(np.random.default_rng(0)), frames_of(np.random.default_rng(1), 2, 12)
    with pytest.raises(ValueError, match=r"read 'broken': vectors are float32 \[6, 8\], expected float32 \[2, 3, 8\]"):
        Reader(bank, RetrievalConfig(read="broken", windows=3)).read(*frames)
