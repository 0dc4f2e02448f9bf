"""Markdown tables of several systems' scores: the mean over seeds and each seed, and what they say of some videos.

    python scripts/tabulate_runs.py REFERENCES 'NAME=PREDICTIONS[,PREDICTIONS ...]' ... [--every 45] [--most 10]

One NAME per system, with the predictions files of its seeds.  Beside each predictions_<x>.json stands the file of its
scores, metrics_<x>.json, as 'hicm evaluate' writes it.  "distinct" is the number of different sentences as a share of
the predicted events, "commonest" the share of events with the most frequent sentence.  The videos are every so many of
REFERENCES in the order of their ids; for them the events of each system's first file are printed, unless it has but one
sentence.
"""

import argparse
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hicm.data.annotations import read_annotations
from hicm.errors import UserError
from hicm.files import read_json
from hicm.types import Video

SCORES = {"CIDEr": "CIDEr", "METEOR": "METEOR", "soda_c": "SODA_c", "Recall": "recall", "Precision": "precision",
          "F1_of_means": "F1"}
SPREAD = ("CIDEr", "METEOR", "soda_c", "F1_of_means")  # whose intervals are printed
SAID = {"distinct": "distinct, %", "commonest": "commonest, %", "events": "events per video"}

Events = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Scored:
    """One predictions file with its scores."""

    events: Events
    values: dict[str, float]  # by the names of SCORES, x100, and of SAID
    intervals: dict[str, list[float]]  # both ends, x100


def read_scored(path: Path) -> Scored:
    """Predictions and the scores beside them; UserError where either is missing."""
    if not path.name.startswith("predictions_"):
        raise UserError(f"{path}: expected a file named predictions_<x>.json, beside which metrics_<x>.json stands")
    events: Events = read_json(path, "predictions")["results"]
    metrics = read_json(path.with_name(path.name.replace("predictions_", "metrics_", 1)), "scores; run 'hicm evaluate'")
    missing = [name for name in SCORES if name not in metrics["scores"]]
    if missing:
        raise UserError(f"{path}: its scores lack {', '.join(missing)}; evaluate it under activitynet-2018")
    values = {name: 100 * metrics["scores"][name] for name in SCORES} | said(events)
    return Scored(events, values, {name: [100 * end for end in ends]
                                   for name, ends in metrics.get("intervals", {}).items()})


def said(events: Events) -> dict[str, float]:
    """How much the sentences vary (in percent of the events), and the number of events per video."""
    counts = Counter(event["sentence"] for found in events.values() for event in found)
    total = max(1, counts.total())
    return {"distinct": 100 * len(counts) / total, "commonest": 100 * max(counts.values(), default=0) / total,
            "events": counts.total() / max(1, len(events))}


def cell(values: Sequence[float], digits: int) -> str:
    """The mean, with the single values behind it."""
    mean = f"{sum(values) / len(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({', '.join(f'{value:.{digits}f}' for value in values)})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] + ["--:"] * (len(head) - 1), *rows])


def score_table(systems: dict[str, list[Scored]]) -> str:
    """A row per system: the mean over its seeds, and each seed."""
    names = SCORES | SAID
    return table(["x100", *names.values()], (
        [system, *(cell([one.values[name] for one in runs], 1 if name in SAID else 2) for name in names)]
        for system, runs in systems.items()))


def interval_table(systems: dict[str, list[Scored]]) -> str:
    """A row per predictions file: scores with their 95 % intervals over videos, where they were computed."""
    rows = [(system if len(runs) == 1 else f"{system}, run {number}", one)
            for system, runs in systems.items() for number, one in enumerate(runs, 1)]
    return table(["x100", *(SCORES[name] for name in SPREAD)], (
        [label, *(_with_interval(one, name) for name in SPREAD)] for label, one in rows))


def _with_interval(one: Scored, name: str) -> str:
    ends = one.intervals.get(name)
    return f"{one.values[name]:.2f}" + (f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else "")


def sample(references: dict[str, Video], every: int, most: int) -> list[Video]:
    """Every so many videos, in the order of their ids."""
    return [references[name] for name in itertools.islice(sorted(references), 0, every * most, every)]


def video_text(video: Video, systems: dict[str, list[Scored]]) -> str:
    """The reference events of a video, and those of each system's first file, as Markdown."""
    lines = [f"**{video.id}**, {video.duration:.0f} s", "", "- reference: " + "; ".join(
        f"{event.span.start:.0f}-{event.span.end:.0f} {event.text}" for event in video.events)]
    for system, runs in systems.items():
        if runs[0].values["commonest"] == 100:  # a constant
            continue
        found = runs[0].events.get(video.id, [])
        lines.append(f"- {system}: " + "; ".join("{:.0f}-{:.0f} {}".format(*event["timestamp"], event["sentence"])
                                                 for event in found))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("references", help="annotation file")
    parser.add_argument("systems", nargs="+", metavar="NAME=PREDICTIONS[,PREDICTIONS ...]")
    parser.add_argument("--every", type=int, default=45, help="which videos are shown (default: %(default)s)")
    parser.add_argument("--most", type=int, default=10, help="how many of them (default: %(default)s)")
    arguments = parser.parse_args()
    systems = {}
    for given in arguments.systems:
        name, separator, files = given.partition("=")
        if not separator:
            raise UserError(f"{given}: expected NAME=PREDICTIONS[,PREDICTIONS ...]")
        systems[name] = [read_scored(Path(file)) for file in files.split(",")]
    videos = sample(read_annotations(arguments.references), arguments.every, arguments.most)
    shown = [video_text(video, systems) for video in videos]
    print("\n\n".join([score_table(systems), interval_table(systems), *shown]))


if __name__ == "__main__":
    main()
