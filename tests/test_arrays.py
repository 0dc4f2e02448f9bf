"""Arrays in .npy and .npz files: plain ones, of the size that the file has."""

import io
import struct
import zipfile

import numpy as np
import pytest

from hicm.arrays import map_npy, read_npy, read_npz

SOUND = [np.arange(6, dtype=np.float32).reshape(2, 3), np.asfortranarray(np.eye(3)), np.zeros((0, 4)), np.array(5),
         np.array(["ä", ""]), np.array([b"x"]), np.array([True]), np.arange(3, dtype=">i8"), np.array("text")]


@pytest.mark.parametrize("array", SOUND, ids=repr)
def test_plain_arrays_are_read(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "stored.npz", x=array, y=array)
    np.savez_compressed(tmp_path / "deflated.npz", x=array)
    for found in (read_npy(tmp_path / "x.npy"), map_npy(tmp_path / "x.npy"), read_npz(tmp_path / "stored.npz")["y"],
                  read_npz(tmp_path / "deflated.npz")["x"]):
        np.testing.assert_array_equal(found, array, strict=True)
        assert found.flags.f_contiguous == array.flags.f_contiguous


def npy(descr: str = "'<f8'", shape: str = "(1,)", header: str = "", data: bytes = bytes(8)) -> bytes:
    text = (header or f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}").encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize(("content", "says"), [
    (npy("'|O'"), "it holds object"), (npy("[('a', '|O')]"), "it holds"), (npy("'<M8[s]'"), "it holds datetime64"),
    (npy("('<f8', (1,))"), "it holds"), (npy("'|V8'"), "it holds"), (npy("{}"), "it holds"),
    (npy(shape="(2,)"), "does not fit the 8 bytes"), (npy(shape="(-1,)"), "its shape"),
    (npy(shape="(True,)"), "its shape"), (npy(shape="(1.0,)"), "shape is not valid"),
    (npy(shape=f"({2**62}, 8)"), "does not fit"), (npy(shape=f"(0, {10**400})"), "does not fit"),
    (npy("'<U0'", f"({2**40},)", data=b""), "does not fit"), (npy("'<U2'", data=b"\xff" * 8), "do not exist"),
    (npy(data=bytes(9)), "does not fit the 9 bytes"), (npy(shape="1"), "shape is not valid"),
    (npy(header="(" * 900), "header is damaged"), (npy(header="-" * 900 + "1"), ""), (npy(header="x" * 5000), "large"),
    (npy(header="{}"), "does not contain the correct keys"), (b"\x93NUMPY\x03\x00" + npy()[8:], "version"),
    (b"", ""), (b"\x80\x04]\x94.", "magic"), (npy()[:20], ""),
])
def test_odd_headers_are_refused(tmp_path, content, says):
    (tmp_path / "x.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", content)
    for read, name in ((read_npy, "x.npy"), (read_npz, "x.npz")):
        with pytest.raises(ValueError, match=says or None):
            read(tmp_path / name)


def test_an_archive_that_unfolds_to_gigabytes(tmp_path):
    """3 MB of zeros that are 3 GB: refused by what the archive says of itself."""
    header = npy(shape="(402653184,)", data=b"")
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = content.index(signature) + place
        content[start:start + 4] = struct.pack("<I", 3 << 30)
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match="unfolds to more than 200 times its size"):
        read_npz(tmp_path / "x.npz")


def test_an_archive_that_says_less_than_it_holds(tmp_path):
    """No more is read than it says, and its checksum is then wrong."""
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(1000))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    start = content.index(b"PK\x01\x02")
    content[start + 24:start + 28] = struct.pack("<I", 128 + 8)
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        read_npz(tmp_path / "x.npz")


def test_a_damaged_member_is_seen_by_its_checksum(tmp_path):
    out = io.BytesIO()
    np.savez(out, x=np.zeros(100))
    content = bytearray(out.getvalue())
    content[400] ^= 1
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        read_npz(tmp_path / "x.npz")
