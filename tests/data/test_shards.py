"""Features in webdataset shards: found by key, read from their places; what is wrong with a shard is said in a line."""

import gzip
import io
import json
import multiprocessing
import pickle
import tarfile

import numpy as np
import pytest

from hicm.cli import main
from hicm.config import Config, DataConfig, save_config
from hicm.data.features import open_features, write_features
from hicm.errors import UserError
from tests.data.test_feature_formats import save

A, B, C = "aaaaaaaaaaa", "bbbbbbbbbbb", "-cc_ccccccc"
X = {A: np.arange(12, dtype=np.float32).reshape(3, 4), B: np.ones((2, 4), np.float16), C: np.zeros((70, 4), ">f4")}


def content(x, suffix):
    """The bytes of a file with the array, or the arrays, ``x``."""
    out = io.BytesIO()
    if suffix == "npy":
        np.save(out, x)
    elif suffix == "npz":
        np.savez(out, **(x if isinstance(x, dict) else {"clip_embeddings": x}))
    else:
        import torch

        torch.save(torch.tensor(x), out)
    return out.getvalue()


def shard(path, members, form=tarfile.USTAR_FORMAT):
    """A tar file of names and bytes, in order; None is a folder, text a link to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for name, what in members:
            member = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                member.size = len(what)
            else:
                member.type, member.linkname = (tarfile.DIRTYPE, "") if what is None else (tarfile.SYMTYPE, what)
            tar.addfile(member, io.BytesIO(what) if isinstance(what, bytes) else None)
    return path


def sample(key, x, extension="npy"):
    """A video as clip-video-encode and video2dataset write it."""
    return [(f"{key}.{extension}", content(x, extension.rpartition(".")[2])),
            (f"{key}.json", json.dumps({"key": key, "fps": 1}).encode()), (f"{key}.txt", b"a caption")]


@pytest.fixture
def shards(tmp_path):
    """Three shards, as they lie in a folder with what their writers put beside them."""
    for number, (key, x) in enumerate(X.items()):
        shard(tmp_path / "shards" / f"{number:03d}.tar", [*sample(key, x), (f"failed{number}.json", b"{}")])
    (tmp_path / "shards" / "000_stats.json").write_text("{}")
    (tmp_path / "shards" / "000.parquet").touch()
    return tmp_path / "shards"


@pytest.mark.parametrize("name", ["", "*.tar", "0??.tar", "{000..002}.tar", "00{0..2}.tar", "{000,001,002}.tar",
                                  "00[0-2].tar", "{000,00[1-2]}.tar", "../{shards,shards}/{00,00}{0..2}.tar"])
def test_a_folder_or_a_pattern(shards, name):
    features = open_features(shards / name)
    assert features.width == 4 and list(features.keys()) == [A, B, C] and features.missing(["failed0", "x"])
    for key, x in X.items():
        np.testing.assert_array_equal(features.read(f"v_{key}"), x.astype(np.float32), strict=True)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("suffix", ["npy", "npz", "pt", "pth", "NPY", "clip.npy", "mp4.npz"])
def test_one_shard_in_every_form(tmp_path, form, suffix):
    """Folders before the key, names of more than 100 bytes and other letters do not matter."""
    far, long = "x/" * 60, "é" * 60
    file = shard(tmp_path / "x.TAR", [("train", None), *sample(f"./train/{A}", X[A], suffix.lower()),
                                      (f"{far}{B}.{suffix}", content(X[B], suffix.lower().rpartition(".")[2])),
                                      (".hidden.npy", b""), ("no_extension", b""), ("__x__.json", b""),
                                      *(sample(long, X[C], "npy") if form != tarfile.USTAR_FORMAT else [])], form)
    features = open_features(file)
    np.testing.assert_array_equal(features.read(A), X[A], strict=True)
    np.testing.assert_array_equal(features.read(B), X[B].astype(np.float32), strict=True)
    assert features.keys() and (form == tarfile.USTAR_FORMAT or features.read(long).shape == (70, 4))


def test_equal_to_the_same_features_in_another_form(shards, tmp_path):
    """What tells features that were extracted anew from others does not depend on the shards."""
    shard(tmp_path / "one.tar", [member for key, x in reversed(X.items()) for member in sample(key, x)])
    one, three = open_features(tmp_path / "one.tar"), open_features(shards)
    np.save(tmp_path / f"{A}.npy", X[A])
    assert one.fingerprint(X) == three.fingerprint(X) != one.fingerprint([A])
    assert open_features(tmp_path).fingerprint([A]) == one.fingerprint([A])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_what_the_parent_reads(tmp_path, method):
    arrays = {f"video{i}": np.full((50, 16), i, np.float32) for i in range(40)}
    for start in (0, 20):
        shard(tmp_path / "s" / f"{start}.tar", [one for i in range(start, start + 20)
                                                for one in sample(f"video{i}", arrays[f"video{i}"])])
    features = open_features(tmp_path / "s")
    features.read("video0")
    assert (pickle.loads(pickle.dumps(features)).read("video39") == 39).all()
    with multiprocessing.get_context(method).Pool(2) as pool:
        for i, x in enumerate(pool.map(features.read, list(arrays), chunksize=4)):
            assert (x == i).all() and (features.read(f"video{i}") == i).all()


def test_of_several_arrays_the_setting_names_one(tmp_path):
    names = {"clip.npy": X[A], "audio.npy": X[A] + 1, "npz": {"i3d": X[A] + 2, "fps": np.array(25.0)},
             "all.npz": {"a": X[A] + 3, "b": X[A] + 4}}
    file = shard(tmp_path / "x.tar", [(f"{A}.{name}", content(x, name[-3:])) for name, x in names.items()])
    with pytest.raises(UserError, match=rf"x\.tar: {A}: expected one array, found all\.npz, audio\.npy, clip\.npy, "
                                        r"npz; name the one to use with data\.feature_array"):
        open_features(file).read(A)
    for name, change in (("clip.npy", 0), ("audio.npy", 1), ("npz", 2), ("npz/i3d", 2), ("all.npz/b", 4)):
        np.testing.assert_array_equal(open_features(file, array=name).read(A), X[A] + change)
    for name, match in (("i3d", r"no array 'i3d', only all\.npz, audio\.npy, "), ("all.npz/c", r"no array 'c', only a"),
                        ("clip.npy/x", "no array 'x', only clip.npy"), ("all.npz", r"expected one array, found a ")):
        with pytest.raises(UserError, match=match):
            open_features(file, array=name).read(A)


def test_the_only_array_is_not_taken_for_the_named_one(tmp_path):
    file = shard(tmp_path / "x.tar", sample(C, X[C]) + sample(A, X[A], "audio.npy") + sample(B, {"clip": X[B]}, "npz"))
    features = open_features(file, array="clip.npy")
    with pytest.raises(UserError, match=rf"{A}\.audio\.npy: no array 'clip\.npy', only audio\.npy; correct data"):
        features.read(A)
    with pytest.raises(UserError, match=rf"{B}\.npz: no array 'clip\.npy', only clip \[2, 4\]"):
        features.read(B)
    assert features.read(C).shape == (70, 4)


@pytest.mark.parametrize("names", [[("a.tar", A), ("b.tar", A)], [("a.tar", f"train/{A}"), ("a.tar", f"val/{A}")],
                                   [("a.tar", A), ("a.tar", A)]])
def test_a_key_twice(tmp_path, names):
    for file in dict.fromkeys(file for file, _ in names):
        shard(tmp_path / "s" / file, [one for other, key in names if other == file for one in sample(key, X[A])])
    (first, key), (last, other) = names
    with pytest.raises(UserError, match=rf"{last}: {other}\.npy: .*{first} holds {key}\.npy for the same video; keep"):
        open_features(tmp_path / "s").missing([B])


@pytest.mark.parametrize(("left", "match"), [
    (-10240, "damaged or cut short"), (2000, "damaged or cut short"), (1536 + 700, "damaged or cut short"),
    (1024, "damaged or cut short"), (100, "damaged or cut short"), (0, "cannot be read as a tar file")])
def test_a_shard_that_was_cut(shards, left, match):
    """Also where a member ends: Python reads such a file without a word."""
    whole = (shards / "001.tar").read_bytes()
    assert whole.rstrip(b"\0") and len(whole) == 10240
    with tarfile.open(shards / "001.tar") as tar:
        ends = [member.offset for member in tar]
    for size in {left % len(whole), *(ends[1:] if left == 1024 else [])}:
        (shards / "001.tar").write_bytes(whole[:size])
        with pytest.raises(UserError, match=match) as refusal:
            open_features(shards).missing([A])
        assert str(refusal.value).startswith(f"{shards / '001.tar'}: cannot be read as a tar file (")


def test_a_shard_that_is_something_else(shards):
    file, whole = shards / "001.tar", (shards / "001.tar").read_bytes()
    for content_, match in ((gzip.compress(whole), "compressed with gzip, .*; uncompress it with gzip -d"),
                            (b"\x28\xb5\x2f\xfd" + whole, "compressed with zstd"), (b"no tar" * 200, "cannot be read"),
                            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "LFS pointer"),
                            (b"<!DOCTYPE html><html>", "a web page instead")):
        file.write_bytes(content_)
        for path in (file, shards):
            with pytest.raises(UserError, match=match):
                open_features(path).missing([A])


@pytest.mark.parametrize(("what", "match"), [
    (b"no array", rf"{A}\.npy: cannot be read as a \.npy array \("), (b"", rf"{A}\.npy: cannot be read as"),
    (content(X[A], "npy")[:-4], r"does not fit the"), (content(np.array([{}], object), "npy"), "allow_pickle"),
    (content(X[A], "npz"), r"cannot be read as a \.npy array"), ("elsewhere.npy", "a link or another special member"),
    (content(X[A][0], "npy"), "expected a matrix")])
def test_a_member_that_is_no_array(shards, what, match):
    shard(shards / "000.tar", [(f"{A}.npy", what)])
    with pytest.raises(UserError, match=match):
        open_features(shards / "{000..001}.tar").read(A)


@pytest.mark.parametrize("suffix", ["npz", "pt"])
def test_nothing_is_executed(tmp_path, suffix):
    import torch

    class Runs:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    out = io.BytesIO()
    if suffix == "npz":
        np.savez(out, a=np.array([Runs()], object))
    else:
        torch.save({"a": Runs()}, out)
    with pytest.raises(UserError, match=rf"{A}\.{suffix}: "):
        open_features(shard(tmp_path / "x.tar", [(f"{A}.{suffix}", out.getvalue())])).read(A)
    assert not (tmp_path / "executed").exists()


def test_names_that_lead_out_of_the_archive_are_only_names(tmp_path):
    features = open_features(shard(tmp_path / "x.tar", sample(f"../../{A}", X[A]) + sample(f"/elsewhere/{B}", X[B])))
    assert features.read(A).shape == (3, 4) and features.read(B).shape == (2, 4)
    assert [file.name for file in tmp_path.iterdir()] == ["x.tar"]


@pytest.mark.parametrize(("name", "match"), [
    ("{000,001..001}.tar", r"001\.\.001\.tar: shard not found"), ("x*.tar", r"x\*\.tar: shard not found"),
    ("{000..003}.tar", r"003\.tar: shard not found; correct data\.features, or get the file"),
    ("none.tar", "features not found"), ("{9..1}.tar", "expected braces that"),
    ("{0..99999999999}.tar", r"expected braces that expand to 1 to 1,000,000 shards"),
    ("{0..999}{0..99999}.tar", "1 to 1,000,000"), ("*.npy", "features not found")])
def test_what_names_no_shard(shards, name, match):
    with pytest.raises(UserError, match=match):
        open_features(shards / name)


def test_files_of_videos_come_before_shards(shards):
    """Where an archive lies beside what was unpacked from it."""
    np.save(shards / f"{A}.npy", X[A] + 1)
    np.testing.assert_array_equal(open_features(shards).read(A), X[A] + 1)
    assert list(open_features(shards).keys()) == [A]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    for name in ("[x].tar", "{0..3}.tar", "*.tar"):
        assert open_features(shard(tmp_path / name, sample(A, X[A]))).read(A).shape == (3, 4)


def test_rates_in_shards(tmp_path):
    x = np.arange(30, dtype=np.float32)[:, None]
    file = shard(tmp_path / "x.tar", sample(A, x))
    assert open_features(file, 5).read(A)[:, 0].tolist() == [0, 5, 10, 15, 20, 25]
    assert open_features(file, 2).read(A)[:, 0].tolist() == list(range(0, 30, 2))


def test_the_check_reads_shards_as_any_other_features(tmp_path, capsys):
    x = {f"video{number:06d}": np.full((60, 12), number + 1, np.float16) for number in range(4)}
    entry = {"duration": 30.0, "timestamps": [[0, 9]], "sentences": ["boil water"]}
    for split in ("train", "val"):
        (tmp_path / f"{split}.json").write_text(json.dumps(dict.fromkeys(x, entry)))
    for number, (key, array) in enumerate(x.items()):
        shard(tmp_path / "shards" / f"{number}.tar", sample(key, array))
    data = {"annotations": {split: [str(tmp_path / f"{split}.json")] for split in ("train", "val")}, "feature_fps": 2.0}
    save_config(Config(system="recall", data=DataConfig(**data)), tmp_path / "own.yaml")
    said = []
    for path in (tmp_path / "shards" / "{0..3}.tar", write_features(tmp_path / "x.h5", x)):
        main(["data", "check", str(tmp_path / "own.yaml"), "--set", f"data.features={path}"])
        said.append(capsys.readouterr().out.replace(str(path), "features"))
    assert said[0] == said[1] and "0 error" in said[0]


def test_the_helper_of_the_other_tests_writes_what_these_read(tmp_path):
    save(tmp_path / "x.npy", X[A])
    assert (tmp_path / "x.npy").read_bytes() == content(X[A], "npy")
