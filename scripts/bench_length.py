"""How well does a run caption videos that are longer than those it was trained on, and does cutting them help?

    python scripts/bench_length.py RUN --factors 1 2 4 10 --split val --out DIR [--videos N] [--docs PAGE]

Videos of the split are joined to long ones, each video once, in the order of a hash of their ids; features, speech and
annotations follow one another.  The run captions the long videos whole and in parts (data.longest, by default what
hicm caption takes).  If 1 is among the factors, "each video alone" puts the predictions of the single videos together:
what cuts at the joins would give.  Scores are those of activitynet-2018 on the long videos.  Every factor has the same
events, but compare ways within a factor: scores are means over long videos.  DIR gets results.json, table.md and
picture.png.  Run again, it continues; a folder that was made with another run or other settings is refused.
"""

import argparse
import shlex
import sys
from pathlib import Path

from hicm.interrupts import handled
from hicm.recipes.length.run import make_plan, run_plan
from hicm.recipes.length.written import write_tables
from hicm.recipes.script import run_script
from hicm.stages.run_folder import run_label


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("run", help="run folder")
    found.add_argument("--factors", nargs="+", type=int, default=[1, 2, 4, 10], metavar="K",
                       help="how many videos make a long one (default: 1 2 4 10)")
    found.add_argument("--split", default="", help="default: data.report of the run")
    found.add_argument("--out", default="", help="folder to write (default: presave/bench_length/<run>_<split>)")
    found.add_argument("--videos", type=int, default=0, metavar="N", help="use only N videos of the split")
    found.add_argument("--longest", nargs="+", type=float, default=[], metavar="SECONDS",
                       help="longest part, one or more (default: data.longest, or what hicm caption takes)")
    found.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                       help="settings of prediction")
    found.add_argument("--docs", default="", metavar="PAGE", help="page to put the table into, between its lines "
                       "'<!-- generated: length_<data.name>_<split> -->' and '<!-- end of generated: ... -->'")
    return found


def shown(asked: argparse.Namespace) -> str:
    """The command as pages show it: the run is named beside it, and folders are not."""
    words = ["python", "scripts/bench_length.py", "RUN", "--factors", *map(str, asked.factors)]
    for name, value in (("--split", asked.split), ("--videos", asked.videos)):
        words += [name, str(value)] if value else []
    for name, values in (("--longest", [f"{one:g}" for one in asked.longest]), ("--set", asked.set)):
        words += [name, *values] if values else []
    return shlex.join(words)


def main(words: list[str] | None = None) -> int:
    """The exit status: 0, 2 for bad input, after one line that says what is wrong, or 128 + n after signal n."""
    asked = parser().parse_args(words)

    def work() -> None:
        plan = make_plan(Path(asked.run), asked.factors, asked.split, asked.longest, asked.videos, asked.set)
        run = run_label(plan.run)
        out = Path(asked.out or f"presave/bench_length/{run.replace('/', '_')}_{plan.split}")
        with handled():
            entries = run_plan(plan, out, lambda line: print(line, flush=True))
        print(write_tables(entries, out, run, plan.split, shown(asked),
                           f"{plan.config.data.name}_{plan.split}", asked.docs))

    return run_script("bench_length", work)


if __name__ == "__main__":
    sys.exit(main())
