"""HDF5 files that say what is not so: refused before the library believes them."""

import struct

import h5py
import numpy as np
import pytest

from hicm import hdf5
from hicm.data.features import open_features, write_features
from hicm.errors import UserError
from hicm.retrieval.store import open_retrieved
from tests.fuzz.readers import IDS, recalled
from tests.older import make_older

MATRIX = np.arange(28, dtype=np.float32).reshape(7, 4)


def sparse(file):
    file.create_dataset("bad", (1 << 40, 768), "f4", chunks=(64, 768))[0] = 1


def half_written(file):
    file.create_dataset("bad", (8, 4), "f4", chunks=(2, 4))[:6] = 1


def other_form(file):
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(31, 20, 11, 0, 20)
    kind.set_ebias(1023)
    space = h5py.h5s.create_simple((7, 4))
    h5py.h5d.create(file.id, b"bad", kind, space).write(h5py.h5s.ALL, h5py.h5s.ALL, MATRIX)


def elsewhere(file):
    MATRIX.tofile("raw")
    file.create_dataset("bad", (7, 4), "f4", external=[("raw", 0, MATRIX.nbytes)])


def virtual(file):
    with h5py.File("other.h5", "w") as other:
        other["x"] = MATRIX
    layout = h5py.VirtualLayout((7, 4), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (7, 4))
    file.create_virtual_dataset("bad", layout)


def put(value):
    return lambda file: file.__setitem__("bad", value)


@pytest.mark.parametrize(("make", "says"), [
    (sparse, "but only .* bytes are stored|parts of it are not stored"), (half_written, "parts of it are not stored"),
    (lambda file: file.create_dataset("bad", (7, 4), "f4"), "parts of it are not stored"),
    (lambda file: file.create_dataset("bad", data=np.zeros((512, 512), "f4"), chunks=True, compression=9),
     "but only .* bytes are stored"),
    (other_form, "of a type that is not read"), (elsewhere, "lie in another file"), (virtual, "lie in another file"),
    (put(h5py.SoftLink("/a")), "a link to another place"), (put(h5py.ExternalLink("other.h5", "x")),
                                                               "a link to another place"),
    (put(["text", "of any length"]), "holds object"), (put(h5py.Empty("f4")), "holds nothing"),
    (lambda file: file.create_dataset("bad", data=[file["a"].ref], dtype=h5py.ref_dtype), "holds object"),
    (put(np.zeros(3, [("x", "f4")])), "holds"), (put(np.zeros(3, "V8")), "holds"),
    (put(MATRIX + 1j), "holds complex64"), (put(MATRIX > 3), "holds bool"),
])
def test_what_is_no_plain_dataset_is_refused(tmp_path, monkeypatch, make, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hdf5, "SMALL", 1000)
    with h5py.File("x.h5", "w") as file:
        file["a"] = MATRIX
        make(file)
    features = open_features("x.h5")
    with pytest.raises(UserError, match=f"x.h5: bad: damaged or no features .*({says}).*; get the file again"):
        features.read("bad")
    np.testing.assert_array_equal(features.read("a"), MATRIX)


def test_a_filter_that_is_not_the_librarys_own(tmp_path):
    """The library would look for a program of that number to run."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("a", data=MATRIX, chunks=(7, 4), compression="lzf")
    content = (tmp_path / "x.h5").read_bytes()
    place = content.index(b"lzf") - 8
    assert struct.unpack_from("<H", content, place)[0] == 32000
    (tmp_path / "x.h5").write_bytes(content[:place] + struct.pack("<H", 32001) + content[place + 2:])
    with pytest.raises(UserError, match="compressed by filter 32001; write it again, uncompressed or with gzip"):
        open_features(tmp_path / "x.h5").read("a")


@pytest.mark.parametrize("how", [{}, {"chunks": (2, 4), "compression": "gzip", "shuffle": True},
                                 {"chunks": (7, 4), "compression": "lzf", "fletcher32": True}])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4", "i2", "u1"])
def test_plain_datasets_are_read(tmp_path, kind, how):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("v_a/c3d", data=MATRIX.astype(kind), **how)
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(hdf5.read(hdf5.find(file, "v_a/c3d")), MATRIX)
        np.testing.assert_array_equal(hdf5.read(hdf5.find(file, "v_a/c3d"), row=2), MATRIX[2])


@pytest.mark.parametrize("video", ["a\0b", "\ud800", "x" * 300, "..", ".", "/", "", "a/b", "ä"])
def test_ids_that_no_file_can_have_are_missing(tmp_path, video):
    for path in (write_features(tmp_path / "x.h5", {"a": MATRIX}), tmp_path / "folder"):
        if path.suffix != ".h5":
            path.mkdir()
            np.save(path / "a.npy", MATRIX)
        features = open_features(path)
        assert video not in features and features.missing([video]) == [video]
        with pytest.raises(UserError, match="no features for video"):
            features.read(video)


def test_texts_of_variable_length_that_never_end(tmp_path, monkeypatch):
    """The library searches a damaged heap for ever; another process is ended for it."""
    path = tmp_path / "x.h5"
    path.write_bytes(recalled(tmp_path)[0])
    make_older(path, 2)
    assert open_retrieved(path).ids == IDS
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 16:heap + 32] = bytes(16)  # the first text is a free place of size 0
    path.write_bytes(content)
    monkeypatch.setattr(hdf5, "PATIENCE", 1)
    with pytest.raises(UserError, match=r"recalled vectors \(its ids or info cannot be read"):
        open_retrieved(path)


@pytest.mark.parametrize(("name", "change", "says"), [
    ("vectors", lambda x: x[:1], r"vectors has shape \[1, 3, 4\], expected \[2, 3, 4\]"),
    ("vectors", lambda x: x * np.nan, "numbers that are not finite"),
    ("vectors", lambda x: x.astype("i4"), "holds int32"),
    ("mask", lambda x: x[:, :1], r"mask has shape \[2, 1\]"), ("mask", lambda x: x.astype("f4"), "holds float32"),
    ("slots", lambda x: x[..., :2], "slots has shape"),
    ("level_1/scores", lambda x: x[:, :1], "level_1/scores has shape"),
    ("ids", lambda x: np.array([b"a", b"a"]), "expected .1, 3, 4."),
    ("ids", lambda x: np.array([b"\xff", b"a"]), "decode"),
    ("info", lambda x: np.bytes_(b"[1]"), "info is no json object"), ("info", lambda x: np.bytes_(b"{"), "Expecting"),
])
def test_recalled_vectors_whose_parts_do_not_fit(tmp_path, name, change, says):
    path = tmp_path / "x.h5"
    path.write_bytes(recalled(tmp_path)[0])
    with h5py.File(path, "r+") as file:
        value = file[name][()]
        del file[name]
        file[name] = change(value)
    with pytest.raises(UserError, match=f"x.h5: damaged or not a file of recalled vectors .*{says}"):
        open_retrieved(path).tokens(IDS[0])
