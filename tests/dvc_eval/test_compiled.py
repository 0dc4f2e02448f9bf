"""METEOR's loops as kept machine code: it needs no numba, and is made anew when anything that it depends on changes."""

import shutil
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from hicm.dvc_eval.meteor15 import NativeMeteor, compiled, resources
from hicm.dvc_eval.meteor15.compiled import ALIGN, FIND_PHRASES, LOOPS

PAIRS = [("a man is running fast", "the men run quickly"), ("stir", "stir"), ("", "fry the onions")]


def test_kept_loops_run_without_numba() -> None:
    here = NativeMeteor().statistics(PAIRS)  # compiled by now
    program = ("import sys; sys.modules['numba'] = None\n"
               "from hicm.dvc_eval.meteor15 import NativeMeteor\n"
               f"print(NativeMeteor().statistics({PAIRS}).tolist(), 'scipy' in sys.modules)\n")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{here.tolist()} False\n" and not done.stderr


def test_machine_code_refers_to_nothing_of_numba() -> None:
    """What numba would call to raise is a trap inside; nothing else is left for the loader to find but C's own."""
    symbol, assembly = FIND_PHRASES.compile()
    module = llvm.parse_assembly(assembly)
    assert any(one.name.startswith(compiled.NUMBAS) for one in module.functions if one.is_declaration)
    module.link_in(llvm.parse_assembly(compiled._stand_ins(module)))
    assert {one.name for one in (*module.functions, *module.global_variables)
            if one.is_declaration and not one.name.startswith("llvm.")} <= {"memset", "memcpy", "memmove"}
    assert not module.get_function(symbol).is_declaration


def test_only_what_a_loop_was_compiled_for_is_run() -> None:
    """Machine code would read other numbers than were given."""
    arrays = [np.zeros((0,) * dimensions, dtype) for dtype, dimensions in ALIGN.types]
    assert ALIGN(*arrays) == 0
    for wrong in (arrays[0].astype(np.int32), arrays[0].ravel(), np.zeros((3, 6), dtype=np.int64)[:, ::2]):
        with pytest.raises(TypeError, match=r"align: argument 0 is int\d\d with \d dimensions, expected contiguous "
                                            "int64 with 2"):
            ALIGN(wrong, *arrays[1:])
    with pytest.raises(ValueError, match="longer"):
        ALIGN(*arrays[:-1])


def test_loops_are_compiled_again_when_their_source_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = compiled._digest("0.48", "x86_64")
    assert before == compiled._digest("0.48", "x86_64") != compiled._digest("0.49", "x86_64")
    shutil.copytree(compiled.FOLDER, tmp_path / "meteor15")
    monkeypatch.setattr(compiled, "FOLDER", tmp_path / "meteor15")
    assert compiled._digest("0.48", "x86_64") == before
    with open(tmp_path / "meteor15" / "loops" / "align.py", "a") as stream:
        stream.write("\n")
    assert compiled._digest("0.48", "x86_64") != before


def test_damaged_machine_code_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever byte of the kept code is changed, the loops are compiled again."""
    compiled.load_loops()
    name = max(resources.cache_folder().glob("meteor15-loops-*.index"), key=lambda path: path.stat().st_mtime).name
    sound = (resources.cache_folder() / name).read_bytes()
    kept = resources.kept_arrays(name, dict)
    made = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled, "_compile_all", lambda *_: made.append("again") or kept)
    (tmp_path / "hicm").mkdir()
    for harm in (0, len(sound) // 2, len(sound) - 1):
        content = bytearray(sound)
        content[harm] ^= 1
        (tmp_path / "hicm" / name).write_bytes(content)
        assert list(compiled.load_loops.__wrapped__()) == [loop.name for loop in LOOPS]
        assert (tmp_path / "hicm" / name).read_bytes() == sound
    compiled.load_loops.__wrapped__()
    assert len(made) == 3
