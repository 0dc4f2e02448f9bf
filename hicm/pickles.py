"""Plain data and NumPy arrays from a pickle, by an interpreter that knows nothing else.

Python's unpickler calls whatever a file names, and NumPy's own functions believe what the file says about an array:
an array of objects over bytes makes pointers of them.  Here only the instructions and names listed below exist, and
arrays are copies of the file's bytes, once their number is right.
"""

import itertools
import math
import pickle
import pickletools
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from hicm.errors import brief
from hicm.unfold import refuse_bombs

KEYS = (str, int, float, bool, bytes, type(None))
UNFOLDED = 1 << 26, 50  # content may fill this many characters and bytes, and as many times those of the file, besides
DTYPE = re.compile(r"[|<>=]?(b1|[iu][1248]|f[248]|c8|c16|[US][0-9]{1,6}|O[48]?)")


def load_plain(data: bytes) -> Any:
    """What the pickle ``data`` holds: dicts, lists, tuples, text, bytes, numbers, None, NumPy arrays and scalars.

    Arrays of objects become lists, Counters dicts.  Raises ValueError or UnpicklingError, which say why, for anything
    else, for damage, and for content that would fill the memory when it is used.
    """
    try:
        found = _Machine(len(data)).run(data)
    except (IndexError, KeyError, TypeError, AttributeError) as error:  # its instructions make no sense
        raise pickle.UnpicklingError("it is damaged") from error
    refuse_bombs(found, _parts, _size, UNFOLDED[0] + UNFOLDED[1] * len(data))
    return found


def _parts(item: Any) -> Iterable[Any] | None:
    if type(item) is dict:
        return itertools.chain(item, item.values())
    return item if type(item) in (list, tuple) else None


def _size(item: Any) -> int:
    kind = type(item)
    if kind is float or kind is int:
        return 1
    if kind is str or kind is bytes:
        return 1 + len(item)
    if isinstance(item, np.ndarray | np.generic):
        return 1 + item.nbytes
    if type(item) in (*KEYS, complex, dict, list, tuple):
        return 1
    raise pickle.UnpicklingError(f"it holds a part of {type(item).__name__.strip('_').lower()} alone")


class _Dtype:
    """Stands for a ``numpy.dtype`` while a pickle is read; ``plain`` is None for objects."""

    def __init__(self, name: Any) -> None:
        name = name.decode("latin1") if type(name) is bytes else name
        if type(name) is not str or not DTYPE.fullmatch(name):
            raise pickle.UnpicklingError(f"an array of type {brief(name)}; numbers, truth values and text are read")
        self.plain = None if "O" in name else np.dtype(name)

    def build(self, state: Any) -> None:
        """Take the byte order; structured types are refused."""
        if type(state) is not tuple or len(state) not in (8, 9) or state[2:5] != (None,) * 3 or state[8:] not in (
                (), (None,)) or state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"an array of type {brief(state)}; numbers, truth values and text are read")
        if self.plain is not None and state[1] in ("<", ">"):
            self.plain = self.plain.newbyteorder(state[1])


class _Array:
    """Stands for an array that is still without content; ``places``: where the memo holds it."""

    def __init__(self) -> None:
        self.places: list[int] = []


class _Name:
    """What a pickle may name; ``call`` makes what it stands for."""

    def __init__(self, call: Callable[..., Any] | None = None) -> None:
        self.call = call


class _Machine:
    """The stack, the marked stacks below it, and the memo of a pickle."""

    def __init__(self, size: int) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        # Bytes of arrays: a file that names the same bytes again and again is refused.  Protocols 0 to 2 write them as
        # text, which is made bytes first: they count twice.
        self.budget = 2 * size

    def run(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            name = opcode.name
            if name in VALUES:
                self.stack.append(argument)
            elif name in ACTIONS:
                ACTIONS[name](self, argument)
            else:
                raise pickle.UnpicklingError(f"it uses {name}, but only plain data and NumPy arrays are read")
        return self.stack.pop()  # genops ends behind STOP, or raises

    # instructions

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_number(self, value: int) -> None:
        if not -(1 << 63) <= value < 1 << 64:
            raise pickle.UnpicklingError("a whole number of more than 64 bits")
        self.stack.append(value)

    def push_string(self, value: str) -> None:
        """A Python 2 string: text if it is ASCII, else bytes."""
        self.stack.append(value if value.isascii() else value.encode("latin1"))

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def make_tuple(self, count: int) -> None:
        if len(self.stack) < count:
            raise pickle.UnpicklingError("it takes more than it has")
        self.stack[len(self.stack) - count:] = [tuple(self.stack[len(self.stack) - count:])]

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise pickle.UnpicklingError("it adds to something that is no list")
        self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not dict:
            raise pickle.UnpicklingError("it adds to something that is no dict")
        if len(items) % 2:
            raise pickle.UnpicklingError("it is damaged")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in KEYS and not isinstance(key, np.generic):
                raise pickle.UnpicklingError(f"a dict with a {type(key).__name__.strip('_').lower()} as key")
            self.stack[-1][key] = value

    def make_dict(self, _: Any) -> None:
        items = self.pop_mark()
        self.push({})
        self.update(items)

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]
        if type(self.stack[-1]) is _Array:
            self.stack[-1].places.append(place)

    def name(self, written: str) -> None:
        module, _, name = written.partition(" ")
        self.named(module, name)

    def stack_name(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.named(module, name)

    def named(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str or (module, name) not in NAMES:
            raise pickle.UnpicklingError(f"it names {str(module)[:60]}.{str(name)[:60]}, but only plain data and NumPy "
                                         "arrays are read")
        self.stack.append(NAMES[module, name])

    def call(self, _: Any) -> None:
        arguments, what = self.stack.pop(), self.stack.pop()
        if what is NDARRAY:
            raise pickle.UnpicklingError("it calls numpy.ndarray itself, as only a pickle made by hand does")
        if type(arguments) is not tuple or type(what) is not _Name or what.call is None:
            raise pickle.UnpicklingError("it calls something that is no function")
        self.stack.append(what.call(self, *arguments))

    def build(self, _: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is _Dtype:
            target.build(state)
        elif type(target) is _Array and type(state) is tuple and len(state) == 5:
            self.stack[-1] = array = self.array(*state[1:])
            for place in target.places:
                self.memo[place] = array
        else:
            raise pickle.UnpicklingError("it builds something that is no array")

    # what its names stand for

    def dtype(self, name: Any, *_: Any) -> _Dtype:
        return _Dtype(name)

    def reconstruct(self, kind: Any, *_: Any) -> _Array:
        if kind is not NDARRAY:
            raise pickle.UnpicklingError("an array of another kind than NumPy's own")
        return _Array()

    def scalar(self, dtype: Any, raw: Any) -> Any:
        if type(dtype) is _Dtype and dtype.plain is None:
            raise pickle.UnpicklingError("a NumPy scalar that is an object")
        return self.array((), dtype, False, raw)[()]

    def from_buffer(self, raw: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> Any:
        return self.array(shape, dtype, order == "F", raw)

    def encode(self, text: Any, encoding: Any) -> bytes:
        if encoding != "latin1" or type(text) is not str:
            raise pickle.UnpicklingError(f"bytes written as {str(encoding)[:60]}, expected latin1")
        self.spend(len(text))
        return text.encode("latin1")

    def no_bytes(self) -> bytes:
        return b""

    def counter(self, counts: Any) -> dict[Any, Any]:
        """A ``collections.Counter`` as the dict that it was made of; a copy each time would grow without bounds."""
        if type(counts) is not dict:
            raise pickle.UnpicklingError(f"a Counter of {brief(counts)}, expected a dict")
        return counts

    def spend(self, size: int) -> None:
        self.budget -= size
        if self.budget < 0:
            raise pickle.UnpicklingError("its arrays are larger than the file")

    def array(self, shape: Any, dtype: Any, fortran: Any, raw: Any) -> Any:
        """The array as a copy; a list for a row of objects."""
        if type(shape) is not tuple or not all(type(size) is int and size >= 0 for size in shape) \
                or type(dtype) is not _Dtype:
            raise pickle.UnpicklingError(f"an array of shape {brief(shape)}")
        count, plain = math.prod(shape), dtype.plain
        if plain is None:
            if type(raw) is not list or len(shape) != 1 or len(raw) != count:
                raise pickle.UnpicklingError("an array of objects that is no list of them")
            self.spend(count)
            return list(raw)
        if type(raw) is str:
            raw = raw.encode("latin1")
        if type(raw) is not bytes or len(raw) != count * plain.itemsize or not (plain.itemsize or count <= 1):
            raise pickle.UnpicklingError(f"an array of shape {brief(shape)} and type {plain} without the bytes for it")
        self.spend(len(raw))
        order: Any = "F" if fortran else "C"
        if not raw:
            return np.zeros(shape, plain.newbyteorder("="), order)
        if plain.kind == "b":
            return np.ndarray(shape, np.uint8, raw, order=order) != 0  # a truth value of 65 misleads NumPy
        if plain.kind == "U" and (np.frombuffer(raw, np.dtype("u4").newbyteorder(plain.byteorder)) > 0x10FFFF).any():
            raise pickle.UnpicklingError("text with characters that do not exist")
        return np.ndarray(shape, plain, raw, order=order).astype(plain.newbyteorder("="), order="K", copy=True)


NDARRAY = _Name()
NAMES = {("numpy", "ndarray"): NDARRAY, ("numpy", "dtype"): _Name(_Machine.dtype),
         # how protocols 0 to 2 write bytes
         ("_codecs", "encode"): _Name(_Machine.encode), ("__builtin__", "bytes"): _Name(_Machine.no_bytes),
         ("builtins", "bytes"): _Name(_Machine.no_bytes),
         ("collections", "Counter"): _Name(_Machine.counter)}
for _core in ("numpy.core", "numpy._core"):  # before and since NumPy 2
    NAMES |= {(f"{_core}.multiarray", "_reconstruct"): _Name(_Machine.reconstruct),
              (f"{_core}.multiarray", "scalar"): _Name(_Machine.scalar),
              (f"{_core}.numeric", "_frombuffer"): _Name(_Machine.from_buffer)}

VALUES = {"BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE",
          "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}  # whose argument is the value
ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    **dict.fromkeys(("INT", "LONG", "LONG1", "LONG4"), _Machine.push_number),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _Machine.push_string),
    "BYTEARRAY8": lambda machine, value: machine.push(bytes(value)),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "LIST": lambda machine, _: machine.push(machine.pop_mark()),
    "DICT": _Machine.make_dict,
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_mark()),
    "SETITEM": lambda machine, _: machine.update([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.update(machine.pop_mark()),
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda machine, _: machine.pop_mark(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, place: machine.push(machine.memo[place])),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
}
