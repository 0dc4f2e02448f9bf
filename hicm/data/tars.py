"""Tar files of unknown origin: the positions of their members.  Nothing is unpacked."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hicm.arrays import Bounded
from hicm.errors import reason

COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}  # by first bytes


class Member(NamedTuple):
    """A member of a tar file: ``size`` bytes from byte ``start`` on; ``plain``: it is a regular file."""

    name: str
    start: int
    size: int
    plain: bool


def members(path: Path) -> Iterator[Member]:
    """All members but folders, in order.

    Raises ValueError with what is wrong with the file, OSError when it cannot be read.
    """
    with Bounded(path) as file:
        head = file.read(8)
        kind = next((name for begin, name in COMPRESSED.items() if head.startswith(begin)), None)
        if kind is not None:
            raise ValueError(f"it is compressed with {kind}, so its members cannot be read in any order; uncompress it "
                             f"with {kind} -d")
        file.seek(0)
        try:
            yield from _members(file, os.path.getsize(path))
        except (OSError, ValueError):
            raise
        except Exception as error:  # a damaged header can raise nearly anything
            raise ValueError(f"it is damaged or cut short ({reason(error)})") from error


def _members(file: Bounded, size: int) -> Iterator[Member]:
    with tarfile.open(fileobj=file, mode="r:") as tar:
        before = 0
        while (member := tar.next()) is not None:
            if tar.offset <= before or not 0 <= member.size <= size - member.offset_data:
                raise ValueError(f"it is damaged or cut short at byte {before}")
            before = tar.offset
            if not member.isdir():
                yield Member(member.name, member.offset_data, member.size, member.isreg() and not member.issparse())
        file.seek(tar.offset)
        end = file.read(tarfile.BLOCKSIZE)
        if len(end) < tarfile.BLOCKSIZE or any(end):  # Python does not report that the closing zeros are missing
            raise ValueError(f"it is damaged or cut short at byte {tar.offset}")
