import dataclasses
import multiprocessing
import pickle

import h5py
import numpy as np
import pytest
from naive_read import WIDTH, frames_of, random_bank

from hicm.config import RetrievalConfig
from hicm.errors import UserError
from hicm.retrieval.reader import Reader
from hicm.retrieval.store import Retrieved, open_retrieved, save_retrieved
from tests.older import make_older

IDS = [f"video-{number:05d}" for number in range(5)]


@pytest.fixture
def reads():
    """Two batches whose lists of kept nodes differ in length."""
    rng = np.random.default_rng(5)
    bank = random_bank(rng, captions=60)
    reader = Reader(bank, RetrievalConfig(select="similarity", threshold=0.2, windows=3))
    return [reader.read(*frames_of(rng, size, 12), ids) for size, ids in ((2, IDS[:2]), (3, IDS[2:]))]


@pytest.fixture
def stored(tmp_path, reads):
    return save_retrieved(tmp_path / "retrieved_val.h5", IDS, reads, {"bank": "abc"})


def test_round_trip(stored, reads):
    retrieved = open_retrieved(stored)
    assert (retrieved.ids, retrieved.windows, retrieved.width) == (tuple(IDS), 3, WIDTH)
    assert retrieved.info == {"bank": "abc"}
    assert retrieved.levels == [3, 2, 1]
    assert reads[0].nodes[1].shape != reads[1].nodes[1].shape
    videos = [(read, row) for read in reads for row in range(len(read.vectors))]
    for video, (read, row) in zip(IDS, videos, strict=True):
        np.testing.assert_array_equal(retrieved.vectors(video), read.vectors[row])
        np.testing.assert_array_equal(retrieved.mask(video), read.mask[row])
        np.testing.assert_array_equal(retrieved.slots(video), read.slots[row])
        np.testing.assert_array_equal(retrieved.tokens(video).window_rows, read.window_rows[row])
        assert retrieved.mask(video).dtype == bool
        assert retrieved.window_rows(video).tolist() == [[0, 4], [4, 8], [8, 12]]
        expected = [[(level, int(node), float(score), int(leaf)) for level in (3, 2, 1)
                     for node, score, leaf in zip(read.nodes[level][row, w], read.scores[level][row, w],
                                                  read.stand_in[level][row, w], strict=True) if node >= 0]
                    for w in range(3)]
        assert retrieved.visited(video) == expected
    assert any(leaf >= 0 for video in IDS for window in retrieved.visited(video) for *_, leaf in window)


def test_no_window_is_a_read_too(tmp_path):
    read = Reader(None, RetrievalConfig(search="none")).read(np.zeros((2, 12, WIDTH), np.float32),
                                                             np.ones((2, 12), bool))
    retrieved = open_retrieved(save_retrieved(tmp_path / "none.h5", ["a", "b"], [read], {}))
    assert retrieved.vectors("b").shape == (0, WIDTH)
    assert retrieved.visited("a") == []


def test_a_file_of_format_1_is_still_read(stored, reads):
    """It held one slot per window, and neither slots nor the number of windows."""
    make_older(stored, 1)
    retrieved = open_retrieved(stored)
    assert (retrieved.windows, retrieved.count, retrieved.levels) == (3, 3, [3, 2, 1])
    np.testing.assert_array_equal(retrieved.vectors(IDS[0]), reads[0].vectors[0])
    np.testing.assert_array_equal(retrieved.slots(IDS[0]), reads[0].slots[0])
    assert retrieved.slots(IDS[0]).dtype == np.int32 and len(retrieved.visited(IDS[0])) == 3
    assert retrieved.window_rows(IDS[0]) is None and retrieved.tokens(IDS[0]).window_rows is None


def test_a_file_of_format_2_is_still_read(stored):
    """It held its texts in variable length, which another process reads."""
    new = open_retrieved(stored)
    make_older(stored, 2)
    old = open_retrieved(stored)
    assert (old.ids, old.info, old.windows) == (new.ids, new.info, new.windows)
    np.testing.assert_array_equal(old.slots(IDS[0]), new.slots(IDS[0]))


def test_ids_and_info_keep_every_character(tmp_path, reads):
    ids, info = ["ä", "b" * 300, "c/d e"], {"text": "crème" * 20000}
    part = dataclasses.replace(reads[0], **{name: np.repeat(getattr(reads[0], name)[:1], 3, axis=0) for name in (
        "vectors", "mask", "slots", "windows", "window_rows")}, nodes={}, scores={}, stand_in={})
    retrieved = open_retrieved(save_retrieved(tmp_path / "x.h5", ids, [part], info))
    assert (list(retrieved.ids), retrieved.info) == (ids, info)
    np.testing.assert_array_equal(retrieved.vectors("ä"), reads[0].vectors[0])


def test_slots_may_not_change_from_batch_to_batch(tmp_path, reads):
    fewer = {name: getattr(reads[1], name)[:, 1:] for name in ("vectors", "mask", "slots")}
    with pytest.raises(ValueError, match=r"\(2, 8\) of videos 2 to 5 differ from \(3, 8\)"):
        save_retrieved(tmp_path / "out.h5", IDS, [reads[0], dataclasses.replace(reads[1], **fewer)], {})


def vectors_sum(retrieved: Retrieved, video: str) -> float:
    return float(retrieved.vectors(video).sum())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_the_same(stored, method):
    retrieved = open_retrieved(stored)
    here = [vectors_sum(retrieved, video) for video in IDS]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(vectors_sum, [(retrieved, video) for video in IDS]) == here
    assert pickle.loads(pickle.dumps(retrieved)).ids == retrieved.ids


def test_an_unknown_video(stored):
    with pytest.raises(UserError, match=r"retrieved_val\.h5: nothing recalled for video stranger"):
        open_retrieved(stored).vectors("stranger")


@pytest.mark.parametrize("damage", ["missing", "text", "truncated", "other", "gap", "newer"])
def test_damaged_files(stored, damage):
    content = stored.read_bytes()
    stored.unlink()
    if damage == "text":
        stored.write_text("not HDF5")
    elif damage == "truncated":
        stored.write_bytes(content[: len(content) // 2])
    elif damage in ("other", "gap", "newer"):
        stored.write_bytes(content)
        with h5py.File(stored, "r+") as file:
            if damage == "gap":
                del file["vectors"]
            elif damage == "newer":
                file.attrs["format"] = 4
            else:
                del file.attrs["format"]
    with pytest.raises(UserError, match=r"retrieved_val\.h5: (file of recalled|damaged|not a file)"):
        open_retrieved(stored)


def test_nothing_is_written_when_batches_are_missing(tmp_path, reads):
    with pytest.raises(ValueError, match="2 videos were read, 5 ids given"):
        save_retrieved(tmp_path / "half.h5", IDS, reads[:1], {})
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_opened_once_and_again_after_damage(stored, monkeypatch):
    opened = []
    plain = h5py.File
    monkeypatch.setattr(h5py, "File", lambda *arguments: opened.append(arguments) or plain(*arguments))
    retrieved = open_retrieved(stored)
    opened.clear()
    expected = [vectors_sum(retrieved, video) for video in IDS]
    assert len(opened) == 1
    with pytest.raises(UserError, match="damaged"):
        retrieved._read(IDS[0], "level_99/nodes")
    assert [vectors_sum(retrieved, video) for video in IDS] == expected and len(opened) == 2
