"""A Markdown table of several systems' scores on moments: the mean over seeds, and each seed.

    python scripts/tabulate_moments.py 'NAME=SCORES[,SCORES ...]' ... --out TABLE [--docs PAGE --part NAME]

One NAME per system, with the files of scores of its seeds, as 'hicm evaluate RUN' and 'hicm moments evaluate --out'
write them; all must be of one protocol and of the same queries.  Under the table stand the protocol, and for scores
that lie in a run folder the dates, the processor and the training time of the runs.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hicm.errors import UserError
from hicm.files import read_json, write_text
from hicm.recipes.bench.machine import processor
from hicm.recipes.memory_reads.page import replace_part, require_marks
from hicm.recipes.script import run_script

SCORES = ("R1@0.3", "R1@0.5", "R1@0.7", "mIoU", "mAP")
SETS = ("protocol", "references", "queries")  # what must be the same for scores to be compared


def read_scores(path: Path) -> dict[str, Any]:
    """A file of scores of moments; UserError where it is something else, or lacks a score of the table."""
    found = read_json(path, "scores; run 'hicm evaluate'")
    if not isinstance(found, dict) or found.get("task") != "moments" or not isinstance(found.get("scores"), dict):
        raise UserError(f"{path}: expected scores of moments, as 'hicm evaluate' writes them")
    missing = [name for name in SCORES if name not in found["scores"]]
    if missing:
        raise UserError(f"{path}: its scores lack {', '.join(missing)}; evaluate it with all metrics of the protocol")
    return found


def score_table(systems: dict[str, list[dict[str, Any]]]) -> str:
    """A row per system, scores times 100."""
    head = ["x 100", *SCORES]
    rows = [[name, *(_cell([100 * one["scores"][score] for one in files]) for score in SCORES)]
            for name, files in systems.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] + ["--:"] * len(SCORES), *rows])


def _cell(values: Sequence[float]) -> str:
    mean = f"{sum(values) / len(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({', '.join(f'{value:.2f}' for value in values)})"


def require_alike(systems: dict[str, list[tuple[Path, dict[str, Any]]]]) -> None:
    """UserError for scores of another protocol or of other queries than the first file's."""
    first, *rest = [file for files in systems.values() for file in files]
    for path, found in rest:
        for name in SETS:
            if _set(found, name) != _set(first[1], name):
                raise UserError(f"{path}: {name} {_set(found, name)!s:.80}, but {first[0]} has "
                                f"{_set(first[1], name)!s:.80}; scores that are compared need the same")


def _set(found: dict[str, Any], name: str) -> Any:
    if name == "references":  # by content: run folders and command lines name the files in different ways
        return sorted((found.get("references") or {}).values())
    return found.get("coverage", {}).get("queries") if name == "queries" else found.get(name)


def notes(files: Sequence[tuple[Path, dict[str, Any]]], command: str) -> str:
    """How the scores came about."""
    runs = [read_json(path.with_name("manifest.json"), "description of the run")
            for path, _ in files if path.with_name("manifest.json").exists()]
    spans = [[datetime.fromisoformat(run[name]) for name in ("started", "finished")] for run in runs]
    first = files[0][1]
    parts = [f"`{command}`" if command else "", f"protocol `{first['protocol']}`, {_set(first, 'queries'):,} queries"]
    if spans:
        days = sorted({f"{end:%Y-%m-%d}" for _, end in spans})
        minutes = sorted(round((end - start).total_seconds() / 60) for start, end in spans)
        parts += [" to ".join(dict.fromkeys((days[0], days[-1]))), processor(),
                  " to ".join(map(str, dict.fromkeys((minutes[0], minutes[-1])))) + " minutes per training"]
    return "; ".join(filter(None, parts)) + "."


def write(asked: argparse.Namespace) -> None:
    """Write the table, and put it into a page."""
    if asked.docs:
        require_marks(asked.docs, asked.part)
    systems: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for given in asked.systems:
        name, separator, files = given.partition("=")
        if not separator or not files:
            raise UserError(f"{given}: expected NAME=SCORES[,SCORES ...]")
        systems[name] = [(path, read_scores(path)) for path in map(Path, files.split(","))]
    require_alike(systems)
    table = score_table({name: [found for _, found in files] for name, files in systems.items()})
    text = f"{table}\n\n{notes([file for files in systems.values() for file in files], asked.command)}"
    write_text(asked.out, text + "\n")
    print(text)
    if asked.docs:
        replace_part(asked.docs, asked.part, text)


def main(words: list[str] | None = None) -> int:
    """The exit status: 0, or 2 for bad input, after one line that says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="+", metavar="NAME=SCORES[,SCORES ...]")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--command", default="", help="what the notes under the table name as their source")
    parser.add_argument("--docs", default="", metavar="PAGE", help="page to put the table into, between its lines "
                        "'<!-- generated: PART -->' and '<!-- end of generated: PART -->'")
    parser.add_argument("--part", default="", help="what stands for PART in these lines")
    asked = parser.parse_args(words)
    if bool(asked.docs) != bool(asked.part):
        parser.error("--docs and --part go together")
    return run_script("tabulate_moments", lambda: write(asked))


if __name__ == "__main__":
    sys.exit(main())
