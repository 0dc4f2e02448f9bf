"""Score BMT's released predictions on ActivityNet Captions and write the record for docs/results.md.

Usage: python scripts/record_bmt.py BMT [RECORD]

BMT: a clone of https://github.com/v-iashin/BMT, or any folder with its predictions and annotations, packed or not.
RECORD: the file to write, by default docs/results/bmt.json; then `hicm results docs/results/*.json` makes the page.
"""

import os
import platform
import sys
from pathlib import Path

from hicm.dvc_eval import evaluate
from hicm.dvc_eval.results.score import Result
from hicm.errors import UserError
from hicm.provenance import now, revision
from hicm.results.published import benchmarks
from hicm.results.record import Record, write_record

DATASET = "anet_given"
RECORD = Path(__file__).resolve().parent.parent / "docs" / "results" / "bmt.json"


def results(folder: Path) -> list[Result]:
    """The scores on val_1 and on val_2, each with the captions of its events."""
    benchmark = benchmarks()[DATASET]
    return [evaluate(_find(folder, f"captioning_results_val_{annotator}_e26.json"),
                     _find(folder, f"val_{annotator}_no_missings.json"), benchmark.protocol, metrics=benchmark.metrics)
            for annotator in (1, 2)]


def record(found: list[Result]) -> Record:
    """Their means."""
    scores = {metric: sum(one.scores[metric] for one in found) / len(found) for metric in found[0].scores}
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return Record(DATASET, "BMT's released predictions", "BMT, epoch 26", "\n".join(one.signature for one in found),
                  len({video for one in found for video in one.videos}),
                  max(len(one.coverage["missing"]) for one in found), scores, {}, now(),
                  revision().get("commit", ""), benchmarks()[DATASET].command, machine)


def _find(folder: Path, name: str) -> Path:
    found = sorted([*folder.rglob(name), *folder.rglob(f"{name}.gz")])
    if not found:
        raise UserError(f"{folder}: no {name} in it; clone https://github.com/v-iashin/BMT")
    return found[0]


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        print(write_record(record(results(Path(sys.argv[1]))), Path(sys.argv[2]) if sys.argv[2:] else RECORD))
    except UserError as error:
        sys.exit(f"record_bmt: error: {error}")
