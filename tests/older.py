"""Files as earlier versions of hicm wrote them."""

from pathlib import Path

import h5py


def make_older(path: Path, number: int) -> None:
    """Turn a file of recalled vectors into one of format 1 (one slot per window) or 2."""
    with h5py.File(path, "r+") as file:
        ids, info = (file[name].asstr()[()] for name in ("ids", "info"))
        del file["ids"], file["info"], file["window_rows"]
        file.create_dataset("ids", data=list(ids), dtype=h5py.string_dtype())
        file.attrs.update({"format": number, "info": info})
        if number == 1:
            del file["slots"], file.attrs["windows"]
