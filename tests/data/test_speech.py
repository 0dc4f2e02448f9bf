import json
import math
import os
import pickle

import numpy as np
import pytest

from hicm.data.speech import Speech, open_speech
from hicm.data.time_tokens import to_bin
from hicm.errors import UserError

A = "aaaaaaaaaaa"
LISTS = {"start": [0.0, 4.0, -0.5, 9.0], "end": [3.0, 9.5, 1.0, 10.5], "text": ["boil water", " Add ", "hm", "bye"]}
SEGMENTS = {"segments": [{"start": 0, "end": 3, "text": "boil water", "words": []},
                         {"start": 3.5, "end": 3.9, "text": "  "},
                         {"start": 4, "end": 9.5, "text": " Add "}], "language": "en"}
KEPT = Speech((0.0, 4.0), (3.0, 9.5), ("boil water", " Add "))


@pytest.fixture(params=["one.pkl", "one.json", "folder.pkl", "folder.json"])
def write(request, tmp_path):
    """Store entries by id as one file or as a folder, pickled or as json; returns the path."""
    where, suffix = request.param.split(".")

    def put(path, content):
        path.write_bytes(pickle.dumps(content) if suffix == "pkl" else json.dumps(content).encode())

    def write(entries):
        path = tmp_path / ("speech" if where == "folder" else f"speech.{suffix}")
        if where == "one":
            put(path, entries)
        else:
            path.mkdir()
            for key, entry in entries.items():
                put(path / f"{key}.{suffix}", entry)
        return path
    return write


@pytest.mark.parametrize("entry", [LISTS, SEGMENTS])
def test_both_forms_and_the_keep_rule(write, entry):
    """hicm2.md 1.4: kept iff start >= 0 and end <= duration; blank text dropped; file order."""
    store = open_speech(write({A: entry, "v_bbbbbbbbbbb": LISTS}))
    assert store.get(A, 10.0) == KEPT
    assert store.get(f"v_{A}", 10.0) == store.get(f"0_{A}", 10.0) == KEPT
    assert store.get(A, 9.5) == KEPT
    assert store.get(A, 9.4) == Speech((0.0,), (3.0,), ("boil water",))
    assert store.get("0_bbbbbbbbbbb", 10.5) == Speech((0.0, 4.0, 9.0), (3.0, 9.5, 10.5), ("boil water", " Add ", "bye"))
    assert store.get(A, 1.0) == Speech()


def test_missing_video_has_no_speech(write):
    store = open_speech(write({A: LISTS}))
    assert store.get("zz", 10.0) == Speech()
    assert len(store.get("zz", 10.0)) == 0
    assert A in store and "zz" not in store


def test_empty_path_is_silence():
    store = open_speech("")
    assert store.get(A, 10.0) == Speech() and A not in store


def test_reading_twice_gives_the_same(write):
    store = open_speech(write({A: LISTS}))
    assert store.get(A, 1.0) == Speech()
    assert store.all(A).text == ("boil water", " Add ", "hm", "bye")
    assert store.get(A, 10.0) == KEPT


@pytest.mark.parametrize(("entry", "match"), [
    ([1], "video a: expected"),
    ({"start": [0.0], "end": [1.0]}, "text: expected a list"),
    ({"start": [0.0], "end": [1.0], "text": "hi"}, "text: expected a list"),
    ({"start": [0.0], "end": [1.0, 2.0], "text": ["hi"]}, "expected lists of equal length, found 1 starts, 2 ends"),
    ({"start": ["0"], "end": [1.0], "text": ["hi"]}, "segment 0: expected start and end"),
    ({"start": [None], "end": [1.0], "text": ["hi"]}, "segment 0"),
    ({"start": [0.0], "end": [1.0], "text": [None]}, "segment 0"),
    ({"segments": [{"start": 0.0, "text": "hi"}]}, "segment 0"),
    ({"segments": ["hi"]}, "segments: expected a list"),
    ({"segments": 3}, "segments: expected a list"),
    ({"start": [1 << 63], "end": [1.0], "text": ["hi"]}, "segment 0"),
    ({"start": {}, "end": {}, "text": {}}, "start: expected a list"),
])
def test_malformed_entry(write, entry, match):
    store = open_speech(write({"a": entry}))
    with pytest.raises(UserError, match=match) as refusal:
        store.get("a", 10.0)
    assert ": video a: " in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("video", ["x" * 300, "a\0b", "\ud800", "..", "/", ""])
def test_ids_that_no_file_can_have_are_silent(write, video):
    store = open_speech(write({A: LISTS}))
    assert video not in store and store.all(video) == Speech() and store.duration(video) is None


def test_arrays_that_are_no_lists(tmp_path):
    for odd in (np.array(0.5), np.zeros((1, 1)), np.array([1j]), {0.5}, b"x"):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps({A: {"start": odd, "end": [1.0], "text": ["a"]}}))
        with pytest.raises(UserError, match=r"start: expected a list|segment 0: expected|refused"):
            open_speech(tmp_path / "x.pkl").get(A, 10.0)


def test_numpy_lists_and_failed_alignment(tmp_path):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({A: {
        "start": np.array([0.0, math.nan, 2.0, math.inf]), "end": np.array([1.0, 2.0, math.nan, 3.0]),
        "text": ["a", "b", "c", "d"]}}))
    speech = open_speech(tmp_path / "x.pkl").get(A, 10.0)
    assert speech == Speech((0.0,), (1.0,), ("a",))
    assert all(type(value) is float for value in speech.start + speech.end)


class _Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_malicious_pickle_is_refused_unexecuted(tmp_path):
    marker = tmp_path / "executed"
    content = pickle.dumps({A: _Malicious(marker)})
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(UserError, match="refused"):
        open_speech(tmp_path / "x.pkl")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / f"{A}.pkl").write_bytes(content)
    with pytest.raises(UserError, match="refused"):
        open_speech(tmp_path / "folder").get(A, 10.0)
    assert not marker.exists()


@pytest.mark.parametrize(("name", "content", "match"), [
    ("x.json", b'{"a": {"start": [0', "not valid json"),
    ("x.json", '{"a": "é"}'.encode("latin-1"), "not UTF-8"),
    ("x.json", b"[]", "expected {video id"),
    ("x.json", json.dumps(SEGMENTS).encode(), "transcript of one video belongs in a folder"),
    ("x.pkl", pickle.dumps({A: LISTS})[:-10], "refused"),
    ("x.pkl", b"", "refused"),
    ("x.doc", b"", "expected speech as .pkl"),
])
def test_malformed_file(tmp_path, name, content, match):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=match):
        open_speech(tmp_path / name)


def test_missing_path(tmp_path):
    with pytest.raises(UserError, match=r"speech not found; set data\.speech"):
        open_speech(tmp_path / "none.pkl")


def test_golden_speech_agrees(golden, tmp_path):
    """Segments kept and their time tokens are those of the reference's speech sequences (tests/golden)."""
    parity = json.loads((golden / "hicm2_parity.json").read_text(encoding="utf-8"))
    tokens = np.load(golden / "hicm2_parity.npz")["input_tokens"]
    (tmp_path / "asr.json").write_text(json.dumps(parity["subtitles"]), encoding="utf-8")
    store = open_speech(tmp_path / "asr.json")
    first_time = 399  # of the tiny tokenizer, hicm2.md section 6
    counts = []
    for row, video_id in zip(tokens, parity["video_ids"], strict=True):
        duration = parity["annotations"][video_id]["duration"]
        speech = store.get(video_id, duration)
        wanted = [to_bin(t, duration, 100) for span in zip(speech.start, speech.end, strict=True) for t in span]
        assert [int(token) - first_time for token in row if first_time <= token < first_time + 100] == wanted
        counts.append(len(speech))
    assert min(counts[:4]) > 0 and counts[4] == 0
