"""METEOR's loops as cached machine code: it needs no numba, and is compiled again when what it depends on changes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from golden_case import files

from hicm.dvc_eval.words.java import Unavailable
from hicm.dvc_eval.words.meteor15 import NativeMeteor, cache, compiled
from hicm.dvc_eval.words.meteor15.compiled import ALIGN, FIND_PHRASES, LOOPS

PAIRS = [("a man is running fast", "the men run quickly"), ("stir", "stir"), ("", "fry the onions")]


def test_cached_loops_run_without_numba() -> None:
    here = NativeMeteor().statistics(PAIRS)  # compiled by now
    program = ("import sys; sys.modules['numba'] = None\n"
               "from hicm.dvc_eval.words.meteor15 import NativeMeteor\n"
               f"print(NativeMeteor().statistics({PAIRS}).tolist())\n")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{here.tolist()}\n" and not done.stderr


def test_what_numba_would_raise_with_is_a_trap() -> None:
    """Numba's code names functions of its own, for what never happens here: they are defined, and nothing is left."""
    symbol, assembly = FIND_PHRASES.compile()
    module = llvm.parse_assembly(assembly)
    assert any(name.startswith(compiled.NUMBAS) for name in compiled._absent(module))
    module.link_in(llvm.parse_assembly(compiled._stand_ins(module)))
    assert set(compiled._absent(module)) <= compiled.LIBRARY and not module.get_function(symbol).is_declaration


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
    for name, compiled_from in (("native.py", False), ("layout.py", True), ("loops/align.py", True)):
        with open(tmp_path / "meteor15" / name, "a") as stream:
            stream.write("\n")
        after = compiled._digest("0.48", "x86_64")
        assert (after != before) == compiled_from
        before = after


def test_loops_import_nothing_that_the_digest_does_not_cover() -> None:
    names = {name for path in (compiled.FOLDER / "loops").glob("*.py")
             for name in re.findall(r"^(?:from|import) (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)}
    assert names == {"numpy", "numba", "hicm.dvc_eval.words.meteor15.layout"}


def test_damaged_machine_code_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte of its head, its middle or its end is changed: the loops are compiled again."""
    names: list[str] = []
    monkeypatch.setattr(compiled, "cached_arrays",
                        lambda name, make: names.append(name) or cache.cached_arrays(name, make))
    compiled.load_loops.__wrapped__()
    name = names[0]
    sound = (next(cache.cache_folders()) / name).read_bytes()
    cached = cache.cached_arrays(name, dict)
    made = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled, "_compile_all", lambda *_: made.append("again") or cached)
    (tmp_path / "hicm").mkdir()
    for harm in (0, len(sound) // 2, len(sound) - 1):
        content = bytearray(sound)
        content[harm] ^= 1
        (tmp_path / "hicm" / name).write_bytes(content)
        assert list(compiled.load_loops.__wrapped__()) == [loop.name for loop in LOOPS]
        assert (tmp_path / "hicm" / name).read_bytes() == sound
    compiled.load_loops.__wrapped__()
    assert len(made) == 3


def test_what_the_loader_could_not_resolve_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end the process.  Here the loops refer to a function that is nobody's."""
    strange = 'declare void @strange_helper()\ndefine i64 @"loop"() { call void @strange_helper() ret i64 0 }'
    monkeypatch.setattr(compiled, "LOOPS", [type("Strange", (), {"compile": lambda self: ("loop", strange)})()])
    machine = llvm.Target.from_default_triple().create_target_machine()
    with pytest.raises(Unavailable, match="compiled by this numba, call strange_helper; pip install --upgrade numba"):
        compiled._compile_all(llvm, machine)


@pytest.mark.parametrize(("prepare", "reason"), [
    ("sys.modules['numba'] = None", "METEOR without Java needs numba; pip install numba"),
    ("sys.modules['llvmlite'] = None", "METEOR without Java needs numba; pip install numba"),
    ("import numba; numba.config.DISABLE_JIT = 1",
     "METEOR without Java needs numba's compiler; unset NUMBA_DISABLE_JIT")])
def test_where_nothing_is_cached_yet(tmp_path: Path, golden: Path, prepare: str, reason: str) -> None:
    """Without numba METEOR is left out, and the rest is scored."""
    program = (f"import sys; {prepare}; from hicm.dvc_eval import evaluate\n"
               "result = evaluate(*sys.argv[1:], metrics=['METEOR', 'CIDEr', 'soda_d'])\n"
               "print(sorted(result.scores), *result.left_out.values())")
    done = subprocess.run([sys.executable, "-c", program, *files(golden)], capture_output=True, text=True, check=True,
                          env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)})
    assert done.stdout == f"['CIDEr', 'soda_d'] {reason}\n"


def test_a_numba_that_refuses_to_be_imported_says_why() -> None:
    refused = ImportError("Numba needs NumPy 2.3 or less")
    assert str(cache.no_numba(refused)) == (
        "METEOR without Java needs numba, which cannot be imported (Numba needs NumPy 2.3 or less); pip install numba")
