from dataclasses import replace

import numpy as np
import pytest
from naive_read import WIDTH, frames_of, random_bank

from hicm.config import RetrievalConfig
from hicm.errors import UserError
from hicm.memory.bank import Bank, Level
from hicm.retrieval.reader import Reader
from hicm.retrieval.scoring import Queries, Tables


@pytest.fixture
def bank() -> Bank:
    return random_bank(np.random.default_rng(0))


@pytest.fixture
def frames() -> tuple[np.ndarray, np.ndarray]:
    return frames_of(np.random.default_rng(1), 2, 12)


def test_controls_need_no_bank(frames):
    none = Reader(None, RetrievalConfig(search="none", windows=3)).read(*frames)
    assert none.vectors.shape == (2, 0, WIDTH)
    assert none.mask.shape == (2, 0)
    zero = Reader(None, RetrievalConfig(search="zero", windows=3)).read(*frames)
    assert zero.vectors.shape == (2, 3, WIDTH)
    assert not zero.vectors.any()
    assert none.nodes == zero.nodes == {}


def test_an_empty_batch_reads_nothing(bank):
    read = Reader(bank, RetrievalConfig(windows=3)).read(np.zeros((0, 12, WIDTH), np.float32), np.zeros((0, 12), bool))
    assert read.vectors.shape == (0, 3, WIDTH)


def test_released_rounding_of_a_half_precision_bank():
    """hicm2.md 2.5: each level's mean and the mean over levels are rounded to float16."""
    rng = np.random.default_rng(3)
    bank = random_bank(rng, exact=False, dtype=np.float16)
    frames, mask = frames_of(rng, 2, 12, exact=False)
    read = Reader(bank, RetrievalConfig(windows=3, top_k=3, precision="stored", mask_padding=False)).read(frames, mask)
    means = [bank.level(level).embeddings[nodes[0, 0][nodes[0, 0] >= 0]].astype(np.float32).mean(axis=0)
             for level, nodes in read.nodes.items()]
    expected = np.mean([mean.astype(np.float16).astype(np.float32) for mean in means], axis=0).astype(np.float16)
    np.testing.assert_array_equal(read.vectors[0, 0], expected.astype(np.float32))
    exact = Reader(bank, RetrievalConfig(windows=3, top_k=3, mask_padding=False)).read(frames, mask)
    assert 0 < np.abs(exact.vectors - read.vectors).max() < 2e-3


def test_zero_queries_and_zero_embeddings_score_zero(bank):
    tables = Tables(Bank((Level(("a", "b"), np.asarray([[0, 0], [3, 4]], np.float32), (np.zeros(0, int),) * 2,
                                np.asarray([-1, -1])),)))
    queries = Queries(tables, np.asarray([[[0, 0], [1, 0]]], np.float32), np.ones((1, 2), bool), [None])
    np.testing.assert_allclose(queries.scores(1), [[0, 0], [0, 0.6]], atol=1e-7)


@pytest.mark.parametrize(("settings", "message"), [
    ({"levels": [1, 4]}, r"retrieval.levels=\[1, 4\]: the bank has levels 1 \(finest\) to 3"),
    ({"levels": [-1, 2]}, r"retrieval.levels=\[-1, 2\]: .* and 0 for the captions"),
    ({"beam": 4, "top_k": 5}, "retrieval.beam=4: fewer nodes than the top_k=5"),
    ({"beam": -1}, r"retrieval.beam=-1; expected 0 \(no beam\) or more"),
    ({"search": "top_only", "levels": [0, 1]}, r"levels=\[0, 1\]: search=top_only reads the top"),
    ({"search": "flat", "flat_level": 4}, "retrieval.flat_level=4"),
    ({"top_k": 0}, "top_k=0; expected 1 or more"),
    ({"windows": 0}, "windows=0"),
    ({"search": "randon"}, "retrieval.search: expected one of .*found 'randon'"),
    ({"select": "topk"}, "retrieval.select: expected one of 'top-k', 'max', 'similarity', found 'topk'"),
    ({"tail": "dropped"}, "retrieval.tail: expected one of"),
    ({"precision": "half"}, "retrieval.precision: expected one of"),
])
def test_settings_that_do_not_fit_the_bank(bank, settings, message):
    with pytest.raises(UserError, match=message):
        Reader(bank, RetrievalConfig(**settings))


def test_a_search_needs_a_bank():
    with pytest.raises(UserError, match="search=descend needs a memory bank"):
        Reader(None, RetrievalConfig())


def test_features_as_wide_as_the_bank(bank):
    with pytest.raises(UserError, match="features are 5 wide and the memory bank 8"):
        Reader(bank, RetrievalConfig(windows=3)).read(np.zeros((1, 12, 5), np.float32), np.ones((1, 12), bool))


def test_more_windows_than_rows(bank, frames):
    with pytest.raises(UserError, match="13 windows cannot be cut from 12 rows"):
        Reader(bank, RetrievalConfig(windows=13)).read(*frames)


def test_leaving_out_needs_provenance(bank, frames):
    """Level 1 of a bank without captions has no children."""
    first = bank.levels[0]
    bare = Bank((Level(first.texts, first.embeddings, (np.zeros(0, int),) * len(first), first.authors),
                 *bank.levels[1:])).validate()
    reader = Reader(bare, RetrievalConfig(windows=3))
    assert reader.read(*frames, exclude=[None, None]).vectors.any()
    with pytest.raises(UserError, match="leave_own_out=false"):
        reader.read(*frames, exclude=["video-00000", None])
    with pytest.raises(UserError, match="flat_level=0: this memory bank does not hold"):
        Reader(bare, RetrievalConfig(search="flat", flat_level=0))
    with pytest.raises(UserError, match=r"levels=\[0, 1\]: this memory bank does not hold .* from 1 \(finest\) to 3"):
        Reader(bare, RetrievalConfig(levels=[0, 1]))


def test_a_constant_read_is_announced_and_is_constant(bank, frames):
    with pytest.warns(UserWarning, match="recalls the same vector"):
        reader = Reader(bank, RetrievalConfig(search="top_only", windows=3, top_k=50, mask_padding=False))
    vectors = reader.read(*frames).vectors.reshape(-1, WIDTH)
    np.testing.assert_allclose(vectors, np.broadcast_to(vectors[0], vectors.shape), atol=1e-6)


def test_random_needs_ids(bank, frames):
    with pytest.raises(ValueError, match="pass ids"):
        Reader(bank, RetrievalConfig(search="random", windows=3)).read(*frames)


def test_the_best_node_of_every_window_is_left_out(bank, frames):
    """In CM2's training; a video's own captions are left out first."""
    settings = RetrievalConfig(search="flat", flat_level=0, windows=3, top_k=4)
    reader, more = Reader(bank, settings), Reader(bank, replace(settings, top_k=5))
    for exclude in (None, ["video-00000", "video-00001"]):
        every, rest = more.read(*frames, exclude).nodes[0], reader.read(*frames, exclude, best_out=True)
        np.testing.assert_array_equal(rest.nodes[0], every[..., 1:])
        leaves = reader.tables.matrix(0)
        np.testing.assert_allclose(rest.vectors, leaves[every[..., 1:]].mean(axis=2), atol=1e-6)
    assert not np.array_equal(reader.read(*frames).nodes[0], rest.nodes[0]), "testing keeps it"


def test_the_only_caption_of_a_bank_is_left_out():
    one = Bank((Level(("a",), np.ones((1, WIDTH), np.float32), (np.zeros(0, int),), np.asarray([-1])),))
    reader = Reader(one, RetrievalConfig(search="flat", flat_level=1, windows=1, top_k=4))
    frames = np.ones((1, 2, WIDTH), np.float32), np.ones((1, 2), bool)
    assert reader.read(*frames).vectors.all() and not reader.read(*frames, best_out=True).vectors.any()
