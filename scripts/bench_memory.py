"""Time and memory of clustering captions: ours and the authors' package finch-clust side by side, as Markdown tables.

    python scripts/bench_memory.py [--sizes 10337 37421] [--large 200000 1000000] [--embeddings FILE.npy]
                                   [--width 768] [--repeat 1]

Each run is a process of its own, which first makes the same embeddings: Gaussian clusters within clusters around a
common mean, float32, all different.  Only the call is measured: wall time (best of --repeat), the peak memory of the
process, and how much of it exceeds what the process held just before the call, embeddings included.

finch-clust keeps all distances in memory, and copies of them: about 12 bytes per pair.  It runs only if that much is
free and no more than half of the memory is in use.  It is always set to exact neighbours, which above 20,000 points is
not its default.  NumPy's product of a large matrix with itself can crash (numpy issue 19685); if it does, finch-clust
runs again with one BLAS thread.  Its early exit has no effect in version 0.2.3 (links set to 0 remain links of the
sparse graph), so labels are compared without ours, in a second, untimed call.

--large runs only ours, with approximate neighbours, and also gives the processor time of all threads, which depends
less than the wall time on what else the machine does.  The agreement is that of 2,000 rows with their exact neighbours.
--embeddings does the same for embeddings of your own, [N, D].
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from hicm.memory.hierarchies.finch import cluster, finch
from hicm.recipes.bench.memory import by_package, embeddings

# one run, in a process of its own

def work(what: str, count: int, width: int, labels: str, source: str) -> dict[str, Any]:
    """Cluster and save the labels; returns seconds, MiB, clusters per level and agreement.  ``source``: file or ""."""
    if what == "finch-clust":
        by_package(embeddings(100, width))  # imports it
    points, agreement = np.load(source) if source else embeddings(count, width), None
    before, began, processor = memory("VmRSS"), time.perf_counter(), time.process_time()
    if what == "finch-clust":
        found = by_package(points)
    else:
        found, agreement = cluster(points, neighbours="exact" if what == "ours" else "approximate")
    seconds, cpu, peak = time.perf_counter() - began, time.process_time() - processor, memory("VmHWM")
    clusters = (found.max(axis=0) + 1).tolist()
    if what == "ours":
        found = finch(points, early_exit=False, neighbours="exact")
        if found.shape[1] > 1 and found[:, -2].max() - found[:, -1].max() == 1:
            found = found[:, :-1]  # finch-clust drops it
    np.save(labels, found)
    return {"seconds": seconds, "cpu": cpu, "peak": peak, "extra": peak - before, "clusters": clusters,
            "agreement": agreement}


def memory(field: str) -> float:
    """MiB that this process holds now (VmRSS) or held at its peak (VmHWM)."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(next(line for line in status.read_text().splitlines() if line.startswith(field)).split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


class Crash(Exception):
    """The process was ended by a signal."""


def run(what: str, count: int, width: int, labels: Path, repeat: int = 1, source: str = "",
        **setting: str) -> dict[str, Any]:
    """The fastest of ``repeat`` processes.  Raises SystemExit if one fails, Crash if a signal ends it."""
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
                   **setting}
    found = []
    for _ in range(repeat):
        process = subprocess.run([sys.executable, __file__, "--work", what, str(count), str(width), str(labels),
                                  source],
                                 stdout=subprocess.PIPE, text=True, env=environment, check=False)
        if process.returncode < 0:
            raise Crash
        if process.returncode:
            raise SystemExit(f"{what} failed on {count} points (status {process.returncode}; the message is above)")
        found.append(json.loads(process.stdout.splitlines()[-1]))
    return min(found, key=lambda one: one["seconds"])


# the tables

def memory_of_machine() -> tuple[float, float]:
    """GiB free for a new process, and GiB in total; infinite where the system does not say."""
    source = Path("/proc/meminfo")
    if not source.exists():
        return float("inf"), float("inf")
    fields = dict(line.split(":") for line in source.read_text().splitlines())
    free, total = (int(fields[name].split()[0]) / 2**20 for name in ("MemAvailable", "MemTotal"))
    return free, total


def why_not_theirs(count: int) -> str:
    """Why finch-clust cannot be run; empty if it can."""
    if find_spec("finch") is None:
        return "not installed: pip install finch-clust"
    needed, (free, total) = 12 * count**2 / 2**30, memory_of_machine()
    if needed > free or free < total / 2:
        return f"not run: needs about {needed:.0f} GiB, {free:.0f} of {total:.0f} are free"
    return ""


def side_by_side(sizes: list[int], width: int, repeat: int) -> None:
    print("| captions | | seconds | peak MiB | MiB beyond the data | clusters per level |", "|--:|---|--:|--:|--:|---|",
          sep="\n", flush=True)
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder, "ours.npy"), Path(folder, "theirs.npy")
            ours = run("ours", count, width, files[0], repeat)
            print(row(count, "ours", ours), flush=True)
            if reason := why_not_theirs(count):
                print(f"| {count:,} | finch-clust, {reason} | | | | |", flush=True)
                continue
            name = f"finch-clust {version('finch-clust')}"
            try:
                theirs = run("finch-clust", count, width, files[1], repeat)
            except Crash:
                theirs = run("finch-clust", count, width, files[1], repeat, OPENBLAS_NUM_THREADS="1")
                name += ", one BLAS thread (more crash)"
            equal = np.array_equal(np.load(files[0]), np.load(files[1]))
            print(row(count, name, theirs))
            print(f"| {count:,} | finch-clust / ours | {theirs['seconds'] / ours['seconds']:.1f} "
                  f"| {theirs['peak'] / ours['peak']:.1f} | {theirs['extra'] / ours['extra']:.1f} "
                  f"| partitions equal, early exit off: {'yes' if equal else 'NO'} |", flush=True)


def alone(sizes: list[int], width: int, repeat: int, source: Path | None) -> None:
    print("", "| captions | | seconds | peak MiB | MiB beyond the data | clusters per level | CPU s | agreement |",
          "|--:|---|--:|--:|--:|---|--:|--:|", sep="\n", flush=True)
    cases = [(count, "") for count in sizes]
    if source:
        cases.append((len(np.load(source, mmap_mode="r")), str(source)))
    for count, file in cases:
        with tempfile.TemporaryDirectory() as folder:
            one = run("approximate", count, width, Path(folder, "ours.npy"), repeat, file)
        name = f"ours, approximate{', ' if file else ''}{Path(file).name}"
        print(row(count, name, one), f"{one['cpu']:.1f} | {one['agreement']:.4f} |", flush=True)


def row(count: int, name: str, one: dict[str, Any]) -> str:
    return (f"| {count:,} | {name} | {one['seconds']:.1f} | {one['peak']:,.0f} | {one['extra']:,.0f} "
            f"| {', '.join(map(str, one['clusters']))} |")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10337, 37421], help="YouCook2's and ActivityNet's")
    parser.add_argument("--large", type=int, nargs="*", default=[], help="sizes for approximate neighbours")
    parser.add_argument("--embeddings", type=Path, metavar="FILE.npy", help="your own, for approximate neighbours")
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--work", nargs=5, metavar=("WHAT", "COUNT", "WIDTH", "FILE", "SOURCE"), help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.work:
        what, count, width, labels, source = asked.work
        print(json.dumps(work(what, int(count), int(width), labels, source)))
        return 0
    if min([*asked.sizes, *asked.large, asked.width, asked.repeat]) < 1:
        parser.error("expected sizes, width and repeat of 1 or more")
    print(f"{os.cpu_count()} CPUs, {memory_of_machine()[0]:.0f} GiB free, width {asked.width}, best of {asked.repeat}",
          "", sep="\n", flush=True)
    if asked.sizes:
        side_by_side(asked.sizes, asked.width, asked.repeat)
    if asked.large or asked.embeddings:
        alone(asked.large, asked.width, asked.repeat, asked.embeddings)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
