"""Time the evaluation of moments and highlights: ours, beside the official script of Moment-DETR.

    git clone https://github.com/jayleicn/moment_detr FOLDER
    python scripts/bench_moments.py PREDICTIONS ANNOTATIONS --against FOLDER [--repeat 3]
    python scripts/bench_moments.py --queries 1550 [--against FOLDER]      predictions and annotations that are made up

Both files are json lines, as QVHighlights and Moment-DETR have them; they may be packed with gzip.  Every time is that
of a fresh process, including start-up, and both take turns; ours is the command ``hicm moments evaluate``, which also
makes the table per query.  Processor seconds include those of the official script's eight workers.  Exit status 1 if
any printed number differs.  Run from the repository root; the official script needs scikit-learn.
"""

import argparse
import gzip
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from bench_evaluation import Run, machine, run

SCRIPT = Path("standalone_eval", "eval.py")
# Runs the official script as it is; it prints lines of its own, so its tables are read from the file that it writes.
OFFICIAL = """
import contextlib, io, runpy, sys
script, saved = sys.argv[1], sys.argv[-1]
sys.argv = [script, *sys.argv[2:]]
with contextlib.redirect_stdout(io.StringIO()):
    runpy.run_path(script, run_name="__main__")
print(open(saved).read())
"""


def run_ours(predictions: Path, annotations: Path) -> Run:
    """Ours, protocol qvhighlights."""
    return run("ours", ["-m", "hicm", "moments", "evaluate", str(predictions), str(annotations), "--protocol",
                        "qvhighlights", "--json"])


def run_official(folder: Path, predictions: Path, annotations: Path, saved: Path) -> Run:
    """The official script in a checkout of Moment-DETR."""
    return run("the official script", ["-c", OFFICIAL, str(folder / SCRIPT), "--not_verbose", "--submission_path",
                                       str(predictions), "--gt_path", str(annotations), "--save_path", str(saved)],
               PYTHONPATH=str(folder))


def differences(ours: dict[str, Any], official: dict[str, Any]) -> tuple[int, list[str]]:
    """How many printed numbers were compared, and the names of those that differ; both are nested tables."""
    one, two = (dict(flat(table)) for table in (ours, official))
    names = [name for name in two if not name.startswith("brief")]
    return len(names), [name for name in names if one.get(name) != two[name]]


def flat(table: dict[str, Any], above: str = "") -> list[tuple[str, float]]:
    """The numbers of a nested table by their path."""
    found = []
    for name, value in table.items():
        path = f"{above}/{name}".lstrip("/")
        found += flat(value, path) if isinstance(value, dict) else [(path, value)]
    return found


def make_up(queries: int, seed: int = 0) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Submission and annotations of so many queries of videos of 150 s, depending on ``seed`` only."""
    rng = random.Random(seed)
    submission, annotations = [], []
    for query in range(queries):
        windows = [sorted(rng.sample(range(0, 151, 2), 2)) for _ in range(rng.choice([1, 1, 1, 2, 3, 6]))]
        clips = sorted({clip for start, end in windows for clip in range(start // 2, end // 2)})
        about = {"qid": query, "query": f"sentence {query}", "vid": f"video{query // 2}_0.0_150.0"}
        annotations.append({**about, "duration": 150, "relevant_windows": windows, "relevant_clip_ids": clips,
                            "saliency_scores": [[rng.randint(0, 4) for _ in range(3)] for _ in clips]})
        moved = [[round(min(max(time + rng.gauss(0, 5), 0.0), 150.0), 2) for time in rng.choice(windows)]
                 for _ in range(10)]
        scores = sorted((round(rng.random(), 4) for _ in moved), reverse=True)
        submission.append({**about, "pred_relevant_windows": [[*window, score] for window, score in
                                                              zip(moved, scores, strict=True)],
                           "pred_saliency_scores": [round(rng.gauss(0, 1), 3) for _ in range(75)]})
    return submission, annotations


def unpacked(path: str, folder: Path) -> Path:
    """A file as plain json lines, which is all that the official script reads."""
    content = Path(path).read_bytes()
    target = folder / Path(path).name.removesuffix(".gz")
    target.write_bytes(gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content)
    return target


def bench(predictions: Path, annotations: Path, other: str, repeat: int, saved: Path) -> int:
    """Print a line for each turn; the exit status."""
    rows = len(predictions.read_text(encoding="utf-8").splitlines())
    print(machine(), f"{rows} queries", "", f"{'':10}{'seconds':>18}{'processor seconds':>28}{'peak, MiB':>20}",
          f"{'repeat':10}{'ours':>9}{'official':>9}{'ours':>10}{'official':>9}{'ratio':>9}{'ours':>11}{'official':>9}",
          sep="\n", flush=True)
    wrong: list[str] = []
    ratios = []
    numbers = 0
    for at in range(repeat):
        ours = run_ours(predictions, annotations)
        both = [ours, *([run_official(Path(other), predictions, annotations, saved)] if other else [])]
        ratio = both[-1].processor / ours.processor if other else None
        ratios += [ratio] if ratio else []
        print(f"{at + 1:<10}{_cells(both, 'seconds', 2)} {_cells(both, 'processor', 2)}{_cell(ratio, 1)}  "
              f"{_cells(both, 'peak', 0)}", flush=True)
        if other:
            numbers, wrong = differences(ours.content["moment_detr"], both[-1].content)
    if not other:
        return 0
    print(f"median ratio of processor seconds: {statistics.median(ratios):.1f}")
    print(f"{numbers} printed numbers: {'all equal' if not wrong else 'these differ: ' + ', '.join(wrong)}")
    return 1 if wrong else 0


def _cells(runs: list[Run], name: str, decimals: int) -> str:
    return "".join(_cell(getattr(runs[at], name) if at < len(runs) else None, decimals) for at in range(2))


def _cell(value: float | None, decimals: int) -> str:
    return f"{'':>9}" if value is None else f"{value:9.{decimals}f}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="predictions, then annotations")
    parser.add_argument("--queries", type=int, default=0, help="make so many queries up instead")
    parser.add_argument("--against", default="", metavar="FOLDER", help="a checkout of Moment-DETR")
    parser.add_argument("--repeat", type=int, default=3, help="turns (default 3)")
    asked = parser.parse_args(arguments)
    if asked.repeat < 1 or asked.queries < 0:
        parser.error("--repeat and --queries: expected 1 or more")
    if (len(asked.files) != 2) != bool(asked.queries) or (asked.queries and asked.files):
        parser.error("expected predictions and annotations, or --queries N")
    if asked.against and not (Path(asked.against) / SCRIPT).is_file():
        parser.error(f"--against {asked.against}: no {SCRIPT} there; name a checkout of Moment-DETR")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.queries:
            files = []
            for side, rows in zip(("predictions", "annotations"), make_up(asked.queries), strict=True):
                files.append(folder / f"{side}.jsonl")
                files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        else:
            files = [unpacked(path, folder) for path in asked.files]
        other = str(Path(asked.against).absolute()) if asked.against else ""
        return bench(*files, other, asked.repeat, folder / "saved.json")


if __name__ == "__main__":
    sys.exit(main())
