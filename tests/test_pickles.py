"""Pickles that a file's author made by hand: none may reach memory that is not its own, or fill what there is."""

import pickle
import struct
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from hicm.pickles import load_plain

DATA = b"AAAAAAAA"


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def name(module: str, what: str) -> bytes:
    return text(module) + text(what) + b"\x93"


def dtype(kind: str, state: bytes = b"", order: str = "<") -> bytes:
    state = state or b"(K\x03" + text(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    return name("numpy", "dtype") + text(kind) + b"\x89\x88\x87R" + state + b"b"


def raw(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def array(shape: bytes, kind: bytes, content: bytes) -> bytes:
    """The state that NumPy's own pickles set, with any shape, type and content."""
    return (name("numpy._core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
            + b"(K\x01" + shape + kind + b"\x89" + content + b"tb")


OBJECT_FLAGS = b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?t"
ONE = b"K\x01\x85"
LAUGHS = b"\x80\x02]q\x00(K\x01K\x01e" + b"".join(
    b"]q" + bytes([level + 1]) + b"(" + b"h" + bytes([level]) + b"h" + bytes([level]) + b"e0" for level in range(60))


@pytest.mark.parametrize(("content", "says"), [
    # NumPy's constructor: an array of objects over bytes
    (name("numpy", "ndarray") + ONE + dtype("O8", OBJECT_FLAGS) + raw(DATA) + b"\x87R", "calls numpy.ndarray itself"),
    (name("numpy", "ndarray") + ONE + dtype("f8") + raw(DATA) + b"\x87R", "calls numpy.ndarray itself"),
    (name("numpy._core.numeric", "_frombuffer") + b"(" + raw(DATA) + dtype("O8", OBJECT_FLAGS) + ONE + text("C")
     + b"tR", "no list of them"),
    (name("numpy._core.multiarray", "scalar") + dtype("O8", OBJECT_FLAGS) + raw(DATA) + b"\x86R", "is an object"),
    (array(ONE, dtype("O8", OBJECT_FLAGS), raw(DATA)), "no list of them"),
    (array(b"K\x02\x85", dtype("O8", OBJECT_FLAGS), b"]K\x01a"), "no list of them"),
    (array(b"K\x01K\x01\x86", dtype("O8", OBJECT_FLAGS), b"]K\x01a"), "no list of them"),
    # objects inside a structured or otherwise odd type
    (array(ONE, dtype("V8", b"(K\x03" + text("|") + b"N" + text("a") + b"\x85}" + text("a") + dtype("O8", OBJECT_FLAGS)
                      + b"K\x00\x86sK\x08K\x01K?t"), raw(DATA)), "type 'V8'"),
    (array(ONE, dtype("f8", b"(K\x03" + text("<") + b"N" + text("a") + b"\x85}K\x08K\x01K?t"), raw(DATA)), "type"),
    (array(ONE, dtype("f8", b"(K\x04" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00}t"), raw(DATA)),
     "type"),
    (array(ONE, dtype("M8"), raw(DATA)), "type 'M8'"),
    (array(ONE, dtype("f8,O8"), raw(DATA)), "type 'f8,O8'"),
    (array(ONE, dtype("(2,)O"), raw(DATA)), "type"),
    (array(ONE, dtype("f8", b"}" + text("itemsize") + b"K\x64s"), raw(DATA)), "type"),
    # shapes that the bytes do not fill
    (array(b"K\x02\x85", dtype("f8"), raw(DATA)), r"shape \(2,\) and type float64 without the bytes"),
    (array(b"\x8a\x08" + b"\xff" * 7 + b"\x7f\x85", dtype("f8"), raw(DATA)), "without the bytes"),
    (array(b"\x8a\x08" + b"\x00" * 7 + b"\x20\x8a\x08" + b"\x00" * 7 + b"\x20\x86", dtype("f8"), raw(DATA)), "without"),
    (array(b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86", dtype("f8"), raw(DATA)), r"shape \(-1, -1\)"),
    (array(b"\x88\x85", dtype("f8"), raw(DATA)), "shape"),
    (array(b"G?\xf0\x00\x00\x00\x00\x00\x00\x85", dtype("f8"), raw(DATA)), "shape"),
    (array(b"\x8a\x08" + b"\x00" * 7 + b"\x20\x85", dtype("U0"), raw(b"")), "without the bytes"),
    (array(ONE, dtype("U1"), raw(b"\xff\xff\xff\x7f")), "characters that do not exist"),
    (b"K\x01)R", "calls something that is no function"),
    # parts of arrays
    (dtype("f8"), "a part of dtype alone"),
    (name("numpy", "ndarray"), "a part of name alone"),
    (name("numpy._core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R",
     "array alone"),
    (name("numpy._core.multiarray", "_reconstruct") + text("ndarray") + b"K\x00\x85C\x01b\x87R", "another kind"),
    (name("numpy", "ndarray") + b"}" + text("x") + b"K\x01sb", "builds something"),
    (b"}" + b"}" + text("__class__") + b"K\x01sb", "builds something"),
    # tensors, and whatever else has a name
    (name("torch._utils", "_rebuild_tensor_v2") + b")R", r"it names torch\._utils\._rebuild_tensor_v2"),
    (name("pickle", "loads") + raw(pickle.dumps([1])) + b"\x85R", r"it names pickle\.loads"),
    (b"cos\nsystem\n", r"it names os\.system"),
    (text("a\nb" * 60) + text("x") + b"\x93", "it names"),
    (name("collections", "Counter") + text("aab") + b"\x85R", "a Counter of 'aab', expected a dict"),
    (name("collections", "Counter") + b")R", "it is damaged"), (name("collections", "OrderedDict") + b")R", "it names"),
    # instructions that plain data do not need
    (b"\x82\x01", "it uses EXT1"), (b"\x84\x01\x00\x00\x00", "it uses EXT4"), (b"P0\n", "it uses PERSID"),
    (b"K\x01Q", "it uses BINPERSID"), (b"\x97", "it uses NEXT_BUFFER"), (b"(ios\nsystem\n", "it uses INST"),
    (b"(K\x01o", "it uses OBJ"), (b"K\x01)\x81", "it uses NEWOBJ"), (b"\x8f", "it uses EMPTY_SET"),
    # lengths, numbers, depth
    (b"\x8d" + struct.pack("<Q", 1 << 40) + b"x", "expected 1099511627776 bytes"),
    (b"\x8e" + struct.pack("<Q", 1 << 63) + b"x", "9223372036854775808"),
    (b"\x96" + struct.pack("<Q", 1 << 40) + b"x", "expected"),
    (b"X\xff\xff\xff\xffx", "expected"),
    (b"\x8a\x09" + b"\xff" * 8 + b"\x7f", "more than 64 bits"),
    (b"L" + b"9" * 5000 + b"L\n", "limit"),
    (b"]" * 200 + b"a" * 199, "more than 100 deep"),
    # the same list again and again, wrapped each time: deep, though never far from what holds all of them
    (b"](]q\x00" + b"".join(b"]" * 50 + b"h\x00" + b"a" * 50 + b"q\x00" for _ in range(3)) + b"e", "than 100 deep"),
    (b"]q\x00h\x00a", "holds itself"),
    (b"}q\x00K\x01h\x00s", "holds itself"),
    (b"]q\x00h\x00\x85a", "holds itself"),
    (LAUGHS + b"h<", "again and again"),
    (b"}" + b")" + b"\x85" * 50000 + b"K\x01s", "a tuple as key"),
    (b"}]K\x01s", "a list as key"),
    (b"K\x01K\x02a", "no list"), (b"K\x01K\x02K\x03s", "no dict"), (b"}(K\x01u", "it is damaged"),
    *((operation, "it is damaged") for operation in (b"\x94", b"0", b"h\x07", b"e", b"a", b"R", b"b", b"u", b"\x93")),
])
def test_what_is_no_plain_data_is_refused(content, says):
    with pytest.raises(Exception, match=says):
        load_plain(b"\x80\x05" + content + b".")


@pytest.mark.parametrize("content", [
    b"r\xff\xff\xff\x7f", b"p2000000000\n", b"".join(b"r" + struct.pack("<I", 1 << bits) for bits in range(32))])
def test_a_memo_needs_no_more_than_what_is_in_it(content):
    tracemalloc.start()
    assert load_plain(b"\x80\x04K\x01" + content + b".") == 1
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_the_same_bytes_are_no_hundred_arrays():
    """A megabyte that is named again for every array, and for every text made from it."""
    large = bytes(1 << 20)
    content = dtype("f8") + b"q\x00" + raw(large) + b"q\x01" + b"](" + b"".join(
        name("numpy._core.numeric", "_frombuffer") + b"(h\x01h\x00J" + struct.pack("<i", 1 << 17) + b"\x85"
        + text("C") + b"tR" for _ in range(100)) + b"e"
    with pytest.raises(pickle.UnpicklingError, match="larger than the file"):
        load_plain(b"\x80\x05" + content + b".")
    content = b"X" + struct.pack("<I", 1 << 20) + large + b"q\x01](" + b"".join(
        name("_codecs", "encode") + b"h\x01" + text("latin1") + b"\x86R" for _ in range(100)) + b"e"
    with pytest.raises(pickle.UnpicklingError, match="larger than the file"):
        load_plain(b"\x80\x05" + content + b".")


def test_what_is_named_twice_is_read():
    """Texts and lists that a program used twice are sound; so are arrays, before and after their content is set."""
    row, shared = np.arange(3), ["a", "b"]
    found = load_plain(pickle.dumps({"x": row, "again": [row, row], "texts": [shared, shared]}))
    assert found["x"] is found["again"][0] and found["texts"] == [shared, shared]
    np.testing.assert_array_equal(found["again"][1], row)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", [
    np.arange(3, dtype=">f8"), np.array([b"ab", b"c"]), np.array(["ä", ""]), np.array(5), np.zeros((0, 3)),
    np.arange(24).reshape(2, 3, 4).T, np.array([1 + 2j]), np.array([2**64 - 1], np.uint64), np.zeros(3)[::2]],
    ids=repr)
def test_arrays_of_every_plain_type(array, protocol):
    found = load_plain(pickle.dumps(array, protocol))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=") and found.flags.writeable


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("values", [np.zeros(30_000), np.random.default_rng(0).normal(size=(300, 64))])
def test_large_arrays(values, protocol):
    """Nearly all of the file is the array, whose bytes protocols 0 to 2 write as text."""
    found = load_plain(pickle.dumps({"one": values, "two": values + 1}, protocol))
    np.testing.assert_array_equal(found["one"], values)
    np.testing.assert_array_equal(found["two"], values + 1)


@pytest.mark.parametrize("protocol", range(6))
def test_a_counter_is_a_dict(protocol):
    found = load_plain(pickle.dumps({"counts": Counter("hello")}, protocol))
    assert found == {"counts": {"h": 1, "e": 1, "l": 2, "o": 1}} and type(found["counts"]) is dict


@pytest.mark.parametrize("protocol", range(6))
def test_a_row_of_objects_is_a_list(protocol):
    row = np.array(["add", None, 3], object)
    assert load_plain(pickle.dumps({"text": row, "same": row}, protocol)) == {
        "text": ["add", None, 3], "same": ["add", None, 3]}


@pytest.mark.parametrize("scalar", [np.float16(0.5), np.int64(-1), np.bool_(True), np.str_("ä"), np.str_(""),
                                    np.bytes_(b"x"), np.complex64(1j)], ids=repr)
def test_scalars(scalar):
    found = load_plain(pickle.dumps([scalar]))[0]
    assert found == scalar and type(found) is type(scalar)


def test_truth_values_are_0_or_1():
    found = load_plain(b"\x80\x04" + array(b"K\x02\x85", dtype("b1", order="|"), raw(b"\x41\x00")) + b".")
    assert found.view(np.uint8).tolist() == [1, 0]


def test_strings_of_python_2():
    """Text if it is ASCII; bytes otherwise, which no reader takes for text."""
    assert load_plain(b"\x80\x02U\x03add.") == "add" and load_plain(b"\x80\x02U\x02\xc3\xa4.") == b"\xc3\xa4"
