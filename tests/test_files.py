"""Files: old content survives whatever happens to the new one, bad content is one clear line, pickles run nothing."""

import contextlib
import errno
import hashlib
import io
import json
import os
import pickle
import resource
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.errors import UserError, brief
from hicm.files import MissingFile, atomic, is_file, read_json, read_pickle, read_text, require, sha256, write_json


@pytest.fixture
def old(tmp_path):
    """A file that somebody wants to keep, alone in its folder."""
    path = tmp_path / "folder" / "scores.json"
    path.parent.mkdir()
    path.write_text("old")
    return path


def alone(path: Path) -> bool:
    """Whether nothing but ``path`` lies in its folder: no temporary file was left."""
    return [entry.name for entry in path.parent.iterdir()] == [path.name]


def refused(match: str) -> "pytest.RaisesExc":
    """A UserError, one line, that matches."""
    return pytest.raises(UserError, match=match, check=lambda error: len(str(error).splitlines()) == 1)


def test_a_user_error_is_one_line():
    assert str(UserError("x.json: a library says\nthis\r\n  and that")) == "x.json: a library says this   and that"
    assert str(UserError("")) == "" and isinstance(UserError("x"), ValueError)
    assert str(pickle.loads(pickle.dumps(UserError("from a worker")))) == "from a worker"


def test_a_message_shows_whatever_a_file_holds():
    """On one line that a terminal can print, however long or odd it is."""
    assert str(UserError("a\0b\x1b[2Jc\ud800dé")) == r"a\x00b\x1b[2Jc\ud800dé"
    assert len(str(UserError("x" * 10**6 + "; remove it"))) < 5000
    assert str(UserError("x" * 9999 + "; remove it")).endswith("x; remove it")
    deep: list = []
    for _ in range(10_000):
        deep = [deep]
    for value in (deep, 10**5000, "x" * 10**6, list(range(10**5)), {"a": [1] * 10**5}, np.zeros(10**6)):
        assert len(brief(value)) < 400
    assert brief("add") == "'add'" and brief([0, None]) == "[0, None]" and brief({"time": -1}) == "{'time': -1}"


# writing

def test_atomic_replaces_at_the_end(old):
    with atomic(old) as temporary:
        temporary.write_text("new")
        assert old.read_text() == "old" and temporary.parent == old.parent and temporary.suffix == ".json"
    assert old.read_text() == "new" and alone(old)


def test_atomic_makes_folders(tmp_path):
    with atomic(tmp_path / "a" / "b" / "c.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_atomic_files_are_as_readable_as_others(old):
    umask = os.umask(0o027)
    try:
        write_json(old, {})
    finally:
        os.umask(umask)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), MemoryError()])
def test_an_exception_keeps_the_old_file_and_its_own_type(old, error):
    with pytest.raises(type(error)), atomic(old) as temporary:
        temporary.write_text("half")
        raise error
    assert old.read_text() == "old" and alone(old)


def test_a_full_disk_keeps_the_old_file(old):
    with refused(f"^{old}: cannot be written .No space left on device.; free space"), atomic(old) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert old.read_text() == "old" and alone(old)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full")
def test_a_disk_that_is_really_full(old):
    with refused("No space left on device"), atomic(old), open("/dev/full", "w") as stream:
        stream.write("x")
        stream.flush()
    assert old.read_text() == "old" and alone(old)


@contextlib.contextmanager
def small_disk(size: int):
    """No file grows beyond ``size`` bytes."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def write_safetensors(path):
    from safetensors.numpy import save_file

    save_file({"x": np.ones(100_000)}, path)


def write_numpy(path):
    with open(path, "wb") as stream:
        np.savez(stream, x=np.ones(100_000))


@pytest.mark.parametrize("size", [0, 7000, 300_000])
@pytest.mark.parametrize("write", [write_safetensors, write_numpy])
def test_a_library_that_meets_a_full_disk(old, write, size):
    """Safetensors raises something of its own; it is a full disk all the same.  HDF5: tests/bad_input."""
    with small_disk(size), refused(r"scores.json: cannot be written \(File too large\); free space"), \
            atomic(old) as temporary:
        write(temporary)
    assert old.read_text() == "old" and alone(old)


def test_a_disk_that_fills_before_the_temporary_file_is_made(old, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.mkstemp", full)
    with refused("No space left on device"):
        write_json(old, {"new": 1})
    assert old.read_text() == "old" and alone(old)


def test_what_cannot_be_said_in_json_keeps_the_old_file(old):
    with pytest.raises(TypeError):
        write_json(old, {"array": np.zeros(2)})
    assert old.read_text() == "old" and alone(old)


def test_a_folder_that_cannot_be_made(old):
    """Below a regular file, where not even root may write."""
    with refused(f"{old}/below/scores.json: cannot be written .*choose another output folder"):
        write_json(old / "below" / "scores.json", {})
    assert old.read_text() == "old"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(old):
    old.parent.chmod(0o555)
    try:
        with refused("Permission denied"):
            write_json(old, {})
    finally:
        old.parent.chmod(0o755)
    assert old.read_text() == "old" and alone(old)


def test_a_folder_in_the_place_of_the_file(old):
    with refused("cannot be written .Is a directory"):
        write_json(old.parent, {})
    assert old.read_text() == "old" and [entry.name for entry in old.parent.parent.iterdir()] == ["folder"]


# json

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@settings(deadline=None, max_examples=40)
@given(JSON, st.sampled_from([None, 1]))
def test_json_reads_back(tmp_path_factory, content, indent):
    path = tmp_path_factory.mktemp("json") / "x.json"
    assert write_json(path, content, indent) == path and read_json(path) == content


def test_json_is_readable_text(tmp_path):
    assert write_json(tmp_path / "x.json", {"caption": "crème"}).read_text(encoding="utf-8") == (
        '{\n "caption": "crème"\n}\n')


@pytest.mark.parametrize(("content", "match"), [
    (b"", r"not valid json \(line 1, column 1: .*\); is the file complete\?"),
    (b'{"a": 1,\n "b": [1, 2', r"line 2, column \d+"),
    (b'{"a": 1,\n "b": "cut of', r"line 2, column 7: Unterminated string"),
    (b'{"a": 1}\n{"b": 2}\n', r"line 2, column 1: Extra data"),
    (b"{'a': 1}", r"line 1, column 2"),
    (b"a,b\n1,2\n", r"line 1, column 1"),
    (b'{"a": "\xff"}', r"not UTF-8 text \(byte 7\)"),
    (b"[" * 100_000, r"cannot be parsed"),
    (b"1" * 5000, r"cannot be parsed"),
])
def test_malformed_json(tmp_path, content, match):
    path = tmp_path / "train.json"
    path.write_bytes(content)
    with refused(f"^{path}: annotation file .*{match}"):
        read_json(path, "annotation file")


def test_json_that_is_not_there(tmp_path):
    with refused("none.json: predictions cannot be read .No such file or directory"):
        read_json(tmp_path / "none.json", "predictions")
    with refused("Is a directory"):
        read_json(tmp_path)


def test_every_truncation_is_refused(tmp_path):
    whole = json.dumps({"video": {"duration": 3.5, "timestamps": [[0, 1]], "sentences": ["a \"b\" ä"]}}).encode()
    path = tmp_path / "x.json"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with refused("x.json"):
            read_json(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xa9"}')
    assert read_json(tmp_path / "x.json") == {"a": "\xe9"}
    assert read_text(tmp_path / "x.json") == '{"a": "\xe9"}'
    (tmp_path / "x.json").write_text('{"a": 1}', encoding="utf-16")
    with refused("x.json: predictions is UTF-16 text; save it as UTF-8"):
        read_json(tmp_path / "x.json", "predictions")


def test_pairs_hook_sees_repeated_keys(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1, "a": 2}')
    assert read_json(tmp_path / "x.json", pairs_hook=list) == [("a", 1), ("a", 2)]


# hashes, presence

def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "x") == hashlib.sha256(b"abc" * 100_000).hexdigest()
    with refused("none: cannot be read .No such file"):
        sha256(tmp_path / "none")


def test_require(tmp_path):
    assert require(str(tmp_path), "folder", "make it") == tmp_path
    with pytest.raises(MissingFile, match=r"^nowhere: bank not found; build it$") as refusal:
        require("nowhere", "bank", "build it")
    with refused("not found; build it"):
        require("x" * 300, "bank", "build it")
    assert not any(is_file(Path(name)) for name in ("x" * 300, "a\0b", "\ud800")) and is_file(Path(__file__))
    found = pickle.loads(pickle.dumps(refusal.value))
    assert (found.path, found.what, found.remedy, str(found)) == (
        Path("nowhere"), "bank", "build it", str(refusal.value))


# pickles

ARRAYS = {"float32": np.arange(6, dtype=np.float32).reshape(2, 3), "float16": np.ones(2, np.float16),
          "int64": np.arange(3), "bool": np.array([True, False]), "empty": np.zeros((0, 4), np.float32),
          "fortran": np.asfortranarray(np.eye(3)), "text": np.array(["a", "bc"])}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_and_arrays_are_read(tmp_path, protocol):
    content = {"v_1": {"start": [0.5], "end": [np.float64(1.5)], "text": ["hello"], "none": None}, **ARRAYS}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol))
    found = read_pickle(tmp_path / "x.pkl")
    assert found["v_1"] == content["v_1"]
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_arrays_of_old_and_new_numpy_are_read(tmp_path, core, protocol):
    """NumPy 2 moved the functions that pickles name; files of either version are about."""
    written = pickle.dumps(ARRAYS["float32"], protocol)
    ours = b"numpy._core"
    assert ours in written
    name = core.encode()
    if protocol == 4:  # module names carry their length
        old = bytes([len(ours) + len(b".multiarray")]) + ours + b".multiarray"
        assert old in written
        written = written.replace(old, bytes([len(name) + len(b".multiarray")]) + name + b".multiarray")
        written = _reframe(written)
    else:
        written = written.replace(ours, name)
    (tmp_path / "x.pkl").write_bytes(written)
    np.testing.assert_array_equal(read_pickle(tmp_path / "x.pkl"), ARRAYS["float32"], strict=True)


def _reframe(written: bytes) -> bytes:
    """Protocol 4 with the length of its one frame put right."""
    assert written[2:3] == b"\x95"
    return written[:3] + (len(written) - 11).to_bytes(8, "little") + written[11:]


class Evil:
    """Unpickled by the standard library it would make a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


def _call(module: str, name: str, argument: str) -> bytes:
    """A pickle that calls ``module.name(argument)``."""
    return f"c{module}\n{name}\n(V{argument}\ntR.".encode()


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"v_1": {"start": [x]}}, lambda x: [ARRAYS["int64"], x]])
def test_code_is_refused_and_not_run(tmp_path, wrap):
    marker = tmp_path / "marker"
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(wrap(Evil(marker))))
    with refused("^.*x.pkl: speech file refused .it names (io|_io).open, but only plain data"):
        read_pickle(tmp_path / "x.pkl", "speech file")
    assert not marker.exists()
    pickle.loads((tmp_path / "x.pkl").read_bytes())
    assert marker.exists(), "the pickle was a working attack"


@pytest.mark.parametrize(("module", "name"), [
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "exec"), ("builtins", "getattr"),
    ("builtins", "__import__"), ("subprocess", "Popen"), ("numpy", "load"), ("numpy", "save"),
    ("numpy.core.multiarray", "fromfile"), ("numpy._core.multiarray", "fromstring"),
    ("numpy._core.multiarray", "_reconstruct.__globals__"), ("hicm.files", "os.system"), ("torch", "load"),
    ("argparse", "Namespace"), ("codecs", "decode"), ("_codecs", "decode")])
def test_no_other_name_is_looked_up(tmp_path, module, name):
    marker = tmp_path / "marker"
    (tmp_path / "x.pkl").write_bytes(_call(module, name, f"touch {marker}"))
    with refused(f"it names {module}.{name}"):
        read_pickle(tmp_path / "x.pkl")
    assert not marker.exists()


def test_bytes_of_old_protocols_are_latin1_and_nothing_else(tmp_path):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"some": b"\x00\xff", "none": b""}, 2))
    assert read_pickle(tmp_path / "x.pkl") == {"some": b"\x00\xff", "none": b""}
    (tmp_path / "x.pkl").write_bytes(b"c_codecs\nencode\n(Vx\nVzlib_codec\ntR.")
    with refused("bytes written as zlib_codec"):
        read_pickle(tmp_path / "x.pkl")
    (tmp_path / "x.pkl").write_bytes(b"cbuiltins\nbytes\n(I1000000000000\ntR.")
    with refused("pickle file refused"):
        read_pickle(tmp_path / "x.pkl")


def test_arrays_of_objects_cannot_smuggle_code(tmp_path):
    marker = tmp_path / "marker"
    array = np.empty(1, object)
    array[0] = Evil(marker)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(array))
    with refused("only plain data and NumPy arrays"):
        read_pickle(tmp_path / "x.pkl")
    assert not marker.exists()


def test_damaged_pickles(tmp_path):
    whole, path = pickle.dumps({"a": ARRAYS["float32"], "b": [1, "x"]}), tmp_path / "x.pkl"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with refused("x.pkl: pickle file refused .*convert it to json if you trust it"):
            read_pickle(path)
    with refused("none.pkl: pickle file cannot be read"):
        read_pickle(tmp_path / "none.pkl")


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=60))
def test_random_bytes_give_data_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("pickle") / "x.pkl"
    path.write_bytes(content)
    try:
        read_pickle(path)
    except UserError as error:
        assert str(path) in str(error) and len(str(error).splitlines()) == 1


def test_the_unpickler_is_the_restricted_one(tmp_path, monkeypatch):
    """Nobody calls the unrestricted reader on the way."""
    monkeypatch.setattr(pickle, "load", lambda *_: pytest.fail("pickle.load was called"))
    monkeypatch.setattr(pickle, "loads", lambda *_: pytest.fail("pickle.loads was called"))
    stream = io.BytesIO()
    pickle.dump([1], stream)
    (tmp_path / "x.pkl").write_bytes(stream.getvalue())
    assert read_pickle(tmp_path / "x.pkl") == [1]
