"""Does a memory help a captioner?  Trains the cells of a specification, and captions again with other inputs.

    python scripts/bench_memory_reads.py configs/bench/memory_yc2_sim.yaml [--only NAME ...] [--seeds 0 1 2]

Every cell is trained once per seed.  Its weights then caption the same videos under each condition: with what they
recall, random nodes, zero vectors, no memory, what another video recalls, the frames of another video, annotated
events (hicm/recipes/memory_reads/conditions.py).  Scores are those of activitynet-2018.  Differences have 95 %
intervals over videos and seeds.  OUT gets results.json, table_<split>.md, examples_<split>.md and
picture_<split>.png, of all that was measured, whatever --only and --seeds say.  Run again, it continues; a folder that
was made with other settings is refused.
"""

import argparse
import shlex
import sys
from pathlib import Path

from hicm.interrupts import handled
from hicm.recipes.memory_reads.run import run_cells, skipped
from hicm.recipes.memory_reads.spec import Spec, read_spec
from hicm.recipes.memory_reads.written import check_tables, write_tables
from hicm.recipes.script import run_script


def planned(spec: Spec, only: list[str]) -> str:
    """The cells and conditions, a line each."""
    leaving = skipped(spec)
    lines = []
    for cell in spec.cells:
        if not only or cell.name in only:
            conditions = [name + (f" (left out: {leaving[cell.name][name]})" if name in leaving[cell.name] else "")
                          for name in spec.conditions_of(cell)]
            lines.append(f"{cell.name}, seeds {', '.join(map(str, spec.seeds))}: {', '.join(conditions)}")
    return "\n".join(lines)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, found {value}")
    return value


def main(words: list[str] | None = None) -> int:
    """The exit status: 0, 2 for bad input, after one line that says what is wrong, or 128 + n after signal n."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", help="specification (yaml): base, set, split, seeds, conditions, baseline, cells")
    parser.add_argument("--out", help="folder to write (default: presave/bench_memory/<name of the specification>)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME",
                        help="train and test just these cells (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[], help="in place of those of the specification")
    parser.add_argument("--split", default="",
                        help="in place of that of the specification; the same trainings are used")
    parser.add_argument("--table-only", action="store_true", help="tables of what was measured; nothing is trained")
    parser.add_argument("--samples", type=_count, default=1000, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--bootstrap-seed", type=_count, default=0, help="(default: %(default)s)")
    parser.add_argument("--docs", default="", metavar="PAGE", help="page to put tables and examples into, between its "
                        "lines '<!-- generated: memory_reads_<name>_<split> -->' and '<!-- end of generated: ... -->'")
    parser.add_argument("--dry-run", action="store_true", help="list cells and conditions, and stop")
    asked = parser.parse_args(words)
    name = Path(asked.spec).stem
    out = Path(asked.out or f"presave/bench_memory/{name}")
    command = shlex.join(["python", "scripts/bench_memory_reads.py", asked.spec,
                          *(["--split", asked.split] if asked.split else [])])

    def work() -> None:
        spec = read_spec(asked.spec, asked.only, asked.seeds, asked.split)
        whole = read_spec(asked.spec, seeds=[*read_spec(asked.spec).seeds, *asked.seeds], split=asked.split)
        if asked.dry_run:
            print(planned(spec, asked.only))
            return
        check_tables(whole, out, name, asked.docs)
        if not asked.table_only:
            with handled():  # a signal: the training keeps a checkpoint first
                run_cells(spec, out, asked.only, lambda line: print(line, flush=True))
        print(write_tables(whole, out, name, command, asked.samples, asked.bootstrap_seed, asked.docs))

    return run_script("bench_memory_reads", work)


if __name__ == "__main__":
    sys.exit(main())
