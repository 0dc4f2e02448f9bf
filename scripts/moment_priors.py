"""Windows that are the same for every query: the floor that a system which reads sentences and frames must beat.

    python scripts/moment_priors.py charades_sta_train.txt Charades_v1_train.csv \
        --for charades_sta_test.txt Charades_v1_test.csv --out PREDICTIONS
    python scripts/moment_priors.py --whole --for charades_sta_test.txt Charades_v1_test.csv --out PREDICTIONS

Windows are shares of the video.  The first one has an IoU of at least --iou with the moments of most training queries;
each further one adds the most queries that none before it reaches.  --whole predicts the whole video, and needs no
training annotations.  'hicm moments evaluate PREDICTIONS ANNOTATIONS' scores what is written.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hicm.errors import UserError
from hicm.files import read_json, sha256, write_json
from hicm.moments.read import read_annotations
from hicm.moments.records import Annotations
from hicm.recipes.script import run_script

STEPS = 50  # of the grid on which windows start and end


def grid(steps: int = STEPS) -> np.ndarray:
    """All windows that start and end on a grid, as shares of the video: float64 [n, 2], the first ones first."""
    starts, ends = np.triu_indices(steps + 1, 1)
    return np.stack([starts, ends], 1) / steps


def overlaps(windows: np.ndarray, annotations: Annotations) -> np.ndarray:
    """The IoU of each window with the moment of a query that it fits best: float64 [n, queries that have moments].

    Raises UserError for a query about a video of unknown duration.
    """
    shares = [query.windows / known_duration(query.video, query.duration) for query in annotations.queries
              if len(query.windows)]
    if not shares:
        raise UserError("the training annotations have no moments; name a file that has")
    moments = np.concatenate(shares)
    inter = (np.minimum(windows[:, None, 1], moments[:, 1]) - np.maximum(windows[:, None, 0], moments[:, 0])).clip(0)
    union = (windows[:, 1] - windows[:, 0])[:, None] + (moments[:, 1] - moments[:, 0]) - inter
    return np.maximum.reduceat(inter / union, np.cumsum([0, *map(len, shares[:-1])]), axis=1)


def choose_windows(candidates: np.ndarray, fits: np.ndarray, iou: float, most: int) -> list[int]:
    """Which candidates are predicted, the best first, by their IoU ``fits`` [n, queries]; see the file's docstring.

    Of windows that reach as many queries, the one that raises the mean of each query's best IoU most is taken.
    """
    chosen: list[int] = []
    best = np.zeros(fits.shape[1])
    for _ in range(min(most, len(candidates))):
        together = np.maximum(fits, best)
        reached = (together >= iou).sum(1)
        reached[chosen] = -1  # each only once
        place = int(np.lexsort((together.mean(1), reached))[-1])
        chosen.append(place)
        best = together[place]
    return chosen


def known_duration(video: str, duration: float | None) -> float:
    """The duration; UserError where it is not known."""
    if duration is None:
        raise UserError(f"video {video}: its duration is not known; with Charades-STA, name the csv table of the split "
                        "after the annotations")
    return duration


def predictions(windows: np.ndarray, annotations: Annotations) -> dict[str, Any]:
    """The same windows for every query, best first, as a run's predictions file has them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for query in annotations.queries:
        spans = (windows * known_duration(query.video, query.duration)).tolist()
        found.setdefault(query.video, []).append({
            "qid": query.id, "query": query.text,
            "windows": [[round(start, 3), round(end, 3), round(1 - place / len(spans), 4)]
                        for place, (start, end) in enumerate(spans)]})
    return found


def read(files: Sequence[str]) -> Annotations:
    """Annotations, with what was cleaned as warnings on the error stream."""
    warnings: list[str] = []
    found = read_annotations(list(files) if len(files) > 1 else files[0], warnings)
    print(*(f"moment_priors: {line}" for line in warnings), sep="\n", end="\n" if warnings else "", file=sys.stderr)
    return found


def write(asked: argparse.Namespace) -> None:
    """Choose windows, print and write them; UserError when the file holds something else, unless ``overwrite``."""
    about: dict[str, Any] = {"for": {name: sha256(name) for name in asked.predicted}}
    if asked.whole:
        windows = np.array([[0.0, 1.0]])
    else:
        candidates = grid()
        fits = overlaps(candidates, read(asked.training))
        chosen = choose_windows(candidates, fits, asked.iou, asked.windows)
        windows = candidates[chosen]
        print(f"training queries whose first window has an IoU of {asked.iou:g} or more: "
              f"{100 * (fits[chosen[0]] >= asked.iou).mean():.2f} %")
        about |= {"learnt_from": {name: sha256(name) for name in asked.training}, "iou": asked.iou}
    print("windows, as shares of the video:", ", ".join(f"{start:g}-{end:g}" for start, end in windows.tolist()))
    content = {"task": "moments", "made_by": about | {"windows": windows.tolist()},
               "results": predictions(windows, read(asked.predicted))}
    if asked.out.exists() and not asked.overwrite and read_json(asked.out, "predictions") != content:
        raise UserError(f"{asked.out}: holds other predictions; choose another --out, or replace them with --overwrite")
    write_json(asked.out, content)


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected more than 0 and at most 1, found {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {text}")
    return value


def main(words: list[str] | None = None) -> int:
    """The exit status: 0, or 2 for bad input, after one line that says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", nargs="*", help="training annotations, in any format that is read")
    parser.add_argument("--for", dest="predicted", nargs="+", required=True, metavar="FILE",
                        help="annotations whose queries get the windows")
    parser.add_argument("--out", type=Path, required=True, help="predictions file to write")
    parser.add_argument("--whole", action="store_true", help="predict the whole video")
    parser.add_argument("--iou", type=_share, default=0.5, help="from which a window counts (default: %(default)s)")
    parser.add_argument("--windows", type=_count, default=10, help="per query (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace other predictions")
    asked = parser.parse_args(words)
    if bool(asked.training) == asked.whole:
        parser.error("give either training annotations or --whole")
    return run_script("moment_priors", lambda: write(asked))


if __name__ == "__main__":
    sys.exit(main())
