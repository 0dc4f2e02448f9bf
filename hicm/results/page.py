"""docs/results.md: what papers report, and what was measured here; generated, never edited."""

from collections.abc import Sequence

from hicm.results.published import METRICS, Anchor, Benchmark, benchmarks
from hicm.results.record import Record

LABELS = {"soda_c": "SODA_c", "Bleu_4": "BLEU-4"}
INTRODUCTION = """\
Written by `hicm results`; do not edit. Scores x 100, mean over tIoU 0.3, 0.5, 0.7, 0.9, by the evaluation of
VidChapters (`--protocol vidchapters`), the only ones to compare with these rows ([evaluation](evaluation.md))."""
RECALLED = """\
A value in *italics* was written down from memory; the table it stands in was not read again. On YouCook2 every
published row is the best epoch on the very split it is reported on. Measured rows carry 95 % intervals over videos,
which know nothing of other trainings."""


def results_page(records: Sequence[Record]) -> str:
    """The page as Markdown; records in the order given, each under its data set."""
    head = ["# Results", "", INTRODUCTION, "", RECALLED, ""]
    sections = [line for name, benchmark in benchmarks().items()
                for line in _section(name, benchmark, [record for record in records if record.dataset == name])]
    return "\n".join([*head, *sections])


def _section(name: str, benchmark: Benchmark, records: Sequence[Record]) -> list[str]:
    titles = [LABELS.get(metric, metric) for metric in METRICS]
    lines = [f"## {benchmark.title}", "", "| published | " + " | ".join(titles) + " | source |",
             "|" + "---|" * (len(METRICS) + 2)]
    lines += [_published(row) for row in benchmark.anchors]
    lines += ["", "| measured here | " + " | ".join(titles) + " | videos | run, date |",
              "|" + "---|" * (len(METRICS) + 3)]
    lines += [_measured(record) for record in records] or [f"| not yet: `hicm reproduce {name}` |"
                                                           + " |" * (len(METRICS) + 2)]
    for number, record in enumerate(records, start=1):
        commit = f", revision {record.commit[:12]}" if record.commit else ""
        lines += ["", f"{number}. `{record.command}`{commit}; signature `{record.signature}`"]
    return [*lines, ""]


def _published(row: Anchor) -> str:
    cells = [_cell(row, metric) for metric in METRICS]
    return f"| {row.method} | " + " | ".join(cells) + f" | {row.source} |"


def _cell(row: Anchor, metric: str) -> str:
    if metric not in row.scores:
        return ""
    text = f"{row.scores[metric]:.2f}"
    return f"*{text}*" if metric in row.recalled else text


def _measured(record: Record) -> str:
    cells = []
    for metric in METRICS:
        interval = record.intervals.get(metric)
        spread = f" [{100 * interval[0]:.2f}, {100 * interval[1]:.2f}]" if interval else ""
        cells.append(f"{100 * record.scores[metric]:.2f}{spread}" if metric in record.scores else "")
    missing = f", {record.missing} missing" if record.missing else ""
    return (f"| {record.name} | " + " | ".join(cells) + f" | {record.videos:,}{missing} | {record.run}, "
            f"{record.date[:10]} |")
