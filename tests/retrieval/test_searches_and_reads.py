"""What holds for every search with every read: those found by name here, and those of another package."""

import sys

import numpy as np
import pytest
from naive_read import WIDTH, frames_of, garbled, random_bank
from planted import plant

from hicm.config import READS, SEARCHES, RetrievalConfig, load_config
from hicm.memory.bank import Bank
from hicm.plugins import known
from hicm.retrieval.reader import Reader, needs_bank
from hicm.retrieval.records import Recalled
from hicm.retrieval.store import open_retrieved, save_retrieved

OURS = {kind["what"]: known(kind["package"], kind["group"], kind["defines"]) for kind in (SEARCHES, READS)}
IDS = ["video-00000", "video-00001", "video-00009"]
WINDOWS = 3

pytestmark = [pytest.mark.parametrize("select", ["top-k", "similarity"]),
              pytest.mark.parametrize("read", [*OURS["retrieval.read"], "best-node"]),
              pytest.mark.parametrize("search", [*OURS["retrieval.search"], "whole-top"]),
              pytest.mark.filterwarnings("ignore:retrieval.search=top_only")]


@pytest.fixture(autouse=True, scope="module")
def foreign(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(plant(tmp_path_factory.mktemp("site")))
        yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "foreign"]:
        del sys.modules[name]


@pytest.fixture
def settings(search, read, select) -> RetrievalConfig:
    return RetrievalConfig(search=search, read=read, select=select, windows=WINDOWS, top_k=2, threshold=0.3,
                           flat_level=0)


@pytest.fixture(scope="module")
def bank() -> Bank:
    return random_bank(np.random.default_rng(2), captions=40)


@pytest.fixture
def frames() -> tuple[np.ndarray, np.ndarray]:
    """Three videos of 12, 8 and 1 real rows of 12, so that the second has one window of padding, the third two.

    Rows are integers, four alike: queries and scores are free of rounding, whatever the size of the batch.
    """
    rows, _ = frames_of(np.random.default_rng(3), 3, 12)
    mask = np.arange(12) < np.asarray([12, 8, 1])[:, None]
    return rows * mask[..., None], mask


def same(one: Recalled, other: Recalled, rows: slice = slice(None)) -> None:
    """Videos ``rows`` of ``one`` are all of ``other``; lists of nodes may be padded to another length."""
    for name in ("vectors", "mask", "slots", "windows"):
        np.testing.assert_array_equal(getattr(one, name)[rows], getattr(other, name), err_msg=name)
    assert list(one.nodes) == list(other.nodes)
    for level in one.nodes:
        for name, fill in (("nodes", -1), ("scores", 0), ("stand_in", -1)):
            a, b = getattr(one, name)[level][rows], getattr(other, name)[level]
            longest = max(a.shape[2], b.shape[2])
            a, b = (np.pad(x, [(0, 0), (0, 0), (0, longest - x.shape[2])], constant_values=fill) for x in (a, b))
            np.testing.assert_array_equal(a, b, err_msg=f"{name} of level {level}")


def test_shapes_masks_slots_and_padding(bank, frames, settings):
    recalled = Reader(bank, settings).read(*frames, IDS, IDS)
    batch, count = recalled.mask.shape
    assert batch == 3 and recalled.vectors.shape == (3, count, WIDTH) and recalled.slots.shape == (3, count, 3)
    assert (recalled.vectors.dtype, recalled.mask.dtype, recalled.slots.dtype) == (np.float32, bool, np.int32)
    assert not recalled.vectors[~recalled.mask].any()
    assert recalled.windows.tolist() in ([[True, True, True], [True, True, False], [True, False, False]],
                                         [[], [], []])
    for mask, slots, windows in zip(recalled.mask, recalled.slots, recalled.windows, strict=True):
        assert not mask[~windows[slots[:, 0]]].any(), "a window of padding hands nothing over"
    for (window, level, node), vector, real in zip(
            *(part.reshape(-1, part.shape[-1]) for part in (recalled.slots, recalled.vectors)), recalled.mask.ravel(),
            strict=True):
        assert 0 <= window < WINDOWS and -1 <= level <= bank.depth
        assert node == -1 or 0 <= node < len(bank.texts(level))
        if real and node >= 0:
            source = bank.level(level) if level else bank.leaves
            np.testing.assert_array_equal(vector, source.embeddings[node])
    empty = Reader(bank, settings).read(*(part[:0] for part in frames), [], [])
    assert empty.vectors.shape == (0, count, WIDTH) and empty.slots.shape == (0, count, 3)


def test_a_videos_own_captions_are_not_read(bank, frames, settings):
    changed = garbled(bank, IDS[0], np.random.default_rng(4))
    one, other = (Reader(b, settings).read(*(part[:1] for part in frames), IDS[:1], IDS[:1]) for b in (bank, changed))
    same(one, other)
    for _, level, node in one.slots[one.mask]:
        assert level != 0 or node < 0 or bank.leaves.videos[node] != IDS[0]


@pytest.mark.parametrize("exclude", [None, IDS])
def test_the_batch_changes_nothing(bank, frames, settings, exclude):
    reader = Reader(bank, settings)
    whole = reader.read(*frames, exclude, IDS)
    for row, video in enumerate(IDS):
        rows = slice(row, row + 1)
        alone = reader.read(*(part[rows] for part in frames), exclude and [video], [video])
        same(whole, alone, rows)
    turned = reader.read(*(part[::-1] for part in frames), exclude and IDS[::-1], IDS[::-1])
    same(turned, whole, slice(None, None, -1))


def test_settings_and_stored_file(bank, frames, settings, search, read, tmp_path):
    assert load_config(None, [f"retrieval.search={search}", f"retrieval.read={read}"]).retrieval.read == read
    reader = Reader(bank if needs_bank(settings) else None, settings)
    batches = [reader.read(*(part[rows] for part in frames), ids=IDS[rows]) for rows in (slice(0, 1), slice(1, 3))]
    stored = open_retrieved(save_retrieved(tmp_path / "out.h5", IDS, batches, {}))
    assert stored.windows == (0 if search == "none" else WINDOWS) == len(stored.visited(IDS[0]))
    for video, (batch, row) in zip(IDS, ((batches[0], 0), (batches[1], 0), (batches[1], 1)), strict=True):
        for name in ("vectors", "mask", "slots"):
            np.testing.assert_array_equal(getattr(stored, name)(video), getattr(batch, name)[row])
