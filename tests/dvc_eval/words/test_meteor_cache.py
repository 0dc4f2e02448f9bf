"""METEOR's arrays on disk: sound or built anew, by one process, in the user's cache or among temporary files."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from hicm.dvc_eval.words.java import Unavailable
from hicm.dvc_eval.words.meteor15 import index
from hicm.dvc_eval.words.meteor15.cache import cache_folders

SMALL = {"words": np.frombuffer(b"some\nwords", dtype=np.uint8), "ranks": np.arange(7, dtype=np.uint16)}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """A cache folder of its own and a quick builder instead of METEOR's; returns the list of its calls."""
    calls: list[int] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(index, "build_arrays", lambda: calls.append(1) or SMALL)
    return calls


def index_file() -> Path:
    return next(cache_folders()) / index.NAME


def test_index_is_built_once_and_read_as_written(small: list[int], tmp_path: Path) -> None:
    for _ in range(3):
        loaded = index.load_index()
        assert {name: (array.dtype, array.tolist()) for name, array in loaded.items()} == \
            {name: (array.dtype, array.tolist()) for name, array in SMALL.items()}
    assert small == [1] and index_file().parent.parent == tmp_path


def test_indices_of_former_formats_are_removed_once_the_new_one_is_written(
        small: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = index_file().parent
    folder.mkdir()
    former = folder / "meteor15-en-1.index"
    kept = [folder / name for name in ("meteor15-en-1.index.txt", "meteor15-en-9.index", "meteor15-loops-1.index")]
    for file in (former, *kept):
        file.write_text("something")
    with monkeypatch.context() as patch:
        patch.setattr(index, "build_arrays", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            index.load_index()
    assert former.exists()
    index.load_index()
    assert not former.exists() and all(map(Path.exists, kept)) and index.FORMER[-1] == former.name


@pytest.mark.parametrize("harm", ["flipped", "short", "empty", "header", "text"])
def test_damaged_index_is_rebuilt(small: list[int], harm: str) -> None:
    index.load_index()
    sound = index_file().read_bytes()
    index_file().write_bytes({"flipped": sound[:-3] + bytes([sound[-3] ^ 1]) + sound[-2:], "short": sound[:-1],
                              "empty": b"", "header": b"{" + sound[1:], "text": b"not an index\n"}[harm])
    assert index.load_index()["ranks"].tolist() == list(range(7))
    assert small == [1, 1] and index_file().read_bytes() == sound


def test_two_processes_build_once(tmp_path: Path) -> None:
    """Both start without an index; one builds until the other wants it too, and the other reads what it built."""
    program = """if True:
        import sys, time
        from pathlib import Path
        import numpy as np
        from hicm.dvc_eval.words.meteor15 import index
        folder, own, other = Path(sys.argv[1]), *sys.argv[2:]
        def build_arrays():
            (folder / f"built by {own}").touch()
            while not (folder / f"{other} wants it").exists():
                time.sleep(0.01)
            time.sleep(0.2)
            return {"ranks": np.arange(7)}
        index.build_arrays = build_arrays
        (folder / f"{own} wants it").touch()
        print(index.load_index()["ranks"].tolist())
    """
    both = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), *names], stdout=subprocess.PIPE, text=True,
                             env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)}) for names in ("AB", "BA")]
    assert [process.communicate(timeout=60)[0] for process in both] == ["[0, 1, 2, 3, 4, 5, 6]\n"] * 2
    assert len(list(tmp_path.glob("built by *"))) == 1


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where temporary files go."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.mark.parametrize("home", ["read-only", "none"])
def test_without_a_home_the_index_is_kept_among_temporary_files(small: list[int], tmp_path: Path, temporary: Path,
                                                                monkeypatch: pytest.MonkeyPatch, home: str,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    if home == "read-only":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    else:
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    for _ in range(2):
        assert index.load_index()["ranks"].tolist() == list(range(7))
    folder, = temporary.iterdir()
    assert small == [1] and folder.stat().st_mode & 0o777 == 0o700
    said = capsys.readouterr().err
    assert said.count("\n") == (home == "read-only") and (home == "none" or f"is kept in {folder}; " in said)
    (folder / index.NAME).write_bytes(b"damaged")
    assert index.load_index()["ranks"].tolist() == list(range(7)) and small == [1, 1]


@pytest.mark.parametrize("trap", ["open to all", "link", "file", "no temporary files"])
def test_machine_code_is_not_read_from_where_others_write(small: list[int], tmp_path: Path, temporary: Path, trap: str,
                                                          monkeypatch: pytest.MonkeyPatch,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    """Then the arrays are made each time, and a line says so."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = temporary / f"hicm-cache-{os.getuid()}"
    if trap == "open to all":
        folder.mkdir()
        folder.chmod(0o777)
    elif trap == "link":
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    elif trap == "file":
        folder.write_text("")
    else:
        monkeypatch.setattr(tempfile, "gettempdir", lambda: (_ for _ in ()).throw(FileNotFoundError("none")))
    for _ in range(2):
        assert index.load_index()["ranks"].tolist() == list(range(7))
    assert small == [1, 1] and not list((tmp_path / "elsewhere").glob("*"))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and said[0].startswith(f"METEOR's {index.NAME} is not kept, so the next run makes it again; ")


def test_data_that_cannot_be_read_are_no_fault_of_the_cache(small: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "build_arrays", lambda: (_ for _ in ()).throw(OSError("bad archive")))
    with pytest.raises(Unavailable, match=r"METEOR's data cannot be read \(bad archive\); pip install"):
        index.load_index()
