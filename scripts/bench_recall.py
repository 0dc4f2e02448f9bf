"""Scores of the recall system beside simple floors, as Markdown tables.

    python scripts/bench_recall.py SETTINGS [--metric soda_c] [--videos 200] [--seed 0] [--out FOLDER] [--set key=value]

Needs the settings' features, annotations and memory bank (hicm memory build SETTINGS).  Fits the mean row, chooses the
settings on training videos by --metric, captions the videos of data.report, and scores them with evaluate.protocol.
The floors take one thing away from it:

    reference spans            those of the reference events, quoted the same way: what better cutting could give
    uniform cuts               as many equal parts of each video as recall found events, quoted the same way
    random captions            recall's spans, each with a caption drawn from the memory
    uniform cuts, random captions

Times are processor time.  With --out, every prediction is written to FOLDER/predictions_<name>.json.
"""

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hicm.config import Config, load_config
from hicm.data.annotations import split_references
from hicm.data.features import Features
from hicm.data.splits import split_with_features
from hicm.dvc_eval import evaluate
from hicm.files import write_json
from hicm.memory.bank import load_bank
from hicm.systems.recall.decode import Footage, caption, quote
from hicm.systems.recall.model import Captions, captions_of, fit, recall
from hicm.systems.recall.objective import Choice, Grid, choose, draw
from hicm.systems.recall.segment import Segments, segment, span_means
from hicm.systems.recall.settings import Settings
from hicm.types import Event, Span, Video

METRICS = ("CIDEr", "METEOR", "soda_c", "F1", "Recall", "Precision")
Events = Mapping[str, list[Event]]


def footage(videos: Sequence[Video], features: Features) -> list[Footage]:
    """The videos with their rows."""
    step = 1 / features.clock.rate
    return [Footage(video.id, video.duration, features.read(video.id), step, video.events) for video in videos]


def plain(events: Events) -> dict[str, list[dict[str, Any]]]:
    """Events by video as a predictions file has them."""
    return {name: [{"sentence": event.text, "timestamp": [event.span.start, event.span.end]} for event in found]
            for name, found in events.items()}


def quoted(video: Footage, spans: np.ndarray, captions: Captions, mean: np.ndarray, settings: Settings) -> list[Event]:
    """What is recalled for given spans [n, 2] of a video, whatever its score."""
    if not len(spans):
        return []
    means = span_means(video.rows, video.step, video.duration, spans)
    return quote(Segments(spans, means), recall(means, captions, mean, settings), captions, -1.0)


def uniform(video: Footage, parts: int) -> np.ndarray:
    edges = np.linspace(0, video.duration, parts + 1)
    return np.stack([edges[:-1], edges[1:]], axis=1)


def drawn(spans: np.ndarray, captions: Captions, rng: np.random.Generator) -> list[Event]:
    """Each span with a caption of the memory drawn at random."""
    return [Event(Span(*span), captions.texts[rng.integers(len(captions.texts))]) for span in spans.tolist()]


def spans_of(events: Sequence[Event]) -> np.ndarray:
    return np.array([(event.span.start, event.span.end) for event in events]).reshape(-1, 2)


def systems(videos: list[Footage], captions: Captions, mean: np.ndarray, settings: Settings,
            seed: int) -> dict[str, Events]:
    """Predictions of recall and of the floors, by name."""
    start = time.process_time()
    found: dict[str, Events] = {"recall": {v.id: caption(v, captions, mean, settings) for v in videos}}
    print(f"{1e3 * (time.process_time() - start) / len(videos):.1f} ms to caption a video")
    print(f"{seconds_per_hour():.2f} s to cut an hour\n")
    own = found["recall"]
    rng = np.random.default_rng(seed)
    found["reference spans"] = {v.id: quoted(v, spans_of(v.events), captions, mean, settings) for v in videos}
    cuts = {v.id: uniform(v, len(own[v.id])) if own[v.id] else np.zeros((0, 2)) for v in videos}
    found["uniform cuts"] = {v.id: quoted(v, cuts[v.id], captions, mean, settings) for v in videos}
    found["random captions"] = {v.id: drawn(spans_of(own[v.id]), captions, rng) for v in videos}
    found["uniform cuts, random captions"] = {v.id: drawn(cuts[v.id], captions, rng) for v in videos}
    return found


def seconds_per_hour() -> float:
    """What cutting an hour of noise takes, 3,600 rows of 768 numbers."""
    rows = np.random.default_rng(0).standard_normal((3600, 768)).astype(np.float32)
    start = time.process_time()
    segment(rows, 1.0, 3600.0, [Settings().penalty], Settings().shortest)
    return time.process_time() - start


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for row in [head, ["---"] + ["--:"] * (len(head) - 1), *rows]:
        print(f"| {' | '.join(row)} |")
    print()


def print_choice(choice: Choice, metric: str) -> None:
    """Of what was tried: the best threshold at every penalty, all ways to quote, and the last thresholds."""
    print(f"Chosen on {len(choice.videos)} training videos: {choice.settings}\n")
    grid = Grid()
    first = len(grid.penalties) * len(grid.coarse)
    cutting = [max((row for row in choice.tried[:first] if row.settings.penalty == penalty), key=lambda row: row.score)
               for penalty in grid.penalties]
    print_table(["centring", "penalty", "neighbours", "threshold", "events per video", f"{metric} x100"], (
        [row.settings.centring, f"{row.settings.penalty:g}", str(row.settings.neighbours),
         f"{row.settings.threshold:.3f}", f"{row.events:.1f}", f"{100 * row.score:.2f}"]
        for row in [*cutting, *choice.tried[first:]]))


def fit_and_choose(config: Config, captions: Captions, metric: str, most: int, seed: int) -> tuple[np.ndarray, Choice]:
    """The mean training row, and the settings chosen on training videos."""
    videos, features = split_with_features(config.data, config.data.train)
    mean = fit(features.read(name) for name in videos)
    chosen = footage([videos[name] for name in draw(list(videos), most, seed)], features)

    def score(said: Events) -> float:
        written = {name: videos[name] for name in said}
        return evaluate(plain(said), written, config.evaluate.protocol, metrics=[metric]).scores[metric]

    start = time.process_time()
    choice = choose(chosen, captions, mean, score, most=most)
    print(f"{time.process_time() - start:.0f} s to try {len(choice.tried)} settings\n")
    return mean, choice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", help="settings file")
    parser.add_argument("--metric", default="", help="score that chooses (default: train.select_on)")
    parser.add_argument("--videos", type=int, default=200, help="training videos tried on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the videos and of random captions")
    parser.add_argument("--out", type=Path, help="folder for predictions files")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="change a setting")
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.set)
    metric = arguments.metric or config.train.select_on
    captions = captions_of(load_bank(config.bank))
    mean, choice = fit_and_choose(config, captions, metric, arguments.videos, arguments.seed)
    print_choice(choice, metric)

    videos, features = split_with_features(config.data, config.data.report)
    references = split_references(config.data, config.data.report)
    rows = []
    for name, predictions in systems(footage(list(videos.values()), features), captions, mean, choice.settings,
                                     arguments.seed).items():
        scores = evaluate(plain(predictions), references, config.evaluate.protocol, metrics=METRICS).scores
        count = sum(map(len, predictions.values())) / len(predictions)
        rows.append([name, *(f"{100 * scores[metric]:.2f}" for metric in METRICS), f"{count:.1f}"])
        if arguments.out:
            write_json(arguments.out / f"predictions_{name.replace(' ', '_')}.json", {"results": plain(predictions)})
    print_table(["x100", *METRICS, "events per video"], rows)


if __name__ == "__main__":
    main()
