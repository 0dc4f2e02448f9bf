"""Damage to a sound file: of its bytes, of what stands in it, and of files in a zip.  All is drawn from ``random``."""

import io
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from random import Random

Damage = Callable[[bytes, Random], bytes]

NUMBERS = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40,
           (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


def damage_bytes(data: bytes, random: Random) -> bytes:
    """Flipped bits, odd numbers, missing, repeated and moved parts; half of the time among the first 2,000 bytes."""
    content = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 1, 2, 4, 16])):
        if not content:
            break
        place = random.randrange(min(len(content), random.choice([2000, 1 << 60])))
        length = random.choice([1, 2, 4, 8, 16, 64, 512])
        other = random.randrange(len(content))
        match random.randrange(9):
            case 0 | 1 | 2:
                content[place] ^= 1 << random.randrange(8)
            case 3:
                content[place] = random.randrange(256)
            case 4:
                size = random.choice([1, 2, 4, 8])
                number = random.choice(NUMBERS) & ((1 << 8 * size) - 1)
                content[place:place + size] = number.to_bytes(size, random.choice(["little", "big"]))
            case 5:
                content[place:place] = content[other:other + length]
            case 6:
                content[place:place + length] = content[other:other + length]
            case 7:
                del content[place:place + length]
            case 8:
                del content[place:]
    return bytes(content)


ODD_OPCODES = [b"0", b"1", b"2", b"(", b"t", b"e", b"a", b"s", b"u", b"b", b"R", b"]", b"}", b")", b"\x85", b"\x86",
               b"\x87", b"\x93", b"\x94", b"\x81", b"\x8f", b"\x90", b"\x97", b"\x98", b"N", b"\x88", b"Q", b"o",
               b"h\x00", b"h\x05", b"j\xff\xff\xff\x7f", b"r\xff\xff\xff\x7f", b"q\x00", b"\x82\x01", b"K\x7f",
               b"J\xff\xff\xff\xff", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8a\xff" + b"\x7f" * 255,
               b"G\x7f\xf0\x00\x00\x00\x00\x00\x00", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cos\nsystem\n",
               b"cnumpy._core.multiarray\n_reconstruct\n", b"cnumpy._core.numeric\n_frombuffer\n",
               b"cnumpy.core.multiarray\nscalar\n", b"X\x02\x00\x00\x00O8", b"X\x02\x00\x00\x00V8", b"C\x08AAAAAAAA",
               b"\x8e" + struct.pack("<Q", 1 << 40), b"\x8d" + struct.pack("<Q", 1 << 62), b"]" * 500 + b"a" * 499,
               b"\x85" * 2000, b"2h\x00" * 100, b"]\x94(" + b"h\x00" * 50 + b"e"]


def damage_pickle(data: bytes, random: Random) -> bytes:
    """Whole instructions missing, repeated, exchanged, or odd ones between them; a quarter of the time bytes."""
    places = [place for _, _, place in pickletools.genops(data)]
    parts = [data[start:end] for start, end in zip(places, [*places[1:], len(data)], strict=True)]
    for _ in range(random.choice([1, 1, 1, 1, 2, 5])):
        place, other = random.randrange(len(parts)), random.randrange(len(parts))
        match random.randrange(6):
            case 0:
                parts[place:place] = [random.choice(ODD_OPCODES)]
            case 1:
                parts[place] = random.choice(ODD_OPCODES)
            case 2 if len(parts) > 1:
                del parts[place]
            case 3:
                parts[place], parts[other] = parts[other], parts[place]
            case 4:
                parts[place:place] = parts[other:other + random.randrange(1, 30)] * random.choice([1, 1, 2, 50])
            case 5:
                parts[place] = damage_bytes(parts[place], random)
    return b"".join(parts)


TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[-+.\w]+|\s+|.', re.DOTALL)
ODD_JSON = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e308", "-0.0", "1e-400", "9" * 400, "9" * 5000, "-1",
            "0", "18446744073709551616", "true", "null", "{}", "[]", '""', "[[]]", '"\\ud800"', '"\\u0000"',
            '"' + "x" * 300 + '"', '"../../x"', '"."', "[" * 500 + "]" * 500, "[" * 90000, '{"a":' * 300, ",", ":", "}",
            "]", '"start"', '"a":1,"a":2', "\ufeff", "\x00", "'a'", "0x10", "1_0", "//", '"\\u00']
ODD_YAML = ["&a ", "*a", "*b", "<<: *a", "&a [*a, *a]", "!!python/object:os.system x", "!!set {a}", "!!binary aa",
            "!!int x", "!!bool x", "!!timestamp x", "!!omap []", "!!float", "2024-01-01", "2024-13-45", "9" * 5000,
            "0x" + "f" * 5000, "1:2:3", ".inf", ".nan", "1e999", "? [a]", "? ", "- ", ": ", "|\n", ">\n", "{", "}",
            "[" * 200, "[", "]", "%YAML 9", "---\n", "...\n", "\t", "'", '"', '"\\ud800"', '"\\0"', "#", "@", "`", "=",
            "~", "yes", "\ufeff", "\x00", "{" * 50, "x" * 300, "\n", "  ",
            "a: &x [1]\nb: &y [*x,*x,*x,*x,*x,*x,*x,*x]\nc: &z [*y,*y,*y,*y,*y,*y,*y,*y]\n"]


def damage_tokens(data: bytes, random: Random, odd: Sequence[str]) -> bytes:
    """Words, numbers and brackets missing, repeated or exchanged, or ``odd`` ones in their place."""
    parts = TOKEN.findall(data.decode())
    for _ in range(random.choice([1, 1, 1, 1, 2, 5])):
        place, other = random.randrange(len(parts)), random.randrange(len(parts))
        match random.randrange(5):
            case 0 | 1:
                parts[place] = random.choice(odd)
            case 2:
                parts[place:place] = [random.choice(odd)]
            case 3:
                parts[place], parts[other] = parts[other], parts[place]
            case 4 if len(parts) > 1:
                parts[place:place] = parts[other:other + random.randrange(1, 20)] * random.choice([1, 1, 2, 50])
    return "".join(parts).encode("utf-8", "surrogatepass")


def damage_json(data: bytes, random: Random) -> bytes:
    return damage_tokens(data, random, ODD_JSON)


def damage_yaml(data: bytes, random: Random) -> bytes:
    return damage_tokens(data, random, ODD_YAML)


ODD_HEADER = ["'|O'", "'<U9999999'", "'<V8'", "'<M8[s]'", "'f16'", "[('a','O')]", "(1,)", "(-1,)", "(2**60,)", "True",
              "None", "9" * 18, "9" * 5000, "(" * 100, "-" * 100 + "1", "'x' * 9", "{}", "'<c16'", "'|b1'", "'>f4'",
              "0", "1e9", ","]


def damage_npy(data: bytes, random: Random) -> bytes:
    """The words of the header of an .npy file, with its length put right."""
    size = int.from_bytes(data[8:10], "little")
    header = damage_tokens(data[10:10 + size], random, ODD_HEADER)[:65535]
    return data[:8] + len(header).to_bytes(2, "little") + header + data[10 + size:]


def damage_safetensors(data: bytes, random: Random) -> bytes:
    """The words of the header, with its length put right."""
    size = int.from_bytes(data[:8], "little")
    header = damage_json(data[8:8 + size], random)
    return len(header).to_bytes(8, "little") + header + data[8 + size:]


def in_zip(suffix: str, damage: Damage) -> Damage:
    """Damage to a file in a zip, whose checksum is then right; a member may also be missing, repeated or a bomb."""
    def damage_zip(data: bytes, random: Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
        place = random.choice([number for number, (name, _) in enumerate(members) if name.endswith(suffix)])
        name, content = members[place]
        match random.randrange(10):
            case 0:
                del members[place]
            case 1:
                members[place] = name, random.choice(members)[1]
            case 2:
                members[place] = name, content + bytes(random.choice([1, 1000, 300_000]))
            case 3:
                members[place] = random.choice(["x", "x.npy", "../x.npy", "a/b", "key.npy"]), content
            case _:
                members[place] = name, damage(content, random)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", random.choice([zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED,
                                                      zipfile.ZIP_BZIP2])) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return out.getvalue()
    return damage_zip


def damage_lines(data: bytes, random: Random) -> bytes:
    """A file of json lines: one of them damaged as json."""
    lines = data.splitlines(keepends=True)
    place = random.randrange(len(lines))
    lines[place] = damage_json(lines[place], random)
    return b"".join(lines)


