"""Freed memory stays with the process, and no longer once that is undone."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from hicm import heap

SCRIPT = """
import resource
import numpy as np
from hicm.heap import keep_freed_memory, kept_memory

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = pages()
possible = keep_freed_memory()
pages()
kept = pages()
keep_freed_memory(False)
resident = int(open("/proc/self/statm").read().split()[1])
with kept_memory():
    pages()
    within = pages()
print(int(possible), usual, kept, within, pages(), resident)
"""


def run(**environment: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True,
                          env={name: value for name, value in os.environ.items() if name not in heap.CHOSEN}
                          | environment)
    return [int(number) for number in done.stdout.split()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_freed_memory_is_used_again_until_that_is_undone():
    possible, usual, kept, within, after, resident = run()
    if not possible:
        pytest.skip("the C library is not glibc")
    assert kept < 100 < usual / 3 and within < 100  # 128 MiB need 64 pages, of 2 MiB, or 32,768, of 4 KiB, each time
    assert after > 100 and resident * os.sysconf("SC_PAGE_SIZE") < 2**27, "given back"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_the_users_own_choice_stays():
    possible, usual, kept, *_ = run(MALLOC_MMAP_THRESHOLD_="65536")
    assert not possible and kept > 100 and usual > 100
    assert not run(GLIBC_TUNABLES="glibc.malloc.trim_threshold=131072")[0]
    assert run(GLIBC_TUNABLES="glibc.malloc.check=0")[0] == run()[0], "says nothing of these"


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: SimpleNamespace())
    assert not heap.keep_freed_memory() and not heap.keep_freed_memory(False)


def test_an_older_glibc_keeps_what_it_can(monkeypatch):
    called = []

    def mallopt(name: int, value: int) -> int:
        called.append((name, value))
        return int(value <= heap.USUAL or name == heap.TRIM)

    monkeypatch.setattr(heap, "_glibc", lambda: SimpleNamespace(mallopt=mallopt))
    assert heap.keep_freed_memory()
    assert called == [(heap.MAP, heap.LARGEST), (heap.MAP, heap.USUAL), (heap.TRIM, 2**31 - 1)]
