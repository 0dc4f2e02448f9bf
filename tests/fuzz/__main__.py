"""``python -m tests.fuzz [NAME [COUNT [SEED]]]``: fuzz a reader, or all; what it fails on stays in a folder."""

import sys
import tempfile
from pathlib import Path

from tests.fuzz.readers import READERS
from tests.fuzz.run import fuzz

name, count, seed = (*sys.argv[1:], *("all", "1000", "0")[len(sys.argv) - 1:])
for reader in READERS if name == "all" else [name]:
    outcome = fuzz(READERS[reader], Path(tempfile.mkdtemp(prefix="fuzz-")), int(seed), int(count))
    print(f"{reader}: {dict(outcome.counts)}, at most {outcome.peak >> 20} MiB", *outcome.wrong, sep="\n  ", flush=True)
