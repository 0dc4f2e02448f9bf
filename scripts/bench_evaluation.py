"""Time a whole evaluation: ours against the way the published toolkits do it, on the same files in one run.

    python scripts/bench_evaluation.py PREDICTIONS REFERENCES...
    python scripts/bench_evaluation.py --perturb 0 REFERENCES...     predictions made from the first reference file
    python scripts/bench_evaluation.py --against FOLDER ...          beside another checkout of this project, in turns
    python scripts/bench_evaluation.py --overlapping 1000 REFERENCES...  a video of 1000 events a side that all overlap

Every time is that of a fresh process, including start-up; ours is the command ``hicm evaluate``.  The reference way
(`reference_scoring.py`, protocol vidchapters) starts the Java tokeniser for each scorer and threshold, and calls METEOR
pair by pair.  Exit status 1 if any score differs by more than 1e-9.  Run from the repository root.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TOLERANCE = 1e-9
MUST_SHARE = ("METEOR", "CIDEr", "Rouge-L", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "Recall", "Precision", "F1",
              "soda_c", "soda_d")
REFERENCE_WAY = Path(__file__).with_name("reference_scoring.py")


@dataclass(frozen=True)
class Run:
    """One process: wall time and processor time in seconds, peak resident memory in MiB, the scores that it printed.

    With the processes that it started: their processor time, and the largest peak of them all.  ``content``: all that
    it printed.
    """

    seconds: float
    processor: float
    peak: float
    scores: dict[str, float]
    content: dict[str, Any]


def run(what: str, arguments: list[str], folder: str = ".", **environment: str) -> Run:
    """A fresh Python process in a folder that prints scores as json; SystemExit with its last line if it fails."""
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=errors, cwd=folder,
                                   env={**os.environ, **environment})
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            reason = errors.read().decode(errors="replace").strip() or f"status {process.returncode}"
            raise SystemExit(f"{what} failed: {reason.splitlines()[-1]}")
    scores = json.loads(printed)
    peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak, scores.get("scores", scores), scores)


def run_cold(arguments: list[str]) -> Run:
    """Ours as on a machine where it never ran: no index of METEOR's data, nothing compiled."""
    with tempfile.TemporaryDirectory() as cache:
        return run("ours", arguments, XDG_CACHE_HOME=cache)


def run_reference(files: list[str]) -> Run:
    """The reference way.  Its jars are read once before, as the disk is not what is compared."""
    for folder in find_spec("pycocoevalcap").submodule_search_locations:
        for path in Path(folder).rglob("*"):
            if path.suffix in (".jar", ".gz"):
                shutil.copyfile(path, os.devnull)
    # Java reads and writes the tokens in the locale's encoding, and some hold a no-break space.
    return run("the reference way", [str(REFERENCE_WAY), *files], LC_ALL="C.UTF-8")


def largest_difference(ours: dict[str, float], theirs: dict[str, float]) -> tuple[float, str]:
    """Largest absolute difference and the score that has it; NaN counts as largest."""
    absent = [name for name in MUST_SHARE if name not in ours or name not in theirs]
    if absent:
        raise SystemExit(f"not computed by both: {', '.join(absent)}")
    found = {name: abs(ours[name] - theirs[name]) for name in ours if name in theirs}
    worst = max(found, key=lambda name: (found[name] != found[name], found[name]))
    return found[worst], worst


# predictions made from references

def perturb(references: dict[str, Any], seed: int) -> dict[str, Any]:
    """Content of a predictions file: events of a reference file, moved, reworded, dropped and added.

    About as many events per video as there are references.  One video in a hundred (at least one, if there are three)
    is missing, and as many are empty.  Depends only on content and ``seed``.
    """
    rng = random.Random(seed)
    captions = [caption for entry in references.values() for caption in entry["sentences"]]
    few = max(1, len(references) // 100) if len(references) > 2 else 0
    spared = rng.sample(list(references), 2 * few)
    results = {video: [] if video in spared[few:] else perturbed_events(entry, captions, rng)
               for video, entry in references.items() if video not in spared[:few]}
    return {"version": f"perturbed references, seed {seed}", "external_data": {}, "results": results}


def perturbed_events(entry: dict[str, Any], captions: list[str], rng: random.Random) -> list[dict[str, Any]]:
    """Predicted events of one video; an eighth of its references is dropped, and as many events are added."""
    ends = [end for _, end in entry["timestamps"]]
    duration = max([entry.get("duration") or 0.0, *ends])
    made = []
    for span, caption in zip(entry["timestamps"], entry["sentences"], strict=True):
        if rng.random() > 0.125:
            made.append((perturbed_span(span, duration, rng), perturbed_caption(caption, captions, rng)))
        if rng.random() < 0.125:
            elsewhere = sorted(round(rng.uniform(0.0, duration), 2) for _ in range(2))
            made.append((elsewhere, rng.choice(captions)))
    return [{"sentence": caption, "timestamp": list(span)} for span, caption in made]


def perturbed_span(span: list[float], duration: float, rng: random.Random) -> list[float]:
    """Start and end in seconds: copied, or each moved by about a fifth of the length."""
    start, end = span
    if rng.random() < 0.3:
        return [start, end]
    moved = sorted(round(min(max(rng.gauss(time, 0.2 * abs(end - start)), 0.0), duration), 2) for time in span)
    return moved if moved[0] < moved[1] else [start, end]


def perturbed_caption(caption: str, captions: list[str], rng: random.Random) -> str:
    """Copied, thinned, mixed with words of another caption, or another caption."""
    kind, other = rng.random(), rng.choice(captions)
    if kind < 0.2:
        return caption
    if kind < 0.5:
        return " ".join(word for word in caption.split() if rng.random() < 0.7) or caption
    if kind < 0.8 and other.split():
        return " ".join(rng.choice(other.split()) if rng.random() < 0.4 else word for word in caption.split())
    return other


def overlapping(references: dict[str, Any], events: int, seed: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """Predictions and references of one video of 1000 s: so many ``events`` on each side, each of which overlaps all.

    They begin in the first tenth and end in the last one; captions are drawn from ``references``.
    """
    rng = random.Random(seed)
    captions = [caption for entry in references.values() for caption in entry["sentences"]]
    sides = [rng.sample(captions, events) if events <= len(captions) else rng.choices(captions, k=events)
             for _ in range(2)]
    spans = [[[round(rng.uniform(*part), 2) for part in ((0, 100), (900, 1000))] for _ in side] for side in sides]
    predicted = [{"sentence": caption, "timestamp": span} for caption, span in zip(sides[0], spans[0], strict=True)]
    return ({"version": f"overlapping events, seed {seed}", "external_data": {}, "results": {"dense": predicted}},
            {"dense": {"duration": 1000.0, "timestamps": spans[1], "sentences": sides[1]}})


# the table

def take_turns(arguments: list[str], other: str, repeat: int) -> bool:
    """Time ours and another checkout's command in turns; prints each run, returns whether all scores are equal."""
    equal = True
    print(f"{'':10}{'seconds':>18}{'processor seconds':>28}{'peak, MiB':>20}",
          f"{'repeat':10}" + f"{'ours':>9}{'other':>9}" + f"{'ours':>10}{'other':>9}{'ratio':>9}"
          + f"{'ours':>11}{'other':>9}", sep="\n", flush=True)
    for at in range(repeat):
        both = [run(what, arguments, folder, PYTHONPATH=str(Path(folder).absolute()))
                for what, folder in (("ours", "."), ("the other", other))]
        equal = equal and both[0].scores == both[1].scores
        seconds, processor, peak = ([getattr(one, name) for one in both] for name in ("seconds", "processor", "peak"))
        print(f"{at + 1:<10}" + "".join(f"{one:9.2f}" for one in seconds) + " " + "".join(f"{one:9.2f}" for one in
              processor) + f"{processor[1] / processor[0]:9.2f}  " + "".join(f"{one:9.0f}" for one in peak), flush=True)
    print(f"scores: {'equal to the last digit' if equal else 'they differ'}", flush=True)
    return equal


def bench_overlapping(references: list[str], events: int, protocol: str, other: str, repeat: int) -> bool:
    """Time and peak of one video with overlapping events; whether the scores equal those of the other checkout."""
    content = json.loads(Path(references[0]).read_text(encoding="utf-8"))
    print(f"\none video, {events} predictions that overlap all of {events} events, protocol {protocol}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, f"{side}.json")) for side in ("predictions", "references")]
        for name, side in zip(files, overlapping(content, events), strict=True):
            Path(name).write_text(json.dumps(side), encoding="utf-8")
        ours = ["-m", "hicm", "evaluate", *files, "--protocol", protocol, "--json"]
        if other:
            return take_turns(ours, other, repeat)
        for _ in range(repeat):
            one = run("ours", ours)
            print(f"{one.seconds:9.2f} s, {one.processor:.2f} processor seconds, peak {one.peak:.0f} MiB", flush=True)
    return True


def machine() -> str:
    """The CPUs that this process may use, their model if known, operating system, Python."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return ", ".join(filter(None, (f"{cpus} CPUs", model, platform.platform(), f"Python {platform.python_version()}")))


def counts(predictions: str, references: list[str]) -> str:
    """How much is scored."""
    content = json.loads(Path(predictions).read_text(encoding="utf-8"))
    rows = content.get("results", content)
    return (f"{sum(map(len, rows.values()))} predicted events of {len(rows)} videos, "
            f"{len(references)} reference file{'s' if len(references) > 1 else ''}")


def bench(predictions: str, references: list[str], protocol: str, repeat: int, cold: bool, reference: bool,
          other: str) -> int:
    """Run everything, print the table; the exit status."""
    ours = ["-m", "hicm", "evaluate", predictions, *references, "--protocol", protocol, "--json"]
    print(machine(), f"{counts(predictions, references)}, protocol {protocol}", "", sep="\n", flush=True)
    if other:
        return 0 if take_turns(ours, other, repeat) else 1
    print(f"{'':32}seconds  reference / ours", flush=True)
    first = run("ours", ours)
    line("ours, first run here", first.seconds, note="fills caches")
    warm = [run("ours", ours) for _ in range(repeat)]
    seconds = {"best": min(one.seconds for one in warm), "median": statistics.median(one.seconds for one in warm)}
    unused = run_cold(ours) if cold else None
    theirs = run_reference([predictions, *references]) if reference else None
    for name, value in seconds.items():
        line(f"ours, warm, {name} of {repeat}", value, f"{theirs.seconds / value:.1f}" if theirs else "")
    if unused:
        line("ours, cold", unused.seconds, f"{theirs.seconds / unused.seconds:.1f}" if theirs else "",
             "no index, nothing compiled")
    if theirs:
        line("reference way", theirs.seconds)
    print(f"\npeak memory of ours, warm: {max(one.peak for one in warm):.0f} MiB")
    if not theirs:
        return 0
    difference, name = largest_difference(warm[0].scores, theirs.scores)
    print(f"largest difference of {len(warm[0].scores)} scores: {difference:.1e} ({name})")
    return 0 if difference <= TOLERANCE else 1


def line(what: str, seconds: float, ratio: str = "", note: str = "") -> None:
    print(f"{what:32}{seconds:7.2f}  {ratio:>16}  {note}".rstrip(), flush=True)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="predictions, then one reference file per annotator")
    parser.add_argument("--protocol", default="vidchapters", help="ours only, unless vidchapters (default)")
    parser.add_argument("--perturb", type=int, metavar="SEED", help="make the predictions; the files are references")
    parser.add_argument("--repeat", type=int, default=3, help="warm runs of ours (default 3)")
    parser.add_argument("--against", default="", metavar="FOLDER", help="also time another checkout of this project")
    parser.add_argument("--overlapping", type=int, nargs="+", default=[], metavar="EVENTS",
                        help="only time videos with so many overlapping events; the files are references")
    parser.add_argument("--cold", action="store_true", help="also time ours without any cache")
    parser.add_argument("--skip-reference", action="store_true", help="time ours only; needs no Java")
    return parser


def main(arguments: list[str] | None = None) -> int:
    parser = make_parser()
    asked = parser.parse_args(arguments)
    if asked.repeat < 1:
        parser.error("--repeat: expected 1 or more")
    if asked.overlapping and min(asked.overlapping) < 1:
        parser.error("--overlapping: expected 1 or more events")
    if asked.perturb is None and not asked.overlapping and len(asked.files) < 2:
        parser.error("expected predictions and at least one reference file, or --perturb SEED")
    asked.files = [str(Path(name).absolute()) for name in asked.files]
    asked.skip_reference = asked.skip_reference or bool(asked.overlapping or asked.against)
    if not asked.skip_reference and asked.protocol != "vidchapters":
        parser.error("the reference way knows protocol vidchapters only; add --skip-reference")
    if not asked.skip_reference and not shutil.which("java"):
        parser.error("the reference way needs java on the path; --skip-reference leaves it out")
    if asked.overlapping:
        print(machine(), flush=True)
        equal = {bench_overlapping(asked.files, events, asked.protocol, asked.against, asked.repeat)
                 for events in asked.overlapping}
        return 0 if equal == {True} else 1
    options = (asked.protocol, asked.repeat, asked.cold, not asked.skip_reference, asked.against)
    if asked.perturb is None:
        return bench(asked.files[0], asked.files[1:], *options)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "predictions.json")
        references = json.loads(Path(asked.files[0]).read_text(encoding="utf-8"))
        made.write_text(json.dumps(perturb(references, asked.perturb)), encoding="utf-8")
        return bench(str(made), asked.files, *options)


if __name__ == "__main__":
    sys.exit(main())
