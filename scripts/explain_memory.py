"""Why does the memory help, not only how much: what one trained captioner recalls, and what it takes of it.

    python scripts/explain_memory.py RUN [--split val] [--videos N] [--out DIR] [--docs PAGE]

For every annotated event it takes the window of the run's retrieval that overlaps it most, and measures

    recall by level     how near to the annotated caption the recalled nodes are, beside the best that could be found
    the right branch    at which level of the tree the descent loses the caption that is nearest to the annotated one
    windows             recall by how well the window fits the event, also for uniform windows and the event itself
    what is taken       cross-attention on frames, recalled text or vectors, and speech; which words are copied from
                        which recalled sentence, in the captions that the run writes for N videos

Similarity is the cosine of text embeddings.  Videos whose captions are in the memory do not recall them.  Videos are
taken whole, whatever data.longest says.  What does not apply to a run is left out with a line that says so.  DIR gets
results.json, table.md, recall.png and taken.png.  Run again, it draws them anew; a folder with the results of another
run, split or setting is refused.
"""

import argparse
import shlex
import sys
from pathlib import Path

from hicm.interrupts import handled
from hicm.recipes.explain.plan import make_plan
from hicm.recipes.explain.run import explain
from hicm.recipes.explain.written import check_page, part_of, write_tables
from hicm.recipes.script import run_script


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("run", help="run folder")
    found.add_argument("--split", default="", help="default: data.report of the run")
    found.add_argument("--videos", type=int, default=100, metavar="N", help="captions are written for N videos, the "
                       "first in the order of a hash of their ids; 0: all (default: 100)")
    found.add_argument("--out", default="", help="folder to write (default: presave/explain_memory/<run>_<split>)")
    found.add_argument("--encoder", default="", help="text encoder of the annotated captions, which has to be that of "
                       "the memory (default: memory.encoder of the run)")
    found.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                       help="settings of prediction")
    found.add_argument("--docs", default="", metavar="PAGE", help="page to put the tables into, between its lines "
                       f"'<!-- generated: {part_of('<data.name>_<split>')} -->' and '<!-- end of generated: ... -->'")
    return found


def shown(asked: argparse.Namespace) -> str:
    """The command as pages show it: the run is named beside it, and folders are not."""
    words = ["python", "scripts/explain_memory.py", "RUN"]
    words += ["--split", asked.split] if asked.split else []
    words += ["--videos", str(asked.videos)] if asked.videos != 100 else []
    words += ["--encoder", asked.encoder] if asked.encoder else []
    return shlex.join([*words, *(["--set", *asked.set] if asked.set else [])])


def main(words: list[str] | None = None) -> int:
    """The exit status: 0, 2 for bad input, after one line that says what is wrong, or 128 + n after signal n."""
    asked = parser().parse_args(words)

    def work() -> None:
        plan = make_plan(Path(asked.run), asked.split, asked.videos, asked.set, asked.encoder)
        check_page(asked.docs, plan.name)
        out = Path(asked.out or f"presave/explain_memory/{plan.label.replace('/', '_')}_{plan.split}")
        with handled():
            found = explain(plan, out)
        print(write_tables(found, out, shown(asked), plan.name, asked.docs))

    return run_script("explain_memory", work)


if __name__ == "__main__":
    sys.exit(main())
