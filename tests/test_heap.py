"""Freed memory stays with the process, and no longer once that is undone."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from hicm.heap import keep_freed_memory

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory(False)
print(pages())
keep_freed_memory()
pages()
print(pages())
keep_freed_memory(False)
print(pages())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_freed_memory_is_used_again():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    usual, kept, again = map(int, run.stdout.split())
    assert kept < 100 < usual / 3  # 128 MiB need 64 pages, of 2 MiB, or 32,768, of 4 KiB, each time
    assert again > 100
