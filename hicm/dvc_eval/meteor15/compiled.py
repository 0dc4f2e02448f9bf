"""Loops that numba compiles once on a machine, kept as machine code that runs without numba.

Loading numba, and through it what it compiled before, takes longer than all of METEOR's work on a usual data set.
LLVM, which numba compiles with, loads machine code by itself in a tenth of the time.
"""

import ctypes
import functools
import hashlib
from collections.abc import Callable
from importlib import import_module
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hicm.dvc_eval.java import Unavailable
from hicm.dvc_eval.meteor15.resources import kept_arrays

FOLDER = Path(__file__).parent
NUMBAS = "numba_", "NRT_", "Py"  # how the names of its functions and of Python's start


class Loop:
    """A loop of ``hicm.dvc_eval.meteor15.loops.MODULE`` as a function of arrays that returns an integer.

    ``types``: dtype and dimensions of each argument, as in ``int64[:,:]``.  Arrays are contiguous (C order).
    """

    def __init__(self, module: str, name: str, *types: str) -> None:
        self.module, self.name = module, name
        self.types = [(np.dtype(kind.partition("[")[0]), kind.count(":")) for kind in types]

    def __call__(self, *arrays: np.ndarray) -> int:
        """Run on arrays; TypeError for other types than declared, which machine code would misread."""
        for at, (array, (dtype, dimensions)) in enumerate(zip(arrays, self.types, strict=True)):
            if array.dtype != dtype or array.ndim != dimensions or not array.flags.c_contiguous:
                raise TypeError(f"{self.name}: argument {at} is {array.dtype} with {array.ndim} dimensions, expected "
                                f"contiguous {dtype} with {dimensions}")
        shapes = np.array([size for array in arrays for size in array.shape], dtype=np.int64)
        return load_loops()[self.name](*(array.ctypes.data for array in (*arrays, shapes)))

    def compile(self) -> tuple[str, str]:
        """Symbol and LLVM's language, by numba.

        C knows no arrays: the compiled function takes the address of each, and in the end that of all their shapes.
        """
        from numba import carray, cfunc, from_dtype, types

        places, names = count(), [f"array{at}" for at in range(len(self.types))]
        arrays = [f"carray({name}, ({''.join(f'shapes[{next(places)}], ' for _ in range(dimensions))}))"
                  for name, (_, dimensions) in zip(names, self.types, strict=True)]
        loop = getattr(import_module(f"hicm.dvc_eval.meteor15.loops.{self.module}"), self.name)
        source = f"lambda {', '.join(names)}, shapes: loop({', '.join(arrays)})"
        function = eval(source, {"carray": carray, "loop": loop})
        addresses = [types.CPointer(from_dtype(dtype)) for dtype, _ in self.types]
        compiled = cfunc(types.int64(*addresses, types.CPointer(types.int64)))(function)
        return compiled.native_name, compiled.inspect_llvm()


FIND_PHRASES = Loop("phrases", "find_phrases", "int64[:]", "int64[:]", "uint64[:]", "uint64[:]", "int32[:]",
                    "int32[:,:]", "int64[:]")
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
    """All loops by name, compiled first where that was not done: some 10 s, with a progress bar.

    Raises Unavailable where numba is not installed or the user's cache folder cannot be written.
    """
    try:
        import llvmlite  # part of numba
        import llvmlite.binding as llvm
    except ImportError as error:
        raise _no_numba() from error
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # For any processor of this kind: a home folder may be shared by several machines.
    machine = llvm.Target.from_default_triple().create_target_machine(opt=3, jit=True)
    kept = kept_arrays(f"meteor15-loops-{_digest(llvmlite.__version__, machine.triple)}.index",
                       lambda: _compile_all(llvm, machine))
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(kept["code"].tobytes()))
    engine.finalize_object()
    found = {}
    for loop, symbol in zip(LOOPS, kept["symbols"].tobytes().decode().split(), strict=True):
        address = engine.get_function_address(symbol)
        found[loop.name] = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * (len(loop.types) + 1))(address)
        found[loop.name].engine = engine  # which holds the code
    return found


def _digest(*versions: str) -> str:
    """Of all that the machine code depends on."""
    digest = hashlib.sha256("\n".join(versions).encode())
    for path in sorted(FOLDER.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _compile_all(llvm: ModuleType, machine: Any) -> dict[str, np.ndarray]:
    """Object code of all loops, and the symbols of each, as text."""
    from tqdm import tqdm

    module, symbols = llvm.parse_assembly(""), []
    try:
        for loop in tqdm(LOOPS, desc="METEOR's loops (compiled once)", unit="loop"):
            symbol, assembly = loop.compile()
            symbols.append(symbol)
            module.link_in(llvm.parse_assembly(assembly))
    except ImportError as error:
        raise _no_numba() from error
    module.link_in(llvm.parse_assembly(_stand_ins(module)))
    return {"code": np.frombuffer(machine.emit_object(module), dtype=np.uint8),
            "symbols": np.frombuffer("\n".join(symbols).encode(), dtype=np.uint8)}


def _stand_ins(module: Any) -> str:
    """In LLVM's language, what numba's code refers to for the case that it raises, which ours never does: a trap."""
    functions = [one.name for one in module.functions if one.is_declaration and one.name.startswith(NUMBAS)]
    variables = [one.name for one in module.global_variables if one.is_declaration and one.name.startswith(NUMBAS)]
    return "\n".join([*(f"define void @{name}() {{ call void @llvm.trap() unreachable }}" for name in functions),
                      *(f"@{name} = global i8 0" for name in variables), "declare void @llvm.trap()"])


def _no_numba() -> Unavailable:
    return Unavailable("METEOR without Java needs numba; pip install numba")
