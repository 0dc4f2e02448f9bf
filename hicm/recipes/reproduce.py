"""The published numbers of a data set from its released files: download, convert, recall, caption, score, compare.

Each stage is the command of that name; running it again continues.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hicm.config import load_config
from hicm.data.annotations import split_references
from hicm.data.hub.download import download
from hicm.dvc_eval import evaluate
from hicm.dvc_eval.results.score import Result
from hicm.memory.imports import import_bank
from hicm.recipes.ablation.run import OWN, Ablation, run_ablation
from hicm.results.published import METRICS, Benchmark, find_benchmark
from hicm.results.record import make_record, write_record
from hicm.rooms import room_module
from hicm.stages.predict import predict

MODES = ("descend", "zero", "none")  # beside the released one


@dataclass(frozen=True)
class Verdict:
    """One metric, x 100."""

    metric: str
    expected: float
    recalled: bool
    measured: float
    low: float
    high: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the measured score lies within the tolerance."""
        return abs(self.measured - self.expected) <= self.tolerance


@dataclass(frozen=True)
class Reproduction:
    """What `reproduce` found; prints as a table; ``ok``: every metric lies within its tolerance."""

    title: str
    verdicts: tuple[Verdict, ...]
    videos: int
    missing: int
    signature: str
    record: Path
    modes: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether all is as published."""
        return all(verdict.ok for verdict in self.verdicts)

    def __str__(self) -> str:
        lines = [self.title, "", f"{'':<10}{'expected':>10}{'measured':>10}{'95 %':>17}{'tolerance':>11}  verdict"]
        for one in self.verdicts:
            expected = f"{one.expected:.2f}{'*' if one.recalled else ' '}"
            lines.append(f"{one.metric:<10}{expected:>10}{one.measured:>10.2f}{f'{one.low:.2f} .. {one.high:.2f}':>17}"
                         f"{one.tolerance:>11.2f}  {'as published' if one.ok else 'DIFFERS'}")
        lines += ["", "* recalled: the paper's table was not read again", f"{self.videos:,} videos scored, "
                  f"{self.missing:,} of the references missing", self.signature, f"record: {self.record}"]
        return "\n".join(lines + ([f"modes: {self.modes}"] if self.modes else []))


def reproduce(dataset: str, config: str, source: str, out: Path, overrides: Sequence[str] = (), modes: bool = False,
              samples: int = 1000, command: str = "") -> Reproduction:
    """Run everything for ``dataset`` with the settings file ``config``; files of the run stand in ``out``.

    ``source``: a folder laid out as the hub repositories are, or empty for the hub itself.  ``modes`` also evaluates
    the checkpoint with the mended search, with zeros, and without memory.  Raises UserError of the stage that fails;
    what was done before is kept.
    """
    benchmark = find_benchmark(dataset)
    print(download(dataset, ".", (), source, "main", False, False))
    overrides = [*overrides, "preset=released", f"memory.path={out / 'bank'}"]
    settings = load_config(config, overrides)
    import_bank(f"presave/{dataset}/hierarchical_clustering_results_{dataset}_70B.pkl", out / "bank",
                settings.memory.encoder, (), False, False, None)
    run, convert = out / "run", room_module(settings.system, "released.convert")
    convert.convert_checkpoint(f"presave/{dataset}/best_model.pth", settings, run)
    split = settings.data.report
    path = predict(run)
    result = evaluate(path, split_references(settings.data, split), "vidchapters", bootstrap=samples, progress=True)
    record = write_record(make_record(dataset, "HiCM2, released weights, released behaviour", result, command),
                          out / "record.json")
    table = _modes(run, out, samples) if modes else None
    title = f"{benchmark.title}: released weights of HiCM2, released behaviour, beside {benchmark.released.source}"
    return Reproduction(title, _verdicts(benchmark, result), len(result.videos), len(result.coverage["missing"]),
                        result.signature, record, table)


def _verdicts(benchmark: Benchmark, result: Result) -> tuple[Verdict, ...]:
    expected, found = benchmark.released, []
    for metric in METRICS:
        if metric in expected.scores and metric in result.scores:
            interval = result.intervals[metric]
            found.append(Verdict(metric, expected.scores[metric], metric in expected.recalled,
                                 100 * result.scores[metric], 100 * interval.low, 100 * interval.high,
                                 benchmark.tolerance[metric]))
    return tuple(found)


def _modes(run: Path, out: Path, samples: int) -> Path:
    """The control: does the checkpoint use what its memory says, or only that there is one?"""
    return Path(run_ablation(str(run), out / "modes", Ablation(
        ("top_only", *MODES), (OWN,), ("all",), ("CIDEr", "METEOR", "soda_c", "F1"), samples)))
