"""Annotations of moments as {video: {duration, timestamps, sentences}}, the form of dense captions, times in seconds.

    python scripts/as_dense.py charades_sta_train.txt Charades_v1_train.csv --out train.json

Reads every format that 'hicm moments evaluate' reads, and cleans moments in the same way; a query with several moments
has an entry for each.  For programs that know dense captions only: hicm reads the files themselves.

--exchange gives every query the sentence of one about another video.  What a system then still finds, it finds without
knowing what is asked:

    hicm predict RUN --set 'data.annotations={test: [exchanged.json]}' --out PREDICTIONS
    hicm moments evaluate PREDICTIONS test.json --protocol charades
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hicm.errors import UserError
from hicm.files import write_json
from hicm.moments.read import read_annotations
from hicm.moments.records import Query
from hicm.recipes.script import run_script


def as_dense(queries: Sequence[Query]) -> dict[str, dict[str, Any]]:
    """Videos with their sentences and times, in the order of the queries.

    Raises UserError for a video without a name or a duration.
    """
    found: dict[str, dict[str, Any]] = {}
    for query in queries:
        if not query.video or query.duration is None:
            raise UserError(f"query {query.id}: its video has no {'duration' if query.video else 'name'}; with "
                            "Charades-STA, name the csv table of the split after the annotations")
        entry = found.setdefault(query.video, {"duration": query.duration, "timestamps": [], "sentences": []})
        entry["timestamps"] += query.windows.tolist()
        entry["sentences"] += [query.text] * len(query.windows)
    return found


def exchanged(queries: Sequence[Query]) -> list[Query]:
    """Each query with the sentence of one about another video, half the list away or the next possible one after it.

    Raises UserError when all are about one video.
    """
    if len({query.video for query in queries}) < 2:
        raise UserError("--exchange: all queries are about one video; expected at least two")
    found, count = [], len(queries)
    for place, query in enumerate(queries):
        later = (queries[(place + count // 2 + step) % count] for step in range(count))
        found.append(replace(query, text=next(other.text for other in later if other.video != query.video)))
    return found


def main(words: list[str] | None = None) -> int:
    """The exit status: 0, or 2 for bad input, after one line that says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", nargs="+", help="annotation file, with Charades-STA also the table of durations")
    parser.add_argument("--out", type=Path, required=True, help="json file to write")
    parser.add_argument("--exchange", action="store_true", help="give every query a sentence about another video")
    asked = parser.parse_args(words)

    def work() -> None:
        warnings: list[str] = []
        queries = read_annotations(asked.annotations, warnings).queries
        content = as_dense(exchanged(queries) if asked.exchange else queries)
        print(*(f"as_dense: {line}" for line in warnings), sep="\n", file=sys.stderr)
        if asked.out.exists():
            raise UserError(f"{asked.out}: exists; choose another --out, or remove it")
        write_json(asked.out, content)

    return run_script("as_dense", work)


if __name__ == "__main__":
    sys.exit(main())
