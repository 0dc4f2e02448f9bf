"""Loops that numba compiles once per machine, cached as machine code that runs without numba.

Importing numba and loading its own cache takes longer than all of METEOR's work on a typical data set.  LLVM, which
numba compiles with, loads the machine code by itself in a tenth of the time.
"""

import ctypes
import functools
import hashlib
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hicm.dvc_eval.words.java import Unavailable
from hicm.dvc_eval.words.meteor15.cache import cached_arrays, need_numba, no_numba

FOLDER = Path(__file__).parent
NUMBAS = "numba_", "NRT_", "Py"  # how the names of functions of numba and Python start
LIBRARY = {"memset", "memcpy", "memmove"}  # the loader finds these in every process

Type = tuple[np.dtype, int]  # of an array: dtype and number of dimensions


class Loop:
    """A function of ``hicm.dvc_eval.words.meteor15.loops.MODULE``, compiled: takes arrays, returns an integer.

    ``types``: dtype and dimensions of each argument, e.g. ``int64[:,:]``.  Arrays are contiguous (C order).
    """

    def __init__(self, module: str, name: str, *types: str) -> None:
        self.module, self.name = module, name
        self.types = [(np.dtype(kind.partition("[")[0]), kind.count(":")) for kind in types]

    def __call__(self, *arrays: np.ndarray) -> int:
        """Run on arrays.  Raises TypeError for types other than declared, which machine code would misread."""
        for at, (array, (dtype, dimensions)) in enumerate(zip(arrays, self.types, strict=True)):
            if array.dtype != dtype or array.ndim != dimensions or not array.flags.c_contiguous:
                raise TypeError(f"{self.name}: argument {at} is {array.dtype} with {array.ndim} dimensions, expected "
                                f"contiguous {dtype} with {dimensions}")
        shapes = np.array([size for array in arrays for size in array.shape], dtype=np.int64)
        return load_loops()[self.name](*(array.ctypes.data for array in (*arrays, shapes)))

    def compile(self) -> tuple[str, str]:
        """Compile with numba: the function's symbol, and the code in LLVM's assembly language."""
        from numba import carray, cfunc, from_dtype, types

        loop = getattr(import_module(f"hicm.dvc_eval.words.meteor15.loops.{self.module}"), self.name)
        function = eval(wrapper_source(self.types), {"carray": carray, "loop": loop})
        addresses = [types.CPointer(from_dtype(dtype)) for dtype, _ in self.types]
        compiled = cfunc(types.int64(*addresses, types.CPointer(types.int64)))(function)
        return compiled.native_name, compiled.inspect_llvm()


def wrapper_source(types: Sequence[Type]) -> str:
    """Source of the function that is compiled.  C has no arrays: it takes their addresses, then that of all shapes.

    >>> wrapper_source([(np.dtype("int64"), 1), (np.dtype("int32"), 2)])
    'lambda a0, a1, shapes: loop(carray(a0, (shapes[0],)), carray(a1, (shapes[1], shapes[2])))'
    """
    places = count()
    names = [f"a{at}" for at in range(len(types))]
    arrays = []
    for name, (_, dimensions) in zip(names, types, strict=True):
        sizes = [f"shapes[{next(places)}]" for _ in range(dimensions)]
        arrays.append(f"carray({name}, ({', '.join(sizes)}{',' * (dimensions == 1)}))")
    return f"lambda {', '.join(names)}, shapes: loop({', '.join(arrays)})"


FIND_PHRASES = Loop("phrases", "find_phrases", "int64[:]", "int64[:]", "uint64[:]", "uint64[:]", "int32[:]",
                    "uint8[:]", "int32[:,:]", "int64[:]")
KEEP_PRESENT = Loop("match", "keep_present", "int64[:]", "int32[:]", "uint32[:]", "uint16[:]", "int64[:]", "int64[:]",
                    "int64[:]")
FIND_MATCHES = Loop("match", "find_matches", "int64[:]", "int64[:,:]", "int64[:]", "int64[:]", "int32[:,:]", "int64[:]",
                    "uint32[:]", "uint32[:]", "int64[:]", "int64[:]", "int64[:]", "int64[:]", "int64[:]", "int64[:]",
                    "int64[:]", "int64[:]", "int64[:]", "int64[:,:]", "int32[:,:]", "int64[:]")
ALIGN = Loop("align", "align", "int64[:,:]", "int64[:]", "int32[:,:]", "int64[:]", "int64[:]", "int64[:]",
             "int64[:,:]", "int64[:]", "int64[:,:]", "int64[:,:]", "int64[:]", "uint64[:,:,:,:]", "int64[:,:,:]",
             "int64[:]")
LOOPS = (FIND_PHRASES, KEEP_PRESENT, FIND_MATCHES, ALIGN)


@functools.cache
def load_loops() -> dict[str, Callable[..., int]]:
    """All loops by name; if they are not in the cache they are compiled first, in about 10 s, with a progress bar.

    Raises Unavailable if numba cannot be imported or the user's cache folder cannot be written.
    """
    try:
        import llvmlite  # part of numba
        import llvmlite.binding as llvm
    except ImportError as error:
        raise no_numba(error) from error
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Numba compiles for this processor.  Several machines may share a home folder: each gets a file of its own.
    processor = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(*processor, opt=3, jit=True)
    key = _digest(llvmlite.__version__, machine.triple, *processor)
    cached = cached_arrays(f"meteor15-loops-{key}.index", lambda: _compile_all(llvm, machine))
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(cached["code"].tobytes()))
    engine.finalize_object()
    found: dict[str, Callable[..., int]] = {}
    for loop, symbol in zip(LOOPS, cached["symbols"].tobytes().decode().split(), strict=True):
        address = engine.get_function_address(symbol)
        function: Any = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * (len(loop.types) + 1))(address)
        function.engine = engine  # keeps the code alive
        found[loop.name] = function
    return found


def _digest(*versions: str) -> str:
    """Digest of everything the machine code depends on: the loops' source, and the given versions."""
    digest = hashlib.sha256("\n".join(versions).encode())
    for path in (FOLDER / "compiled.py", FOLDER / "layout.py", *sorted(FOLDER.glob("loops/*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _compile_all(llvm: ModuleType, machine: Any) -> dict[str, np.ndarray]:
    """Object code of all loops and, as text, their symbols."""
    from tqdm import tqdm

    need_numba()
    from numba.core.errors import NumbaError

    module, symbols = llvm.parse_assembly(""), []
    try:
        for loop in tqdm(LOOPS, desc="METEOR's loops (compiled once)", unit="loop"):
            symbol, assembly = loop.compile()
            symbols.append(symbol)
            module.link_in(llvm.parse_assembly(assembly))
    except NumbaError as error:
        raise Unavailable(f"METEOR's loops: this numba cannot compile them ({str(error).splitlines()[0]}); pip install "
                          "--upgrade numba") from error
    module.link_in(llvm.parse_assembly(_stand_ins(module)))
    unknown = sorted(set(_absent(module)) - LIBRARY)
    if unknown:  # the loader would abort the process
        raise Unavailable(f"METEOR's loops, compiled by this numba, call {', '.join(unknown)}; pip install --upgrade "
                          "numba")
    return {"code": np.frombuffer(machine.emit_object(module), dtype=np.uint8),
            "symbols": np.frombuffer("\n".join(symbols).encode(), dtype=np.uint8)}


def _stand_ins(module: Any) -> str:
    """Assembly that defines, as traps, what numba's code calls in order to raise; ours never raises."""
    variables = {one.name for one in module.global_variables}
    lines = [f"@{name} = global i8 0" if name in variables else
             f"define void @{name}() {{ call void @llvm.trap() unreachable }}"
             for name in _absent(module) if name.startswith(NUMBAS)]
    return "\n".join([*lines, "declare void @llvm.trap()"])


def _absent(module: Any) -> list[str]:
    """Names that the code refers to but does not define, other than LLVM's own."""
    return [one.name for one in (*module.functions, *module.global_variables)
            if one.is_declaration and not one.name.startswith("llvm.")]
