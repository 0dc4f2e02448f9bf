"""A measured result: the scores of one run on one split, with intervals and what is needed to repeat it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hicm.dvc_eval.results.score import Result
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.provenance import now, revision


@dataclass(frozen=True)
class Record:
    """One measured result; scores and intervals are fractions, as `hicm evaluate` writes them."""

    dataset: str
    name: str  # what was run, as shown in the table
    run: str
    signature: str  # one line for each evaluation, where the scores are means of several
    videos: int  # number scored
    missing: int  # number of reference videos without a prediction
    scores: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, list[float]] = field(default_factory=dict)
    date: str = ""
    commit: str = ""
    command: str = ""
    machine: str = ""


def make_record(dataset: str, name: str, result: Result, command: str) -> Record:
    """The record of a scored run."""
    coverage = result.coverage
    return Record(dataset, name, result.run or "", result.signature, len(result.videos), len(coverage["missing"]),
                  dict(result.scores), {metric: [one.low, one.high] for metric, one in result.intervals.items()}, now(),
                  revision().get("commit", ""), command)


def write_record(record: Record, path: Path) -> Path:
    """Write a record to ``path``; returns the path."""
    return write_json(path, asdict(record))


def read_record(path: str | Path) -> Record:
    """Read a record.  Raises UserError when the file is not one."""
    content: Any = read_json(path, "record of a measured result")
    try:
        record = Record(**content)
        float(sum(record.scores.values()))
    except (TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: not a record of a measured result ({error}); expected a file that 'hicm reproduce' "
                        "wrote") from error
    return record
