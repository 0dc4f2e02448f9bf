"""Tar files for the fuzzing: webdataset shards, and damage to them."""

import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np

from tests.fuzz.damage import NUMBERS, damage_bytes

ODD_KINDS = b"0123456789xgLKDSNVM\0\xff"  # of a member of a tar file: file, link, folder, long name, sparse, ...
FIELDS = [(100, 8), (124, 12), (136, 12), (148, 8), (257, 8), (345, 155)]  # mode, size, time, checksum, form, prefix


def damage_tar(data: bytes, random: Random) -> bytes:
    """A tar file: a block of 512 bytes with another kind of member, size or name, the checksum mostly right."""
    blocks = [data[start:start + 512] for start in range(0, len(data), 512)]
    for _ in range(random.choice([1, 1, 1, 2, 5])):
        place, other = random.randrange(min(len(blocks), random.choice([8, 60]))), random.randrange(len(blocks))
        block = bytearray(blocks[place].ljust(512, b"\0"))
        match random.randrange(8):
            case 0:
                del blocks[place]
            case 1:
                blocks[place], blocks[other] = blocks[other], blocks[place]
            case 2:
                blocks[place:place] = blocks[other:other + random.randrange(1, 4)]
            case 3:
                block[156] = random.choice(ODD_KINDS)
            case 4:
                start, length = random.choice(FIELDS)
                number = random.choice(NUMBERS)
                block[start:start + length] = random.choice([
                    f"{number:o}".encode()[:length].rjust(length, b"0"), b"\xff" * length,
                    b"\x80" + (number & ((1 << 8 * (length - 1)) - 1)).to_bytes(length - 1, "big"),
                    (b"\xff" + (-number).to_bytes(max(length - 1, 12), "big", signed=True)[-(length - 1):])])
            case _:
                block = bytearray(damage_bytes(bytes(block), random)[:512].ljust(512, b"\0"))
        if blocks and place < len(blocks):
            if random.randrange(4):
                block[148:156] = b" " * 8
                block[148:156] = f"{sum(block):06o}".encode()[:6] + b"\0 "
            blocks[place] = bytes(block)
    return b"".join(blocks)


def shards(ids: Sequence[str], x: np.ndarray) -> Callable[[Path], list[bytes]]:
    """A shard of two videos in each form of tar files; one name is longer than a header holds."""
    bare, packed = io.BytesIO(), io.BytesIO()
    np.save(bare, x)
    np.savez_compressed(packed, clip=x)
    members = [(f"{ids[0]}.npy", bare.getvalue()), (f"train/{ids[0]}.json", b"{}"),
               (f"{'x/' * 60}{ids[1]}.npz", packed.getvalue())]
    return lambda folder: [_tar(members, form) for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT,
                                                            tarfile.PAX_FORMAT)]


def _tar(members: list[tuple[str, bytes]], form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 0.5 if form == tarfile.PAX_FORMAT else 0
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()
