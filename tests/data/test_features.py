import io
import multiprocessing
import os
import pickle
import zipfile
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.interpolate import interp1d

from hicm.data.features import open_features, sample, sample_or_all, write_features
from hicm.errors import UserError

KINDS = ("h5", "pth", "legacy.pth", "folder")
A, B = "aaaaaaaaaaa", "bbbbbbbbbbb"


def store(folder, kind, arrays):
    """The arrays written as a store of the kind; returns its path."""
    path = folder / f"features.{kind}"
    if kind == "h5":
        return write_features(path, arrays)
    if kind.endswith("pth"):
        import torch

        torch.save({key: torch.from_numpy(x.copy()) for key, x in arrays.items()}, path,
                   _use_new_zipfile_serialization=kind == "pth")
        return path
    path.mkdir()
    for i, (key, x) in enumerate(arrays.items()):
        np.save(path / f"{key}{'.mp4' if i % 2 else ''}.npy", x)
    return path


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    return {f"v_{A}": generator.standard_normal((7, 4)).astype(np.float32),
            f"0_{B}": generator.standard_normal((3, 4)).astype(np.float16)}


@pytest.fixture(params=KINDS)
def features(request, tmp_path, arrays):
    return open_features(store(tmp_path, request.param, arrays))


def test_round_trip_whatever_the_prefix(features, arrays):
    assert features.width == 4
    for name, stored in ((A, f"v_{A}"), (f"v_{A}", f"v_{A}"), (f"1_{B}", f"0_{B}"), (B, f"0_{B}")):
        assert name in features
        x = features.read(name)
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, arrays[stored].astype(np.float32))
    assert features.missing(["zz", A, "ccccccccccc"]) == ["zz", "ccccccccccc"]


@pytest.mark.parametrize("kind", KINDS)
def test_ids_with_and_without_the_ending_of_the_video(tmp_path, kind):
    """TACoS names its videos like their files; extractions do not, or the other way round."""
    features = open_features(store(tmp_path, kind, {"s17-d69": np.ones((2, 4)), "x-1.avi": np.full((3, 4), 2.0)}))
    for video, rows in (("s17-d69.avi", 2), ("s17-d69", 2), ("x-1", 3), ("x-1.avi", 3)):
        assert len(features.read(video)) == rows
    assert features.missing(["s17-d69.avi", "x-1", "s17-d69.txt", "s17"]) == ["s17-d69.txt", "s17"]


def test_endings_are_left_out_only_where_it_is_clear(tmp_path):
    arrays = {"a": 1, "b.avi": 2, "b.mp4": 3, "c.avi": 4, "c": 5}
    features = open_features(write_features(tmp_path / "x.h5", {key: np.full((1, 1), x) for key, x in arrays.items()}))
    assert features.missing(["a.avi", "a.mp4", "b", "c.mp4"]) == ["a.avi", "a.mp4", "b"], "a is one video, b two"
    assert not features.missing(["a.avi", "b.avi", "b.mp4", "c.avi", "c"])
    assert [features.read(video)[0, 0] for video in ("c", "c.avi", "c.mp4")] == [5, 4, 5]


def test_hdf5_files_stay_open(tmp_path, monkeypatch):
    from hicm.data.feature_stores import hdf5

    opened, open_file = [], hdf5.open_file
    monkeypatch.setattr(hdf5, "open_file", lambda path: opened.append(path) or open_file(path))
    features = open_features(write_features(tmp_path / "x.h5", {video: np.ones((2, 3)) for video in "abc"}))
    assert [len(features.read(video)) for video in "abcab"] == [2] * 5 and len(opened) == 1


def test_caller_cannot_change_the_store(features):
    features.read(A)[:] = 0
    assert features.read(A).any()


def test_missing_video_is_never_zeros(features):
    with pytest.raises(UserError, match=f"{features.path}: no features for video zz; .*data.missing_features: skip"):
        features.read("zz")


def test_travels_to_another_process(features, arrays):
    features.read(A)
    copy = pickle.loads(pickle.dumps(features))
    np.testing.assert_array_equal(copy.read(A), arrays[f"v_{A}"])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_what_the_parent_reads(tmp_path, method):
    """Handles opened before the fork must not be shared: their file position is."""
    arrays = {f"video{i}": np.full((50, 16), i, np.float32) for i in range(40)}
    features = open_features(write_features(tmp_path / "x.h5", arrays))
    features.read("video0")
    with multiprocessing.get_context(method).Pool(2) as pool:
        for i, x in enumerate(pool.map(features.read, list(arrays), chunksize=4)):
            assert (x == i).all()
            assert (features.read(f"video{i}") == i).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("bad", "match"), [
    (np.zeros((3, 5), np.float32), "expected rows of 4 numbers as in the first video, found 5"),
    (np.zeros((0, 4), np.float32), r"at least one row of features, found shape \(0, 4\)"),
    (np.zeros((4,), np.float32), r"expected a matrix .* found shape \(4,\)"),
    (np.array([[0, 1, 2, 3], [0, np.nan, 0, 0]], np.float32), r"NaN or infinity \(first in row 1\)"),
    (np.array([[0, 1, np.inf, 3]], np.float16), r"NaN or infinity \(first in row 0\)"),
])
def test_bad_array_is_refused(tmp_path, kind, bad, match):
    path = store(tmp_path, kind, {"a": np.ones((2, 4), np.float32), "bad": bad})
    features = open_features(path)
    assert features.read("a").shape == (2, 4)
    with pytest.raises(UserError, match=match) as refusal:
        features.read("bad")
    assert str(refusal.value).startswith(f"{path}: video bad: ")


@pytest.mark.parametrize("kind", KINDS)
def test_empty_store(tmp_path, kind):
    features = open_features(store(tmp_path, kind, {}))
    assert features.missing(["a"]) == ["a"]
    with pytest.raises(UserError, match="holds no features"):
        features.width  # noqa: B018


@pytest.mark.parametrize("name", ["x.h5", "x.pth"])
@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n but then nonsense", b"PK\x03\x04 not a zip"])
def test_damaged_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=r"is it complete|is the file complete"):
        open_features(tmp_path / name).read("a")


@pytest.mark.parametrize("kind", ["h5", "pth"])
def test_truncated_file(tmp_path, arrays, kind):
    path = store(tmp_path, kind, arrays)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="complete"):
        open_features(path).read(A)


def test_damaged_array_file(tmp_path, arrays):
    path = store(tmp_path, "folder", arrays)
    file = path / f"v_{A}.npy"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(UserError, match=f"{file}: cannot be read as a .npy array"):
        open_features(path).read(A)


def test_objects_are_not_unpickled(tmp_path):
    marker = tmp_path / "executed"
    (tmp_path / "f").mkdir()
    np.save(tmp_path / "f" / "a.npy", np.array([_Malicious(marker)], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"cannot be read as a \.npy"):
        open_features(tmp_path / "f").read("a")
    (tmp_path / "x.pth").write_bytes(pickle.dumps({"a": _Malicious(marker)}, protocol=2))
    with pytest.raises(UserError, match="features refused"):
        open_features(tmp_path / "x.pth").read("a")
    assert not marker.exists()


class _Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_pth_must_be_a_dict_of_tensors(tmp_path):
    import torch

    torch.save([torch.zeros(2, 4)], tmp_path / "list.pth")
    with pytest.raises(UserError, match="expected a dict"):
        open_features(tmp_path / "list.pth").read("a")
    torch.save({("a",): torch.zeros(2, 4)}, tmp_path / "keys.pth")
    with pytest.raises(UserError, match="found a key of type tuple"):
        open_features(tmp_path / "keys.pth").width  # noqa: B018
    torch.save({"a": [1.0, 2.0]}, tmp_path / "lists.pth")
    with pytest.raises(UserError, match="a: expected an array, found list"):
        open_features(tmp_path / "lists.pth").read("a")


def test_pth_of_half_precision(tmp_path):
    import torch

    torch.save({"a": torch.ones(2, 4, dtype=torch.bfloat16, requires_grad=True)}, tmp_path / "x.pth")
    np.testing.assert_array_equal(open_features(tmp_path / "x.pth").read("a"), np.ones((2, 4), np.float32))


def test_unknown_path_and_kind(tmp_path):
    with pytest.raises(UserError, match=r"features not found; set data\.features"):
        open_features(tmp_path / "none.pth")
    with pytest.raises(UserError, match=r"data\.features is empty"):
        open_features("")
    (tmp_path / "x.csv").touch()
    with pytest.raises(UserError, match="unknown kind of features"):
        open_features(tmp_path / "x.csv")
    with pytest.raises(UserError, match=r"data\.feature_fps"):
        open_features(tmp_path, fps=0)


@given(rows=st.integers(1, 200), fps=st.floats(0.25, 30))
def test_thinning_keeps_the_row_of_every_second(tmp_path_factory, rows, fps):
    path = tmp_path_factory.mktemp("fps") / "a.npy"
    np.save(path, np.arange(rows, dtype=np.float32)[:, None])
    found = open_features(path.parent, fps).read("a")[:, 0].astype(int).tolist()
    seconds = range(rows) if fps > 1 else ()
    wanted = [int(i * fps) for i in seconds if int(i * fps) < rows] if fps > 1 else list(range(rows))
    assert found == wanted


def test_five_rows_a_second_as_hicm2_stores_them(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(12, dtype=np.float32)[:, None])
    assert open_features(tmp_path, 5.0).read("a")[:, 0].tolist() == [0, 5, 10]


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 60), st.integers(1, 3)),
                  elements=st.floats(-1e6, 1e6, width=32)), st.integers(1, 40))
def test_sample(x, frames):
    rows, mask = sample(x, frames)
    length = len(x)
    assert rows.shape == (frames, x.shape[1]) and rows.dtype == np.float32
    assert mask.shape == (frames,) and mask.dtype == bool
    assert mask.sum() == min(length, frames)
    assert (np.sort(mask)[::-1] == mask).all()
    assert not rows[~mask].any()
    for j in range(int(mask.sum())):  # hicm2.md 1.3
        np.testing.assert_array_equal(rows[j], x[j * length // frames if length > frames else j])
    if length == frames:
        np.testing.assert_array_equal(rows, x)


@given(st.integers(1, 300), st.integers(1, 250))
def test_nearest_rows_are_those_of_pdvc(length, frames):
    """PDVC interpolates with SciPy's "nearest" at i * (T - 1) / (F - 1)."""
    x = np.arange(length, dtype=np.float32)[:, None]
    rows, mask = sample(x, frames, "nearest")
    assert mask.all() and mask.shape == (frames,)
    if length == 1 or frames == 1:
        assert rows.tolist() == [[0.0]] * frames
    else:
        places = [i * float(length - 1) / (frames - 1) for i in range(frames)]
        np.testing.assert_array_equal(rows, interp1d(np.arange(length), x, axis=0, kind="nearest")(places))


def test_all_rows_are_taken_whatever_the_sampling():
    x = np.arange(5, dtype=np.float32)[:, None]
    for sampling in ("even", "nearest"):
        rows, mask = sample_or_all(x, 0, 7, sampling)
        assert rows[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 0] and mask.sum() == 5


def test_sample_is_a_copy():
    x = np.ones((4, 2), np.float32)
    sample(x, 4)[0][:] = 0
    assert x.all()


def test_sample_refuses_nothing():
    with pytest.raises(UserError, match="no rows"):
        sample(np.zeros((0, 4), np.float32), 3)
    with pytest.raises(UserError, match="at least 1"):
        sample(np.zeros((2, 4), np.float32), 0)


def test_write_leaves_no_half_file(tmp_path):
    path = write_features(tmp_path / "x.h5", {"a": np.ones((2, 3))})
    before = path.read_bytes()
    with pytest.raises(ValueError):
        write_features(path, {"b": np.ones((2, 3)), "c": "no array"})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.h5"]


def test_loader_workers(tmp_path):
    from torch.utils.data import DataLoader

    arrays = {f"video{i}": np.full((5, 2), i, np.float32) for i in range(8)}
    features = open_features(write_features(tmp_path / "x.h5", arrays))
    features.read("video3")
    loader = DataLoader(list(arrays), batch_size=None, num_workers=2, collate_fn=partial(_read, features))
    assert [float(x[0, 0]) for x in loader] == list(range(8))


def _read(features, name):
    return features.read(name)


def crafted(size, numel=16, stride=(4, 1)):
    """A .pth whose one tensor says what is not so about its 16 numbers."""
    import torch

    def number(value):
        return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)

    sound, out = io.BytesIO(), io.BytesIO()
    torch.save({"a": torch.zeros(4, 4)}, sound)
    tensor = (b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
              b"X\x01\0\0\x000X\x03\0\0\0cpu" + number(numel) + b"tQK\0(" + b"".join(map(number, size)) + b"t("
              + b"".join(map(number, stride)) + b"t\x89ccollections\nOrderedDict\n)RtRs.")
    with zipfile.ZipFile(sound) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, tensor if name.endswith("data.pkl") else old.read(name))
    return out.getvalue()


@pytest.mark.parametrize("claims", [
    {"size": (8, 4)}, {"size": (1 << 40, 4), "stride": (0, 1)}, {"size": (1 << 34, 4)},
    {"size": (4, 4), "stride": (9, 9)}, {"size": (1 << 20, 4), "numel": 1 << 22}, {"size": (4, 4), "numel": -4},
    {"size": (-4, 4)}])
def test_a_tensor_larger_than_what_is_stored(tmp_path, claims):
    """Beyond its numbers lies other memory; a stride of 0 makes terabytes of one row."""
    (tmp_path / "x.pth").write_bytes(crafted((4, 4)))
    assert open_features(tmp_path / "x.pth").read("a").shape == (4, 4)
    (tmp_path / "x.pth").write_bytes(crafted(**claims))
    with pytest.raises(UserError, match=r"x.pth: (features refused|a: shape .* bytes are stored)"):
        open_features(tmp_path / "x.pth").read("a")


def test_a_tensor_that_is_not_plain(tmp_path):
    import torch

    torch.save({"a": torch.eye(4).to_sparse(), "b": torch.eye(4, device="meta")}, tmp_path / "x.pth")
    for video in "ab":
        with pytest.raises(UserError, match=f"x.pth: ({video}: expected a plain tensor|features refused)"):
            open_features(tmp_path / "x.pth").read(video)
