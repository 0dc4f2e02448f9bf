"""Predictions that are the same for every video: the floor that a captioner which sees its input must beat.

    python scripts/constant_events.py SETTINGS --out PREDICTIONS [--set key=value ...]

Chosen on data.train, in two steps.  First the number of windows, the share of each video left free at both ends, and
the length of the windows relative to their distance (above 1 they overlap), by F1; then, of the most frequent captions,
the one by train.select_on; both under evaluate.protocol.  Written for the videos of data.report.  Reads no features.
"""

import argparse
import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hicm.config import Config, load_config
from hicm.data.annotations import read_split
from hicm.dvc_eval import available_metrics, evaluate
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.types import Video

NUMBERS = (*range(2, 13), 14, 16, 20, 24, 30, 40)
MARGINS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
LENGTHS = (0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
TRIED_ON = 200  # training videos that windows are tried on; captions are tried on all
FREQUENT = 30  # captions that are tried

LOCATED = ("F1", "F1_of_means")  # names of the F1 that the protocols have
Written = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Windows:
    """Where the events of every video lie."""

    number: int
    margin: float  # share of the video that is free at each end
    length: float  # of a window, in distances between neighbours

    def spans(self, duration: float) -> list[tuple[float, float]]:
        """Starts and ends in seconds, within the video."""
        distance = (1 - 2 * self.margin) / self.number
        centres = self.margin + distance * (np.arange(self.number) + 0.5)
        ends = np.stack([centres - distance * self.length / 2, centres + distance * self.length / 2], 1).clip(0, 1)
        return [(start, end) for start, end in (ends * duration).tolist()]


def constant(videos: Iterable[Video], windows: Windows, sentence: str) -> Written:
    """The same events for every video, as a predictions file has them."""
    return {video.id: [{"timestamp": [round(start, 3), round(end, 3)], "sentence": sentence}
                       for start, end in windows.spans(video.duration)] for video in videos}


def choose_windows(videos: dict[str, Video], protocol: str) -> tuple[Windows, float]:
    """The windows of the highest F1 on some of the training videos, and that F1."""
    some = dict(itertools.islice(videos.items(), 0, None, max(1, len(videos) // TRIED_ON)))

    f1 = next(name for name in LOCATED if name in available_metrics(protocol))

    def score(windows: Windows) -> float:
        return evaluate(constant(some.values(), windows, "x"), some, protocol, metrics=[f1]).scores[f1]

    grid = [Windows(*row) for row in itertools.product(NUMBERS, MARGINS, LENGTHS)]
    scores = list(map(score, grid))
    return grid[int(np.argmax(scores))], max(scores)


def choose_sentence(videos: dict[str, Video], windows: Windows, protocol: str, metric: str) -> tuple[str, float]:
    """Of the most frequent training captions, the one with the highest score, and that score."""
    counts = Counter(event.text for video in videos.values() for event in video.events)

    def score(sentence: str) -> float:
        return evaluate(constant(videos.values(), windows, sentence), videos, protocol, metrics=[metric]).scores[metric]

    best, sentence = max((score(text), text) for text, _ in counts.most_common(FREQUENT))
    return sentence, best


def write(config: Config, out: Path, overwrite: bool = False) -> None:
    """Choose, and write the predictions with what was chosen.

    Raises UserError when the file holds something else, unless ``overwrite``.
    """
    protocol, metric = config.evaluate.protocol, config.train.select_on
    videos = read_split(config.data, config.data.train)
    windows, located = choose_windows(videos, protocol)
    sentence, best = choose_sentence(videos, windows, protocol, metric)
    print(f"{windows} (F1 {100 * located:.2f}), {sentence!r} ({metric} {100 * best:.2f} on {config.data.train})")
    chosen = asdict(windows) | {"sentence": sentence, "on": config.data.train, "F1": located, metric: best}
    reported = read_split(config.data, config.data.report).values()
    content = {"chosen": chosen, "results": constant(reported, windows, sentence)}
    if out.exists() and not overwrite and read_json(out, "predictions") != content:
        raise UserError(f"{out}: holds other predictions; choose another --out, or replace them with --overwrite")
    write_json(out, content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", help="settings file")
    parser.add_argument("--out", type=Path, required=True, help="predictions file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace other predictions")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="change a setting")
    arguments = parser.parse_args()
    write(load_config(arguments.config, arguments.set), arguments.out, arguments.overwrite)


if __name__ == "__main__":
    main()
