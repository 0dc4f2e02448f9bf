"""The kinds of file that hold features, each with arrays as people store them."""

import multiprocessing

import numpy as np
import pytest

from hicm.config import DataConfig
from hicm.data.features import open_features, write_features
from hicm.data.splits import split_with_features
from hicm.errors import UserError
from hicm.files import write_json

A, B = "aaaaaaaaaaa", "bbbbbbbbbbb"
X = {A: np.arange(12, dtype=np.float32).reshape(3, 4), B: np.ones((2, 4), np.float32)}


def save(path, content):
    """``content``, an array or a (nested) dict of arrays, as the file that ``path`` ends in."""
    import h5py
    import torch

    def flat(group, prefix=""):
        for name, item in group.items():
            yield from flat(item, f"{prefix}{name}/") if isinstance(item, dict) else [(prefix + name, item)]

    def tensors(item):
        return {name: tensors(one) for name, one in item.items()} if isinstance(item, dict) else torch.as_tensor(item)

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, content)
    elif path.suffix == ".npz":
        np.savez(path, **(dict(flat(content)) if isinstance(content, dict) else {"features": content}))
    elif path.suffix in (".pt", ".pth"):
        torch.save(tensors(content), path)
    else:
        with h5py.File(path, "w") as file:
            for name, item in flat(content if isinstance(content, dict) else {"features": content}):
                file[name] = item
    return path


ALL_IN_ONE = (".npz", ".pth", ".pt", ".h5", ".hdf5")
ONE_EACH = (".npy", ".npz", ".pt", ".pth", ".h5", ".mp4.npy", ".mp4.npz", ".webm.pt")


@pytest.mark.parametrize("suffix", ALL_IN_ONE)
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"c3d_features": x},
                                  lambda x: {"features": x, "fps": np.array(25.0), "times": np.arange(len(x))}])
def test_one_file_for_all_videos(tmp_path, suffix, wrap):
    features = open_features(save(tmp_path / f"x{suffix}", {f"v_{A}": wrap(X[A]), B: wrap(X[B])}))
    assert features.width == 4 and set(features.keys()) == {f"v_{A}", B} and features.missing([A, "c"]) == ["c"]
    for video, x in X.items():
        np.testing.assert_array_equal(features.read(video), x, strict=True)


@pytest.mark.parametrize("suffix", ONE_EACH)
def test_one_file_per_video(tmp_path, suffix):
    for video, x in X.items():
        save(tmp_path / "f" / f"{video}{suffix}", x)
    (tmp_path / "f" / "notes.txt").touch()
    features = open_features(tmp_path / "f")
    assert features.width == 4 and set(features.keys()) == set(X) and features.missing([A, "c"]) == ["c"]
    for video, x in X.items():
        np.testing.assert_array_equal(features.read(f"v_{video}"), x, strict=True)
    assert features.fingerprint([A]) != features.fingerprint([B])


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".h5"])
@pytest.mark.parametrize("in_folder", [True, False])
def test_of_several_arrays_the_setting_names_one(tmp_path, suffix, in_folder):
    content = {"c3d": X[A], "clip": X[A] + 1, "audio": {"vggish": X[A] + 2}}
    path = save(tmp_path / f"f/{A}{suffix}", content).parent if in_folder else save(
        tmp_path / f"x{suffix}", {A: content})
    with pytest.raises(UserError, match=rf"{A}.*: expected one array, found (c3d|audio.vggish) \[3, 4\].*"
                                        r"clip \[3, 4\].*; name the one to use with data\.feature_array"):
        open_features(path).read(A)
    for name, change in (("c3d", 0), ("clip", 1), ("audio/vggish", 2)):
        np.testing.assert_array_equal(open_features(path, array=name).read(A), X[A] + change)
    with pytest.raises(UserError, match=r"no array 'i3d', only .*c3d \[3, 4\].*; correct data\.feature_array"):
        open_features(path, array="i3d").read(A)


@pytest.mark.parametrize("shape", [(1, 3, 4), (3, 1, 4)])
def test_an_axis_of_one_is_left_out(tmp_path, shape):
    features = open_features(save(tmp_path / "x.h5", {A: X[A].reshape(shape), B: X[B]}))
    np.testing.assert_array_equal(features.read(A), X[A], strict=True)
    assert features.read(B).shape == (2, 4)
    assert open_features(save(tmp_path / "y.h5", {A: np.ones((1, 1, 4))})).read(A).shape == (1, 4)


def test_width_first_is_said(tmp_path):
    path = save(tmp_path / "x.h5", {A: np.ones((4, 30)), B: np.ones((4, 20))})
    with pytest.raises(UserError, match=r"rows of 30 .* found 20; all have 4 rows: are they stored as \[width, sec"):
        open_features(path).read(B)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">f8", "i1", "<i8", "u1"])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
def test_every_kind_of_number_becomes_float32(tmp_path, dtype, suffix):
    x = np.array([[1, 2], [3, 100]], dtype)
    save(tmp_path / f"f/{A}{suffix}", x)
    np.testing.assert_array_equal(open_features(tmp_path / "f").read(A), x.astype(np.float32), strict=True)


@pytest.mark.parametrize("x", [np.ones((2, 4), complex), np.ones((2, 4), bool), np.array([["a", "b"]]),
                               np.zeros((2, 4), [("x", "f4")]), np.ones((2, 3, 4)), np.float32(1)])
def test_what_is_no_matrix_of_numbers_is_refused(tmp_path, x):
    save(tmp_path / f"f/{A}.npy", x)
    with pytest.raises(UserError, match=f"{A}.*: (expected a matrix|cannot be read as a .npy array)"):
        open_features(tmp_path / "f").read(A)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".h5"])
@pytest.mark.parametrize(("content", "match"), [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "found a Git LFS pointer instead of the"),
    (b"\n <!DOCTYPE html><html><body>quota exceeded</body></html>", "found a web page instead of the file"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "found a web page instead of the file"),
    (b"", rf"{A}\.(npy|npz|pt|h5): "), (b"nonsense", rf"{A}\.(npy|npz|pt|h5): "),
])
def test_what_is_no_file_of_arrays_is_named(tmp_path, suffix, content, match):
    file = tmp_path / "f" / f"{A}{suffix}"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(UserError, match=match) as refusal:
        open_features(tmp_path / "f").read(A)
    assert str(refusal.value).startswith(str(file)) and "\n" not in str(refusal.value)
    if suffix != ".npy":
        file.rename(tmp_path / f"all{suffix}")
        with pytest.raises(UserError, match=match.replace(A, "all")):
            open_features(tmp_path / f"all{suffix}").read(A)


def test_objects_in_an_archive_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", **{A: np.array([{}], dtype=object)})
    with pytest.raises(UserError, match=rf"x.npz: {A}: damaged .*allow_pickle"):
        open_features(tmp_path / "x.npz").read(A)


def test_workers_share_no_open_archive(tmp_path):
    arrays = {f"video{i}": np.full((50, 16), i, np.float32) for i in range(40)}
    features = open_features(save(tmp_path / "x.npz", arrays))
    features.read("video0")
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for i, x in enumerate(pool.map(features.read, list(arrays), chunksize=4)):
            assert (x == i).all() and (features.read(f"video{i}") == i).all()


@pytest.mark.parametrize(("there", "match"), [
    ([A.upper()], f"{A.upper()} may be {A} .upper and lower case."),
    ([f"{A}.flv"], f"{A}.flv may be {A} .a file ending."),
    ([f"clip_{A}_0"], f"clip_{A}_0 may be {A}$"),
    (["x", "y", "z", "w"], f"features.h5 has w, x, y, ..., the annotations have {A}, -{B[1:]}$"),
    ([B[1:]], f"{B[1:]} may be -{B[1:]} .a leading '-'."),
])
def test_when_no_id_matches_both_sides_are_shown(tmp_path, there, match):
    entry = {"duration": 3, "timestamps": [], "sentences": []}
    file = write_json(tmp_path / "val.json", {A: entry, f"-{B[1:]}": entry})
    path = write_features(tmp_path / "features.h5", dict.fromkeys(there, X[A]))
    for missing in ("refuse", "skip"):
        config = DataConfig(annotations={"val": [str(file)]}, features=str(path), missing_features=missing)
        with pytest.raises(UserError, match=match):
            split_with_features(config, "val")
